"""What a notebook imports: a frame becomes a task, the teacher's answers come back as a frame.

    from stepdistill import Task, annotate, estimate, experiment

Everything is done by the commands of `annotate`, each a process of its own, and shown: so it works
within a running event loop, an interrupt is theirs to handle, and a terminal goes on where the
notebook stopped. Frames come back as pandas where that is installed, else as lists of dicts.
"""

import hashlib
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import orjson

from stepdistill.annotator.importing.row_origin import note_of
from stepdistill.annotator.settings.importing import check_task_name
from stepdistill.common.errors import ConfigError
from stepdistill.common.files.json_file import RawRow, json_line
from stepdistill.common.frames import Frame, frame_of, read_frame
from stepdistill.common.free_name import free_name
from stepdistill.common.own_command import CommandFailed, Finished, run_command
from stepdistill.common.task import LONGEST_NAME
from stepdistill.common.urls import shown
from stepdistill.common.whole_file import made_anew, write_whole

_NOTE = "notebook.json"  # beside a task's rows: what it was made of
_ROW = "row"  # the column that is put to a frame: a row's place, by which answers are joined
_UNANSWERED = 3  # exit code: some rows were not answered; the others have been written


@dataclass(frozen=True, kw_only=True, repr=False)
class Task:  # budget: as people call it; the trainer's is one of a student's tasks
    """A task made of a frame: `Task.from_frame`."""

    name: str  # of its folders in `prompts`, `data` and `runs`
    home: Path  # the folder that these are in: where the notebook was
    frame: Frame
    splits: tuple[str, ...]  # that have rows

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        label: str | None = None,
        text: str | Sequence[str] = (),
        labels: Sequence[str] = (),
        name: str | None = None,
        replace: bool = False,
    ) -> Self:
        """A task for the rows of a frame: of pandas, polars, or a list of dicts.

        label: the column with the labels that are known. text: the columns to read; default: all
        others. labels: the classes, where no row has a label; with neither, labels are free text.
        name: of its folders; default: the label's column. replace: make a task of this name anew;
        what was answered stays in the store.
        """
        read, home = read_frame(frame), Path.cwd()
        if label is not None and labels:
            raise ConfigError(
                "label= names a column, labels= the classes of rows without: not both"
            )
        words = ["--unlabelled"] if label is None else ["--label", label]
        if labels:
            words = ["--labels", ",".join(labels)]
        for column in (text,) if isinstance(text, str) else text:
            words += ["--text", column]
        plain = re.sub(r"[^a-z0-9]+", "-", (label or "").lower()).strip("-")
        name = name or plain[:LONGEST_NAME] or "rows"
        splits = _make(home, name, read, words, replace=replace)
        return cls(name=name, home=home, frame=read, splits=splits)

    @property
    def prompts(self) -> Path:
        """The folder with its prompts: make their words yours."""
        return self.home / "prompts" / self.name

    @property
    def shards(self) -> Path:
        """The folder with what was answered, a folder for each split: what a student learns."""
        return self.home / "runs" / self.name

    def __repr__(self) -> str:
        return f"Task({self.name}: {len(self.frame.rows):,} rows; {self.prompts}, {self.shards})"


