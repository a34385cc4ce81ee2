"""Rows from files without a manifest: gold labels alone, and the original's `<split>_CoT.json`.

    --train runs/esnli/train more.jsonl     lines of {"id": "7", "input": {...}, "gold": "neutral"}
    --train rows.jsonl --cot train_CoT.json lines of {"label": ..., "explanation": ...}, row by row

What the labels are and how a row is put to the student, a file takes from the first folder of
shards of the same run. An explanation or a label that is missing or blank stays missing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ShardError
from stepdistill.common.manifest import Counts, Manifest, ShardEntry
from stepdistill.common.record import PartRef, Record

_NOBODY = PartRef(label=None, rationale=None)
_Line = TypeVar("_Line", bound=BaseModel)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | int | None = None
    input: dict[str, str]
    gold: str | None = None
    label: str | None = None
    rationale: str | None = None


class _Told(BaseModel):
    """A line of the original's file; other fields of it are not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    label: str | None = None
    explanation: str | None = None


def read_file(path: Path, split: str, like: Manifest) -> tuple[Manifest, tuple[Record, ...]]:
    """The rows of a file as records, with a manifest made for it. Raises ShardError."""
    records = [
        Record(
            id=str(number if row.id is None else row.id),
            split=split,
            index=number,
            input=row.input,
            label=row.label,
            rationale=row.rationale,
            gold=row.gold,
            templates=_NOBODY,
            keys=_NOBODY,
            confidence=None,
        )
        for number, row in enumerate(_lines(path, _Row))
    ]
    return _manifest(path, split, len(records), like), tuple(records)


def told_by(records: tuple[Record, ...], path: Path) -> tuple[Record, ...]:
    """The records with label and rationale from the original's file, line by line.

    Raises ShardError when there is not a line for each record.
    """
    lines = list(_lines(path, _Told))
    if len(lines) != len(records):
        raise ShardError(
            f"--cot {path}: {len(lines)} lines for {len(records)} rows: it goes by the order of "
            "the rows, so name the very file of rows that it was made for"
        )
    return tuple(
        replace(record, label=told.label, rationale=told.explanation)
        for record, told in zip(records, lines, strict=True)
    )


def _lines(path: Path, kind: type[_Line]) -> Iterator[_Line]:
    try:
        content = path.read_bytes().splitlines()
    except OSError as error:
        raise ShardError(f"{path}: cannot be read ({error.strerror})") from None
    for number, line in enumerate(content, start=1):
        try:
            yield kind.model_validate(orjson.loads(line))
        except (orjson.JSONDecodeError, ValidationError) as error:
            raise ShardError(f"{path} line {number}: {_first(error)}") from None


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ": ".join([*map(str, first["loc"]), first["msg"]])
    return f"not JSON ({error})"


def entry_of(path: Path, rows: int) -> ShardEntry:
    """A file as a manifest lists it."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return ShardEntry(file=path.name, rows=rows, bytes=len(content), sha256=digest)


def _manifest(path: Path, split: str, rows: int, like: Manifest) -> Manifest:
    entry = entry_of(path, rows)
    counts = Counts(rows=rows, records=rows, rejected={})
    changes = {"split": split, "counts": counts, "shards": [entry], "fingerprint": entry.sha256}
    return like.model_copy(update=changes)
