"""Rows in local files: JSON lines (also gzipped), CSV and Parquet, read a row at a time."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from stepdistill.common.errors import DatasetError

RawRow = dict[str, object]
_READ_BYTES = 1 << 18  # of a file at a time
_PARQUET_ROWS = 1024  # likewise: memory stays small however large the file is
SUFFIXES = (".jsonl.gz", ".json.gz", ".jsonl", ".json", ".csv", ".parquet")


def suffix_of(file: Path) -> str | None:
    """The ending that says how a file is read, None for files of other kinds."""
    return next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), None)


def reader_of(path: Path) -> Callable[[Path], Iterator[RawRow]]:
    """How to read this file. Raises DatasetError for an ending that nobody knows."""
    suffix = suffix_of(path)
    if suffix is None:
        raise DatasetError(f"{path}: rows are read from {', '.join(SUFFIXES)} files")
    return {".csv": _csv, ".parquet": _parquet}.get(suffix, _json_lines)


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where its name ends in .gz."""
    packed = path.name.endswith(".gz")
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb", _READ_BYTES)


def _json_lines(path: Path) -> Iterator[RawRow]:
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                if not line.isspace():  # files end with an empty line at times
                    yield _json_object(line, f"{path} line {number}")
    except (EOFError, zlib.error):
        raise DatasetError(
            f"{path}: the gzip file is cut off or damaged after line {number}"
        ) from None


def _json_object(line: bytes, where: str) -> RawRow:
    is_array = line.lstrip()[:1] == b"["
    hint = "; one JSON array? `jq -c .[] FILE > FILE.jsonl` makes it lines" if is_array else ""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DatasetError(
            f"{where}: not JSON ({error.msg}){hint}: cut off? mend or remove the line"
        ) from None
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: not a JSON object{hint}")
    return cast(RawRow, row)


def _csv(path: Path) -> Iterator[RawRow]:
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a BOM
        rows = csv.DictReader(file, strict=True)
        try:
            for row in rows:
                if None in row or None in row.values():  # how csv marks cells too many, too few
                    raise DatasetError(
                        f"{path} line {rows.line_num}: not the header's number of columns"
                    )
                yield dict(row)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: not readable CSV ({error})") from None


def _parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow.parquet  # half a second to import: only where it is used

    try:
        with cast(Any, pyarrow.parquet).ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                yield from batch.to_pylist()
    except ValueError as error:  # ArrowInvalid is one
        raise DatasetError(f"{path}: not readable Parquet ({error})") from None
