"""The teacher asked for deferred rows: by `annotate run`, as a process of its own.

    DIR/rows.jsonl            the task's fields of each row
    DIR/shards/SPLIT/         labels and reasons; SPLIT is named for the rows, `deferred-1f0a9c3b`

Store, limits and ceiling are the annotator's, and so no answer is paid for twice. The shards are
like any others: a student can learn from them.
"""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from stepdistill.common.errors import ConfigError, ShardError
from stepdistill.common.manifest import MANIFEST_NAME, REJECTS_NAME, Manifest
from stepdistill.common.own_command import CommandFailed, Finished, run_command, run_in_background
from stepdistill.common.shards import read_manifest, read_records, verify
from stepdistill.common.terminal import visible
from stepdistill.trainer.cascade.rule import CascadeRule
from stepdistill.trainer.errors import refused
from stepdistill.trainer.settings.cascade import DeferSettings

ROWS_NAME, SHARDS_NAME = "rows.jsonl", "shards"
Fields = dict[str, str]
_INCOMPLETE = 3  # exit code of a run that the same command goes on with: a ceiling, an outage
# Why rows have no label that asking again may cure.
_UNREACHED = {"no_answer", "teacher_error", "teacher_unavailable", "unreadable_reply"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherAnswer:
    """What the teacher says of a row."""

    label: str | None  # None: it gave none
    rationale: str | None = None
    why: str | None = None  # it gave none: the annotator's reason, as `content_refused`


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherAnswers:
    """What it says of some rows."""

    answers: tuple[TeacherAnswer, ...]  # in the order of the rows
    usd: float | None  # that all of these cost, whenever they were asked; None: not known
    spent_usd: float | None = 0.0  # what this time cost; None: not known
    failure: CommandFailed | None = None  # why it was not asked for all
    prompts: str | None = None  # sha256 of what it was asked with; None: no row has an answer

    @property
    def is_incomplete(self) -> bool:
        """Whether asking again may give more."""
        return any(answer.why in _UNREACHED for answer in self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRun:
    """How one is asked, by the rule of a student."""

    rule: CascadeRule
    settings: DeferSettings

    def command(self, rows: Path, split: str, out: Path) -> list[str]:
        """The words by which these rows become shards."""
        rule, settings = self.rule, self.settings
        named = rule.named_teacher
        if settings.base_url:
            named = replace(named, addresses=settings.base_url)
        words = ["annotate", "run", rule.task, *named.options, "--plain-rows"]
        words += ["--data", str(rows), "--split", split, "--out", str(out)]
        words += ["--template", rule.template] if rule.template else []
        words += ["--votes", str(rule.votes)] if rule.votes > 1 else []
        for option, value in (
            ("--prompts", settings.prompts),
            ("--store", settings.store),
            ("--max-cost", settings.max_cost),
            ("--config", settings.run_config),
        ):
            words += [option, str(value)] if value is not None else []
        return words

    def ask(self, rows: Iterable[Fields], folder: Path, *, keeps_some: bool) -> TeacherAnswers:
        """Ask for these rows. keeps_some: where it cannot be asked for all, what there is counts.
        Raises CommandFailed; KeyboardInterrupt, when all that was answered is stored."""
        path, split, n = _written(rows, folder)
        words = self.command(path, split, folder / SHARDS_NAME)
        out = folder / SHARDS_NAME / split
        done = run_command([*words, "--json"], _tell)
        if done.code == _INCOMPLETE and keeps_some:
            self._write_stored(words, out)
        elif done.code and not _is_settled(out):
            done.checked()
        return read_answers(out, n, done)

    async def ask_beside(self, rows: Sequence[Fields], folder: Path) -> TeacherAnswers:
        """The same while others are served: what there is counts."""
        path, split, n = _written(rows, folder)
        words = self.command(path, split, folder / SHARDS_NAME)
        done = await run_in_background([*words, "--json", "--quiet"])
        if done.code and not (folder / SHARDS_NAME / split / MANIFEST_NAME).exists():
            await run_in_background([*words, "--json", "--quiet", "--offline"])
        return read_answers(folder / SHARDS_NAME / split, n, done)

    def _write_stored(self, words: Sequence[str], out: Path) -> None:
        """Shards of what the store has, where a run ended before it wrote any."""
        if not (out / MANIFEST_NAME).exists():
            run_command([*words, "--json", "--offline", "--quiet"], lambda _: None)


def read_answers(out: Path, n: int, done: Finished) -> TeacherAnswers:
    """The answers to n rows, from the shards that a run wrote, if it did. Raises ShardError."""
    failure = None
    if done.code:
        failure = CommandFailed(done.last_words or f"exit code {done.code}", done.code)
    found = [TeacherAnswer(label=None, why="no_answer")] * n
    if not (out / MANIFEST_NAME).exists():
        if failure is None:
            raise ShardError(f"{out / MANIFEST_NAME}: was not written, though the run went well")
        return TeacherAnswers(answers=tuple(found), usd=None, failure=failure)
    manifest = read_manifest(out)
    if manifest.counts.rows != n:
        raise ShardError(f"{out}: {manifest.counts.rows:,} rows, {n:,} were asked for")
    verify(out, manifest)
    # By the row's place: ids of people's rows may stand twice.
    for record in read_records(out, manifest):
        found[record.index] = TeacherAnswer(label=record.label, rationale=record.rationale)
    for place, why in _rejected(out, manifest):
        found[place] = TeacherAnswer(label=None, why=why)
    return TeacherAnswers(
        answers=tuple(found),
        usd=manifest.cost.usd,
        spent_usd=_spent(done, manifest),
        failure=failure,
        prompts=manifest.hashes.prompts,
    )


def _spent(done: Finished, manifest: Manifest) -> float | None:
    """What a run paid itself; where it did not come to say so, what all of its answers cost."""
    try:
        return orjson.loads(done.output)["cost_usd"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return manifest.cost.usd


def _is_settled(out: Path) -> bool:
    """Whether a run that failed has settled every row all the same: none of them gave a label."""
    if not (out / MANIFEST_NAME).exists():
        return False
    counts = read_manifest(out).counts
    return not counts.records and not _UNREACHED & counts.rejected.keys()


def _rejected(out: Path, manifest: Manifest) -> list[tuple[int, str]]:
    if not manifest.counts.rejected:
        return []
    with refused(out / REJECTS_NAME, "read", ShardError):
        lines = (out / REJECTS_NAME).read_bytes().splitlines()
    return [(line["index"], line["reason"]) for line in map(orjson.loads, lines)]


def _written(rows: Iterable[Fields], folder: Path) -> tuple[Path, str, int]:
    """(the file of these rows, their split's name, how many they are)."""
    path, digest, n = folder / ROWS_NAME, hashlib.sha256(), 0
    with refused(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for row in rows:
                line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
                digest.update(line)
                file.write(line)
                n += 1
    return path, f"deferred-{digest.hexdigest()[:8]}", n


def check_teacher_can_be_asked() -> None:
    """Raises ConfigError: the annotator is not installed."""
    from importlib.util import find_spec

    if find_spec("stepdistill.annotator") is None:
        raise ConfigError("--defer needs the annotator, too: pip install stepdistill-annotator")


def _tell(line: str) -> None:
    """What the annotator says on the way; why it failed is said once, at the end."""
    if not line.startswith(("annotate: ", "error: ")):
        sys.stderr.write(f"{visible(line)}\n")
        sys.stderr.flush()
