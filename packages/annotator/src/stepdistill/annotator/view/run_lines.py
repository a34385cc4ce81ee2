"""The rows of one split as lines: records and rejections, from shards, or made from the store.

A record of a shard is read again from where it lies; whatever is made here lies in the index.
"""

import heapq
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import orjson

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.reading.record import Rules, conclude
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.view.asked import Asked
from stepdistill.common.errors import DatasetError, ShardError
from stepdistill.common.manifest import REJECTS_NAME, Manifest

Line = dict[str, Any]
_IN_SHARD, _HERE = b"s", b"l"
_WHERE = struct.Struct(">HIQI")  # split, shard, first byte, bytes


class SplitLines(Protocol):
    """The rows of one split."""

    @property
    def split(self) -> str:
        """Its name."""
        ...

    @property
    def asked(self) -> Asked | None:
        """What they were asked with; None where that is not to be had."""
        ...

    @property
    def total(self) -> int:
        """How many rows there are."""
        ...

    def lines(self, number: int) -> Iterator[tuple[Line, bytes]]:
        """Every row in order, and where it lies; number: of the split. Raises DistillError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLines:
    """Rows of a folder of shards."""

    folder: Path
    manifest: Manifest
    asked: Asked | None
    has_rows: bool  # whether the plan's rows are those that the shards were made of

    @property
    def split(self) -> str:
        """Its name."""
        return self.manifest.split

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self.manifest.counts.rows

    def lines(self, number: int) -> Iterator[tuple[Line, bytes]]:
        """Every row in order, and where it lies. Raises ShardError, DatasetError."""
        each = self._records(number), self._rejections()
        yield from heapq.merge(*each, key=_index)

    def _records(self, number: int) -> Iterator[tuple[Line, bytes]]:
        for shard, entry in enumerate(self.manifest.shards):
            first = 0
            for line, size in _parsed(self.folder / entry.file):
                yield line, _IN_SHARD + _WHERE.pack(number, shard, first, size)
                first += size

    def _rejections(self) -> Iterator[tuple[Line, bytes]]:
        if not self.manifest.counts.rejected:
            return
        rows = self._rows()
        row = next(rows, None)
        for line, _ in _parsed(self.folder / REJECTS_NAME):
            while row is not None and row.index < line["index"]:
                row = next(rows, None)
            if row is not None and row.index == line["index"]:
                line |= _of_row(row)
                line["template"] = _template(self.asked, row, line.get("key"))
            yield line, _here(line)

    def _rows(self) -> Iterator[Row]:
        """Rows are read again for those that were rejected: their texts are in no shard."""
        if self.asked is None or not self.has_rows:
            return
        plan = self.asked.plan
        with suppress(DatasetError):
            yield from read_rows(plan.task, plan.source, plan.split, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLines:
    """Rows of a task, with what the store has for them: what a run would write of it now."""

    plan: Plan
    rules: Rules  # of the plan
    asked: Asked | None
    store: ResponseStore
    total: int

    @property
    def split(self) -> str:
        """Its name."""
        return self.plan.split

    def lines(self, number: int) -> Iterator[tuple[Line, bytes]]:
        """Every row in order, and where it lies. Raises DatasetError, StoreError."""
        del number
        with self.store.reading() as stored:
            for planned in self.plan.rows():
                result = conclude(planned, stored, self.rules).result
                if isinstance(result, Rejection):
                    line: Line = {**result.line, **_of_row(planned.row)}
                    line["template"] = planned.assignment.label
                else:
                    line = asdict(result)
                yield line, _here(line)


def line_at(place: bytes, splits: list[SplitLines]) -> Line:
    """The line at a place. Raises ShardError: what lies there is no line any more."""
    if place[:1] == _HERE:
        return cast(Line, orjson.loads(place[1:]))
    where: tuple[int, int, int, int] = _WHERE.unpack(place[1:])
    number, shard, first, size = where
    split = splits[number]
    assert isinstance(split, ShardLines)
    path = split.folder / split.manifest.shards[shard].file
    try:
        with path.open("rb") as file:
            line = orjson.loads(os.pread(file.fileno(), size, first))
            return _checked(line)
    except (OSError, ValueError, LookupError, TypeError):
        raise ShardError(
            f"{path}: was written anew while it was looked at: start `annotate view` again"
        ) from None


def fields_of(line: Line) -> dict[str, str]:
    """The row's texts by placeholder; none where they are not known."""
    return line.get("input") or {}


def row_of(line: Line) -> Row | None:
    """The row that a line is about; None where its texts are not known."""
    if "input" not in line:
        return None
    return Row(
        id=line["id"],
        split=line["split"],
        index=line["index"],
        fields=line["input"],
        gold=line.get("gold"),
        gold_rationale=line.get("gold_rationale"),
    )


def _parsed(path: Path) -> Iterator[tuple[Line, int]]:
    number = 1
    try:
        with path.open("rb") as file:
            for line in file:
                yield _checked(orjson.loads(line)), len(line)
                number += 1
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ShardError(
            f"{path} line {number}: cannot be read ({error}): write the shards again"
        ) from None


def _checked(line: Any) -> Line:
    """Raises LookupError, TypeError: it has not what every line has."""
    if not isinstance(line["id"], str) or not isinstance(line["index"], int):
        raise TypeError("not a record")
    return line


def _of_row(row: Row) -> Mapping[str, object]:
    return {"input": row.fields, "gold": row.gold, "gold_rationale": row.gold_rationale}


def _index(each: tuple[Line, bytes]) -> int:
    return each[0]["index"]


def _here(line: Line) -> bytes:
    return _HERE + orjson.dumps(line)


def _template(asked: Asked | None, row: Row, key: str | None) -> str | None:
    """The template of the request of this key."""
    if asked is None or key is None:
        return None
    question = asked.requests(row).get(bytes.fromhex(key))
    return question.template if question else None
