"""Rows in JSON: a line each, or one document that holds them all.

Documents are an array of objects; an object with such an array (`{"version": 1, "data": [...]}`);
and columns, as pandas and `datasets` write them: `{"text": ["a", "b"], "label": [0, 1]}`, or with
row numbers for lists. What NaN and halves of characters mean there is said in `_mended`.
"""

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date, time
from itertools import chain
from pathlib import Path
from typing import Any, cast

import orjson

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.text_file import encoding_of, open_bytes, open_text

RawRow = dict[str, object]
_EXACT = {str, int, bool, type(None)}
_KEYS = (str, int, float, type(None))
_WRITTEN = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
_ROUNDED = 2.0**63  # orjson makes a float of an integer above 64 bits
_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character: `"\ud83d"`
# How an array of rows is called in a document of one line, which might be a row of its own.
_TABLES = {"data", "rows", "examples", "records", "items", "instances", "entries", "results"}


def json_line(row: RawRow) -> bytes:
    """A row as a line of JSON."""
    return json_of(row) + b"\n"


def json_of(value: object) -> bytes:
    """Whatever a row may hold as JSON on one line: integers of any length stay whole, NaN is null,
    half a character the sign for one that is not known, and `plain` is said of all else."""
    try:
        return orjson.dumps(value, default=plain, option=_WRITTEN)
    except orjson.JSONEncodeError:  # above 64 bits, half a character, a key with parts
        exact = _forgiving(json.dumps(_with_names(value), default=plain))
        return json.dumps(exact, ensure_ascii=False, separators=(",", ":")).encode()


def _with_names(value: object) -> object:
    """A value whose keys are such as JSON has."""
    if isinstance(value, dict):
        return {
            key if isinstance(key, _KEYS) else plain(key): _with_names(each)
            for key, each in cast(dict[object, object], value).items()
        }
    if isinstance(value, list | tuple):
        return [_with_names(each) for each in cast(Iterable[object], value)]
    return value


def plain(value: object) -> str:
    """What JSON has no form for: times as ISO 8601 has them, bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def json_rows(path: Path) -> Iterator[tuple[int, RawRow]]:
    """The rows with their numbers, from 1: of lines, or of rows in a document. Raises DatasetError,
    OSError, UnicodeError."""
    encoding = encoding_of(path)
    with open_bytes(path) if encoding == "utf-8" else open_text(path) as file:
        lines = _filled(file)
        number, first = next(lines, (0, b""))
        if not first:
            return
        second = next(lines, None)
        rest = chain([second] if second else [], lines)
        is_whole = _is_whole(first)
        if first.lstrip().startswith(b"[") or not (is_whole and second):
            # One document, or lines whose first is damaged.
            content = first + b"".join(line for _, line in rest)
            rows = _rows_of(content, path, is_line=is_whole)
            if rows is not None:
                yield from enumerate(rows, start=1)
                return
            rest = iter(())
        yield number, _json_object(first, path, number)
        for number, line in rest:
            yield number, _json_object(line, path, number)


def _filled(file: Iterable[str | bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, with their numbers: files end with an empty line at times."""
    for number, line in enumerate(file, start=1):
        if not line.isspace():
            yield number, line if isinstance(line, bytes) else line.encode()


def _is_whole(line: bytes) -> bool:
    try:
        _read(line)
    except (ValueError, RecursionError):
        return False
    return True


def _rows_of(content: bytes, path: Path, *, is_line: bool) -> list[RawRow] | None:
    """The rows of a document; None where it is none, or a row of its own. is_line: whether it is
    the only line of its file."""
    try:
        document = _read(content)
    except (ValueError, RecursionError) as error:
        if content.lstrip().startswith(b"["):
            raise DatasetError(
                f"{path}: not a JSON array ({error}): cut off? mend it, or write a line a row"
            ) from None
        return None
    rows: list[object] | None
    if isinstance(document, list):
        rows = cast(list[object], document)
    elif isinstance(document, dict):
        rows = _table_in(cast(RawRow, document), path, is_line=is_line)
        rows = [cast(object, document)] if rows is None and not is_line else rows
    else:
        return None
    for number, row in enumerate(rows or (), start=1):
        if not isinstance(row, dict):
            raise DatasetError(f"{path} row {number}: not a JSON object")
    return None if rows is None else cast(list[RawRow], rows)


def _table_in(document: RawRow, path: Path, *, is_line: bool) -> list[object] | None:
    """The rows that an object holds, None where it is a row."""
    tables = {name: value for name, value in document.items() if _is_table(value)}
    if len(tables) > 1 and len(tables) == len(document):
        raise DatasetError(
            f"{path}: holds several tables ({', '.join(tables)}): put each into a file of its own, "
            "such as train.jsonl and test.jsonl"
        )
    for name, table in tables.items():
        if len(tables) == 1 and (not is_line or name in _TABLES):
            return cast(list[object], table)
    return _columns_in(document)


def _columns_in(document: RawRow) -> list[object] | None:
    """The rows of a document that has a list for each column, or an object by the rows' numbers;
    or an object for each row, by its number."""
    values = list(document.values())
    lists = [cast(list[object], each) for each in values if isinstance(each, list)]
    if len(values) == len(lists) > 1 and len({*map(len, lists)}) == 1 and len(lists[0]) > 1:
        return [dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True)]
    objects = [cast(RawRow, each) for each in values if isinstance(each, dict) and each]
    if len(values) != len(objects) or not objects:
        return None
    if all(name.isdecimal() for name in document):
        return [*objects]
    numbers = objects[0].keys()
    if any(each.keys() != numbers for each in objects) or not all(map(str.isdecimal, numbers)):
        return None
    columns = dict(zip(document, objects, strict=True))
    return [{name: column[number] for name, column in columns.items()} for number in numbers]


def _is_table(value: object) -> bool:
    rows = cast(list[object], value) if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def _json_object(line: bytes, path: Path, number: int) -> RawRow:
    try:
        row = _read(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path} line {number}: not JSON ({error}): cut off? mend or remove the line"
        ) from None
    if not isinstance(row, dict):
        raise DatasetError(f"{path} line {number}: not a JSON object")
    return cast(RawRow, row)


def _read(content: bytes) -> object:
    """A JSON value. Raises ValueError, RecursionError."""
    try:
        value: object = orjson.loads(content)
    except (ValueError, RecursionError):
        return _forgiving(content)
    if type(value) is dict and _EXACT.issuperset(map(type, cast(RawRow, value).values())):
        return cast(object, value)  # texts and small integers, as nearly all rows
    return _forgiving(content) if _is_rounded(cast(object, value)) else cast(object, value)


def _is_rounded(value: object) -> bool:
    """Whether there may be an integer in it that had more than 64 bits."""
    if isinstance(value, dict):
        inside: Collection[object] = cast(RawRow, value).values()
    elif isinstance(value, list):
        inside = cast(list[object], value)
    else:
        return isinstance(value, float) and abs(value) >= _ROUNDED
    return not _EXACT.issuperset(map(type, inside)) and any(map(_is_rounded, inside))


def _forgiving(content: bytes | str) -> object:
    """What Python and pandas write beyond JSON: NaN is null, integers may be of any length, and
    half a character becomes the sign for one that is not known."""
    return mended(json.loads(content, parse_constant=lambda _: None))


def mended(value: Any) -> Any:
    """A value without halves of characters, and with null for NaN."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, list):
        return [mended(each) for each in cast(list[object], value)]
    if isinstance(value, dict):
        return {mended(key): mended(each) for key, each in cast(RawRow, value).items()}
    return value
