"""Rows in local files, read one at a time: JSON lines, CSV and Parquet; text may be packed."""

import json
import re
import zlib
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import orjson
import zstandard

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.csv_file import csv_layout, csv_rows
from stepdistill.common.files.text_file import encoding_of, open_bytes, open_text

RawRow = dict[str, object]
_PARQUET_ROWS = 1024  # read at a time: memory stays small however large the file is
_LINES, _TABLES = (".jsonl", ".json", ".ndjson"), (".csv", ".tsv")
_PARQUET = ".parquet"
SUFFIXES = (*_LINES, *_TABLES, _PARQUET)
_ENDINGS = (*SUFFIXES, *(f"{each}{packed}" for packed in (".gz", ".zst") for each in SUFFIXES[:-1]))
_SHEETS = (".xlsx", ".xls", ".ods")
_EXACT = {str, int, bool, type(None)}
_ROUNDED = 2.0**63  # orjson makes a float of an integer above 64 bits
_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character: `"\ud83d"`


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
            yield from _json_lines(path)
        else:
            read = csv_rows if kind in _TABLES else _parquet
            yield from enumerate(read(path), start=1)


def remarks_on(path: Path) -> list[str]:
    """What a person may not expect of how a file is read: its encoding, how its columns are told
    apart and called. Raises DatasetError."""
    kind = _kind(path)
    if kind == _PARQUET:
        return []
    with _refused(path):
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
    except (EOFError, zlib.error, zstandard.ZstdError, UnicodeError) as error:
        raise DatasetError(f"{path}: cut off or damaged ({error})") from None


def _kind(path: Path) -> str:
    """`.csv` of `rows.csv.gz`. Raises DatasetError."""
    suffix = suffix_of(path)
    if suffix is None:
        known = f"{', '.join(SUFFIXES)} files; .gz and .zst, too"
        hint = ": save the sheet as CSV" if path.suffix.casefold() in _SHEETS else ""
        raise DatasetError(f"{path}: rows are read from {known}{hint}")
    return suffix.removesuffix(".gz").removesuffix(".zst")


def json_line(row: RawRow) -> bytes:
    """A row as a line of JSON, its integers whole."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE, default=str)
    except orjson.JSONEncodeError:  # above 64 bits
        return json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n"


def _json_lines(path: Path) -> Iterator[tuple[int, RawRow]]:
    encoding = encoding_of(path)
    with open_bytes(path) if encoding == "utf-8" else open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.isspace():  # files end with an empty line at times
                content = line if isinstance(line, bytes) else line.encode()
                yield number, _json_object(content, path, number)


def _json_object(line: bytes, path: Path, number: int) -> RawRow:
    try:
        row = _loaded(line)
    except (ValueError, RecursionError):
        try:
            row = _forgiving(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(
                f"{path} line {number}: not JSON ({error}){_hint(line)}: cut off? mend or remove "
                "the line"
            ) from None
    if not isinstance(row, dict):
        raise DatasetError(f"{path} line {number}: not a JSON object{_hint(line)}")
    return cast(RawRow, row)


def _hint(line: bytes) -> str:
    is_array = line.lstrip()[:1] == b"["
    return "; one JSON array? `jq -c .[] FILE > FILE.jsonl` makes it lines" if is_array else ""


def _loaded(line: bytes) -> object:
    value: object = orjson.loads(line)
    if type(value) is dict and _EXACT.issuperset(map(type, cast(RawRow, value).values())):
        return cast(object, value)  # texts and small integers, as nearly all rows
    return _forgiving(line) if _is_rounded(cast(object, value)) else cast(object, value)


def _is_rounded(value: object) -> bool:
    """Whether there may be an integer in it that had more than 64 bits."""
    if isinstance(value, dict):
        inside: Collection[object] = cast(RawRow, value).values()
    elif isinstance(value, list):
        inside = cast(list[object], value)
    else:
        return isinstance(value, float) and abs(value) >= _ROUNDED
    return not _EXACT.issuperset(map(type, inside)) and any(map(_is_rounded, inside))


def _forgiving(line: bytes) -> object:
    """What Python and pandas write beyond JSON: NaN is null, integers may be of any length, and
    half a character becomes the sign for one that is not known."""
    row = json.loads(line, parse_constant=lambda _: None)
    return _mended(row)


def _mended(value: Any) -> Any:
    """Without halves of characters, and with null for NaN."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, list):
        return [_mended(each) for each in cast(list[object], value)]
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in cast(RawRow, value).items()}
    return value


def _parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow.parquet  # half a second to import: only where it is used

    parquet, arrow_error = cast(Any, pyarrow.parquet), cast(Any, pyarrow).lib.ArrowException
    try:
        with parquet.ParquetFile(path) as file:
            # NaN is where pandas has no number.
            mend = re.search("float|double", str(file.schema_arrow)) is not None
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                rows = batch.to_pylist()
                yield from map(_mended, rows) if mend else rows
    except (ValueError, arrow_error) as error:  # ArrowInvalid is a ValueError
        message = " ".join(str(error).split())
        raise DatasetError(f"{path}: not readable Parquet ({message})") from None