def annotate(
    task: Task, *, teacher: str, max_cost: float | str | None = None, **options: object
) -> Any:
    """Ask the teacher about every row: the frame, row for row, with what came of it.

    New columns, as `annotate export` has them: label, rationale, confidence (0 to 1), template,
    and of a row without a label why it has none: rejected, a word, and why. options: of `annotate
    run`, as `votes=3` for `--votes 3`. Done again it goes on where it stopped, and nothing is paid
    for twice. Raises DistillError.
    """
    asked = {"teacher": teacher, "split": task.splits, "max_cost": max_cost, **options}
    done = _ask(task, "run", asked)
    if done.code != _UNANSWERED or not done.output:  # what was not answered is a rejection
        done.checked()
    result: dict[str, Any] = orjson.loads(done.output)
    if result["waiting"]:
        raise CommandFailed(
            f"{result['waiting']:,} requests are in batches: the same call collects them", 3
        )
    if done.code:
        _tell(f"WARNING: {done.last_words}")
    file = Path(result["out"]) / "answered.jsonl"
    exported = _json(_annotate(task.home, ["export", result["out"], "--to", str(file), "--json"]))
    lines = (task.home / file).read_bytes().splitlines()
    # By the names that they have in the file: there, too, the frame's own columns keep theirs.
    named: dict[str, str] = exported["columns"]
    rows = [{name: row[named[name]] for name in named} for row in map(orjson.loads, lines)]
    return task.frame.joined(list(named), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What a run would cost, in USD; None where the model has no known price."""

    rows: int
    to_ask: int  # of the requests: the store answers the others
    low: float | None
    likely: float | None
    high: float | None
    likely_batch: float | None  # through the Batch API
    most: float | None  # were every answer as long as it may be
    details: dict[str, Any] = field(repr=False)  # all that `annotate estimate --json` says


def estimate(task: Task, *, teacher: str, **options: object) -> CostEstimate:
    """What `annotate` would cost. Nobody is asked, unless probe=20 says so. Raises DistillError."""
    facts = _json(_ask(task, "estimate", {"teacher": teacher, "split": task.splits, **options}))
    online: dict[str, float] = facts["online_usd"] or {}
    batch: dict[str, float] = facts["batch_usd"] or {}
    return CostEstimate(
        rows=facts["rows"],
        to_ask=facts["to_ask"],
        low=online.get("low"),
        likely=online.get("likely"),
        high=online.get("high"),
        likely_batch=batch.get("likely"),
        most=facts["most_usd"],
        details=facts,
    )


def experiment(
    task: Task, *, teacher: str, max_cost: float | str | None = None, **options: object
) -> Any:
    """Ask the same rows of every template: the templates as a frame, the best first.

    options: of `annotate experiment`, as `test_size=60`, `race=True`. Raises DistillError.
    """
    facts = _json(_ask(task, "experiment", {"teacher": teacher, "max_cost": max_cost, **options}))
    ranking: list[RawRow] = facts["ranking"]
    return frame_of(ranking, list(ranking[0]) if ranking else [])


def _make(
    home: Path, name: str, frame: Frame, words: Sequence[str], *, replace: bool
) -> tuple[str, ...]:
    """Make the task's folders, unless they are there already; the splits that have rows.

    Whoever runs a notebook's cells again has the same task, with what was changed in its prompts.
    """
    check_task_name(name)
    data, prompts = home / "data" / name, home / "prompts" / name
    row = free_name(_ROW, frame.columns)
    content = b"".join(
        json_line({row: str(place), **values}) for place, values in enumerate(frame.rows)
    )
    made_of = hashlib.sha256(repr(words).encode() + content).hexdigest()
    if (data / _NOTE).exists() and prompts.exists() and not replace:
        note = orjson.loads((data / _NOTE).read_bytes())
        if note["made_of"] == made_of:
            return tuple(note["splits"])
    if (data.exists() or prompts.exists()) and not replace:
        raise ConfigError(
            f"task {name} is there already, made of other rows or columns: name='{name}-2' is "
            "another, replace=True makes it anew (prompts, too; answers stay in the store)"
        )
    if (data.exists() or prompts.exists()) and not (data / _NOTE).exists():
        raise ConfigError(
            f"task {name} is there already, not made by a notebook: take another name, or remove "
            f"data/{name} and prompts/{name} yourself"
        )
    with made_anew(data, prompts, note_of(data)):
        write_whole(data / "frame.jsonl", content)
        file = f"data/{name}/frame.jsonl"
        done = _annotate(home, ["new", name, file, *words, "--id", row, "--yes", "--json"])
        splits = [split for split, counts in _json(done)["splits"].items() if sum(counts.values())]
        write_whole(data / _NOTE, orjson.dumps({"made_of": made_of, "splits": splits}))
    return tuple(splits)


def _ask(task: Task, command: str, options: Mapping[str, object]) -> Finished:
    return _annotate(task.home, [command, task.name, *_words(options), "--json"])


def _annotate(home: Path, words: Sequence[str]) -> Finished:
    """Run a command, shown as it would be typed, but for secrets: a notebook keeps what it shows.
    What the command says on the way is shown, too."""
    _tell(f"$ {shlex.join(['annotate', *map(shown, words)])}")
    return run_command(["annotate", *words], _tell, cwd=home)


def _json(done: Finished) -> dict[str, Any]:
    return orjson.loads(done.checked())


def _words(options: Mapping[str, object]) -> Iterator[str]:
    """Options by name as a command line has them."""
    for name, value in options.items():
        if value is None or value is False:
            continue
        yield f"--{name.replace('_', '-')}"
        if isinstance(value, list | tuple):
            yield ",".join(map(str, cast(Sequence[object], value)))
        elif value is not True:
            yield str(value)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
