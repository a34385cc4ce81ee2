"""`stepdistill rationales choose FOLDER... --out DIR`: of each row's reasons, those that help most.

The candidates of a row are its reasons in all folders, and those of several votes that a record has
(`annotate run --votes 3 --keep-rationales 3`). They are judged by how much likelier they make the
label to a student that has not seen the row (`usefulness.py`); of two that are nearly the same one
is kept. What comes out are shards of the same rows, and beside them what was said of every reason.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from statistics import fmean

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.manifest import (
    MANIFEST_NAME,
    REJECTS_NAME,
    CostEntry,
    Counts,
    Manifest,
    Rationales,
    TokenTotals,
)
from stepdistill.common.record import Record
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.data.examples import rows_of
from stepdistill.trainer.data.shards import DataSplit, entry_of, read_split
from stepdistill.trainer.errors import refused
from stepdistill.trainer.rationales.masking import nearly_same
from stepdistill.trainer.rationales.usefulness import CandidateRow, CandidateScores, judge
from stepdistill.trainer.settings.rationales import ChooseRationalesSettings

_SHARD, _CHOICES = "shard-00000.jsonl", "choices.jsonl"
_NOT_CHOSEN = "not_chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenReasons:
    """A row with what was chosen of its reasons."""

    record: Record  # of the first folder that has a label for it
    row: CandidateRow
    judged: CandidateScores
    kept: tuple[int, ...]  # places of reasons, the most useful first

    @property
    def chosen(self) -> Record:
        """The record with these reasons."""
        first, *others = [self.row.reasons[place] for place in self.kept] or [None]
        return replace(self.record, rationale=first, other_rationales=others or None)

    @property
    def line(self) -> dict[str, object]:
        """For people who look: every candidate, and how much likelier it makes the label."""
        each = [
            {"rationale": text, "gain": round(gain, 4), "kept": place in self.kept}
            for place, (text, gain) in enumerate(
                zip(self.row.reasons, self.judged.gains, strict=True)
            )
        ]
        return {"id": self.row.id, "label": self.row.label, "candidates": each}


def choose(settings: ChooseRationalesSettings) -> None:
    """The command. Raises DistillError."""
    _refuse_other_files(settings)
    split = read_split("train", settings.folders)
    labelled = list(_labelled(split))
    rows = [row for row, _ in labelled if row.reasons]
    if len(rows) < 2:
        raise ConfigError("fewer than two rows have a label and reasons: nothing to choose from")
    candidates = sum(len(row.reasons) for row in rows)
    if not settings.quiet:
        sys.stderr.write(
            f"{candidates:,} reasons of {len(rows):,} rows: training two students "
            f"({settings.model}, {settings.steps:,} steps) that judge them\n"
        )
    manifest = split.parts[0].manifest
    judged, nothing = iter(judge(rows, settings, manifest)), CandidateScores(with_reasons=())
    found = [
        _chosen(record, row, next(judged) if row.reasons else nothing, settings)
        for row, record in labelled
    ]
    _write(settings.out, found, split, settings)
    facts = _facts(found, settings)
    if settings.json:
        sys.stdout.write(orjson.dumps(facts).decode() + "\n")
    else:
        sys.stdout.write(_in_words(facts, settings))


def _labelled(split: DataSplit) -> Iterator[tuple[CandidateRow, Record]]:
    """Every row that has a label: the first counts, and reasons argue for it alone."""
    kind = kind_of(split.parts[0].manifest.label)
    for text, records in rows_of(split):
        record = next((each for each in records if (each.label or "").strip()), None)
        if record is None or record.label is None:
            continue
        choices = kind.choices(record.input)
        same = (r for r in records if r.label and kind.same(r.label, record.label, choices))
        told = (reason.strip() for each in same for reason in each.rationales)
        reasons = tuple(dict.fromkeys(reason for reason in told if reason))
        yield (
            CandidateRow(
                id=record.id, input=text, label=record.label, choices=choices, reasons=reasons
            ),
            record,
        )


def _chosen(
    record: Record, row: CandidateRow, judged: CandidateScores, settings: ChooseRationalesSettings
) -> ChosenReasons:
    gains, kept = judged.gains, list[int]()
    for place in sorted(range(len(gains)), key=lambda place: -gains[place]):
        if len(kept) == settings.keep or (settings.helping and gains[place] <= 0):
            break
        if not any(nearly_same(row.reasons[place], row.reasons[other]) for other in kept):
            kept.append(place)
    return ChosenReasons(record=record, row=row, judged=judged, kept=tuple(kept))


def _refuse_other_files(settings: ChooseRationalesSettings) -> None:
    """Raises ConfigError: something is there, and it is not ours or not to be replaced."""
    out = settings.out
    with refused(f"--out {out}", "read"):
        there = {path.name for path in out.iterdir()} if out.exists() else set[str]()
    if any(isinstance(f, Path) and f.resolve() == out.resolve() for f in settings.folders):
        raise ConfigError(f"--out {out}: these are the shards to choose from: take another folder")
    if there - {_SHARD, _CHOICES, MANIFEST_NAME, REJECTS_NAME} or (
        there and not (out / _CHOICES).exists()
    ):
        raise ConfigError(f"--out {out}: holds other files: take another folder")
    if there and not settings.force:
        raise ConfigError(f"--out {out}: holds chosen reasons already: --force replaces them")


def _write(
    out: Path, found: Sequence[ChosenReasons], split: DataSplit, settings: ChooseRationalesSettings
) -> None:
    """The shards, the manifest last."""
    lines = [orjson.dumps(each.chosen.content) + b"\n" for each in found]
    choices = [orjson.dumps(each.line) + b"\n" for each in found if each.row.reasons]
    with refused(f"--out {out}"):
        with suppress(FileNotFoundError):
            (out / MANIFEST_NAME).unlink()
        write_whole(out / _CHOICES, b"".join(choices))
        write_whole(out / _SHARD, b"".join(lines))
        write_whole(out / REJECTS_NAME, b"")
        manifest = _manifest(found, split, settings, out / _SHARD)
        write_whole(out / MANIFEST_NAME, manifest.model_dump_json(indent=2).encode() + b"\n")


def _manifest(
    found: Sequence[ChosenReasons],
    split: DataSplit,
    settings: ChooseRationalesSettings,
    shard: Path,
) -> Manifest:
    each = [part.manifest for part in split.parts]
    usd = [manifest.cost.usd for manifest in each]
    left = sum(len(row.row.reasons) - len(row.kept) for row in found)
    made = [settings.model, settings.steps, settings.keep, settings.helping]
    content = [[manifest.fingerprint for manifest in each], made]
    return each[0].model_copy(
        update={
            "counts": Counts(rows=len(found), records=len(found), rejected={}),
            "shards": [entry_of(shard, len(found))],
            "fingerprint": hashlib.sha256(orjson.dumps(content)).hexdigest(),
            "rationales": Rationales(
                records=sum(bool(row.kept) for row in found), dropped={_NOT_CHOSEN: left}
            ),
            "answers": sum(manifest.answers for manifest in each),
            "tokens": TokenTotals(
                prompt=sum(manifest.tokens.prompt for manifest in each),
                completion=sum(manifest.tokens.completion for manifest in each),
                cached=sum(manifest.tokens.cached for manifest in each),
                uncounted=sum(manifest.tokens.uncounted for manifest in each),
            ),
            "cost": CostEntry(
                usd=None if None in usd else round(sum(filter(None, usd)), 6),
                price=", ".join(sorted({manifest.cost.price for manifest in each})),
            ),
            "cut_off": None,
            "row_shard": None,
        }
    )


def _facts(found: Sequence[ChosenReasons], settings: ChooseRationalesSettings) -> dict[str, object]:
    """The object of `--json`. Gains are in nats: the log of how many times likelier."""
    rows = [each for each in found if each.row.reasons]
    kept = [each.judged.gains[place] for each in rows for place in each.kept]
    return {
        "rows": len(found),
        "with_reasons": len(rows),
        "candidates": sum(len(each.row.reasons) for each in rows),
        "kept": len(kept),
        "rows_with_kept": sum(bool(each.kept) for each in rows),
        "gain_of_all": fmean(gain for each in rows for gain in each.judged.gains),
        "gain_of_kept": fmean(kept) if kept else None,
        "helping": sum(gain > 0 for each in rows for gain in each.judged.gains),
        "out": str(settings.out),
    }


def _in_words(facts: dict[str, object], settings: ChooseRationalesSettings) -> str:
    gain, kept = (float(str(facts[name] or 0)) for name in ("gain_of_all", "gain_of_kept"))
    doubt = ""
    if gain <= 0:
        doubt = (
            "To these students the reasons say nothing of the label, so the choice is as good as "
            "chance: more --steps, or a larger --model, may see more in them.\n"
        )
    return (
        f"{facts['kept']:,} of {facts['candidates']:,} reasons are kept, of "
        f"{facts['rows_with_kept']:,} of {facts['rows']:,} rows; {facts['helping']:,} make the "
        "label likelier\n"
        f"A label is {exp(gain):.2f} times as likely with a reason as without, with one "
        f"that is kept {exp(kept):.2f} times (means of logs, rows not seen)\n{doubt}"
        f"Shards: {settings.out}; what was said of each reason: {settings.out / _CHOICES}\n"
        f"Next: stepdistill train --train {settings.out} ... --rationales {settings.keep}\n"
    )
