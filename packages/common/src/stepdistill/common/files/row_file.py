"""Rows in files, read one at a time: JSON, tables of text, spreadsheets and Parquet.

Text may be packed, and a file may lie elsewhere (`remote.py`).
"""

import json
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.csv_file import csv_layout, csv_rows
from stepdistill.common.files.json_file import RawRow, json_rows, mended
from stepdistill.common.files.sheet_file import SHEETS, sheet_remarks, sheet_rows
from stepdistill.common.files.text_file import DAMAGED, encoding_of, packed_name

_PARQUET_ROWS = 1024  # read at a time: memory stays small however large the file is
_LINES, _TABLES = (".jsonl", ".json", ".ndjson"), (".csv", ".tsv")
_PARQUET, _ZIP = ".parquet", ".zip"
_TEXTS = (*_LINES, *_TABLES)
_PACKED = (".gz", ".zst", ".xz", ".bz2", _ZIP)
SUFFIXES = (*_TEXTS, *SHEETS[:1], _PARQUET)  # to be named in messages
_ENDINGS = (*_TEXTS, *SHEETS, _PARQUET, *(f"{e}{p}" for p in _PACKED for e in _TEXTS), _ZIP)


def suffix_of(file: Path) -> str | None:
    """The ending that says how a file is read, None for files of other kinds."""
    name = file.name.casefold()
    return next((ending for ending in _ENDINGS if name.endswith(ending)), None)


def read_file(path: Path) -> Iterator[RawRow]:
    """A file's rows. Raises DatasetError: nobody knows its ending, or it cannot be read."""
    return (row for _, row in numbered_rows(path))


def numbered_rows(path: Path, kind: str | None = None) -> Iterator[tuple[int, RawRow]]:
    """The same with the rows' numbers, from 1: of lines in JSON lines, of rows elsewhere.

    kind: the ending that says how the file is read, where that is not its own.
    """
    kind = kind or _kind(path)
    with _refused(path):
        if kind in _LINES:
            yield from json_rows(path)
        else:
            read = csv_rows if kind in _TABLES else sheet_rows if kind in SHEETS else _parquet
            yield from enumerate(read(path), start=1)


def remarks_on(path: Path) -> list[str]:
    """What a person may not expect of how a file is read: its encoding, how its columns are told
    apart and called. Raises DatasetError."""
    kind = _kind(path)
    if kind == _PARQUET:
        return []
    with _refused(path):
        if kind in SHEETS:
            return sheet_remarks(path)
        encoding = encoding_of(path)
        told = [] if encoding.startswith("utf-8") else [f"it is read as {encoding}"]
        return [*told, *csv_layout(path).remarks()] if kind in _TABLES else told


@contextmanager
def _refused(path: Path) -> Generator[None]:
    """What stands in the way of reading a file becomes one line."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (*DAMAGED, UnicodeError) as error:
        raise DatasetError(f"{path}: cut off or damaged ({error})") from None


def _kind(path: Path) -> str:
    """`.csv` of `rows.csv.gz`, and of `rows.zip` that holds such a file. Raises DatasetError."""
    suffix = suffix_of(path)
    if suffix == _ZIP:
        with _refused(path):
            suffix = suffix_of(Path(packed_name(path)))
    if suffix is None or suffix == _ZIP:
        raise DatasetError(
            f"{path}: rows are read from {', '.join(SUFFIXES)} files; of text, packed as "
            f"{', '.join(_PACKED)}, too"
        )
    return next((kind for kind in _TEXTS if suffix.startswith(f"{kind}.")), suffix)


def _parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow.parquet  # half a second to import: only where it is used

    parquet, arrow_error = cast(Any, pyarrow.parquet), cast(Any, pyarrow).lib.ArrowException
    try:
        with parquet.ParquetFile(path) as file:
            # NaN is where pandas has no number.
            mend = re.search("float|double", str(file.schema_arrow)) is not None
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                rows = batch.to_pylist()
                yield from map(mended, rows) if mend else rows
    except (ValueError, arrow_error) as error:  # ArrowInvalid is a ValueError
        message = " ".join(str(error).split())
        raise DatasetError(f"{path}: not readable Parquet ({message})") from None


def class_names(path: Path) -> dict[str, list[str]]:
    """What the numbers of a column mean, by the column: a file that `datasets` wrote says so of its
    labels. Empty where nothing is said."""
    if suffix_of(path) != _PARQUET:
        return {}
    import pyarrow.parquet

    noted: dict[bytes, bytes] = cast(Any, pyarrow.parquet).read_schema(path).metadata or {}
    try:
        features: dict[str, Any] = json.loads(noted[b"huggingface"])["info"]["features"]
        return {name: each["names"] for name, each in features.items() if "names" in each}
    except (KeyError, TypeError, ValueError):
        return {}
