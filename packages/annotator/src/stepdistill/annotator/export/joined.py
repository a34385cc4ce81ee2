"""Rows of one's own, each with what a run made of it: joined by split and number, never by id."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import orjson

from stepdistill.annotator.export.run_rows import FinishedRun, FinishedSplit, RunRows
from stepdistill.common.errors import ShardError
from stepdistill.common.free_name import free_name
from stepdistill.common.manifest import REJECTS_NAME
from stepdistill.common.record import Record
from stepdistill.common.shards import read_records, verify
from stepdistill.common.tables.cells import Row

OUTCOME = ("label", "rationale", "confidence", "template", "rejected", "why")
LABELLED, NOT_ASKED = "labelled", "not_asked"
_SPLIT = "split"


class _Place(NamedTuple):
    """What became of the row that has this number in its split."""

    number: int
    cells: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A table of rows and what became of them. The counts are full once all rows were read."""

    columns: list[str]  # of the rows, then of what became of them
    own: dict[str, str]  # what became of them -> the column that has it
    source: RunRows
    run: FinishedRun
    counts: Counter[str] = field(default_factory=Counter[str])  # labelled, or why not -> rows
    labels: Counter[str] = field(default_factory=Counter[str])  # of a closed set -> rows

    @property
    def rejected(self) -> dict[str, int]:
        """Why rows were rejected -> rows."""
        others = (LABELLED, NOT_ASKED)
        return {reason: n for reason, n in sorted(self.counts.items()) if reason not in others}

    def rows(self) -> Iterator[tuple[str, Row]]:
        """(split, row), in the order of the file. Raises DatasetError, ShardError."""
        self.counts.clear()
        self.labels.clear()
        has_classes = bool(self.source.task.label.classes)
        outcomes = {name: _outcomes(split) for name, split in self.run.splits.items()}
        for split, row in self.source.rows():
            outcome = next(outcomes[split]) if split in outcomes else _unasked()
            self.counts[str(outcome["rejected"] or LABELLED)] += 1
            if has_classes and outcome["label"] is not None:
                self.labels[str(outcome["label"])] += 1
            cells = {self.own[name]: value for name, value in outcome.items()}
            if _SPLIT in self.own:
                cells[self.own[_SPLIT]] = split
            yield split, {**row, **cells}
        asked = sum(split.manifest.counts.rows for split in self.run.splits.values())
        if self.counts.total() - self.counts[NOT_ASKED] != asked:
            raise ShardError(f"{self.run.folder}: of other rows than its manifests say: run again")


def join(run: FinishedRun, source: RunRows) -> Joined:
    """The table. Every shard is checked, and the rows read once, for their columns. Raises
    DatasetError, ShardError."""
    for split in run.splits.values():
        verify(split.folder, split.manifest)
    columns = dict.fromkeys(name for _, row in source.rows() for name in row)
    wanted = OUTCOME if source.is_one_file else (*OUTCOME, _SPLIT)
    own = {name: free_name(name, columns) for name in wanted}
    return Joined(columns=[*columns, *own.values()], own=own, source=source, run=run)


def _outcomes(split: FinishedSplit) -> Iterator[Row]:
    """Of each row of the split in turn, without end: rows that were not asked come last."""
    n = 0
    for place in heapq.merge(_labelled(split), _rejected(split), key=lambda each: each.number):
        if place.number < n:
            raise ShardError(f"{split.folder}: row {place.number} twice: write the shards again")
        yield from (_unasked() for _ in range(n, place.number))
        yield place.cells
        n = place.number + 1
    yield from map(dict, repeat(_unasked()))


def _labelled(split: FinishedSplit) -> Iterator[_Place]:
    for record in read_records(split.folder, split.manifest):
        sureness = record.sureness
        cells = _cells(
            label=record.label,
            rationale=record.rationale,
            confidence=record.confidence if sureness is None else sureness,
            template=_template(record),
        )
        yield _Place(record.index, cells)


def _template(record: Record) -> str | None:
    label, rationale = record.templates.label, record.templates.rationale
    return label if rationale in (None, label) else f"{label} + {rationale}"


def _rejected(split: FinishedSplit) -> Iterator[_Place]:
    path = split.folder / REJECTS_NAME
    n = 0
    try:
        with path.open("rb") as file:
            for line in file:
                rejected = orjson.loads(line)
                n += 1
                cells = _cells(rejected=rejected["reason"], why=rejected["detail"])
                yield _Place(rejected["index"], cells)
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ShardError(f"{path}: cannot be read ({error}): write the shards again") from None
    if n != sum(split.manifest.counts.rejected.values()):
        raise ShardError(f"{path}: not the lines that the manifest counts: write the shards again")


def _unasked() -> Row:
    return _cells(rejected=NOT_ASKED, why="the run left this row out")


def _cells(**known: object) -> Row:
    return {**dict.fromkeys(OUTCOME), **known}
