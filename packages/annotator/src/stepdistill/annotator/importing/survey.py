"""What a file holds, looked at once: its columns, what is in them, and its first rows.

A JSON object within a row is looked into: `content.text` is the column `text` of the object
`content`. Lists stay whole; `--text choices[0]` takes one of their entries.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import cast

from stepdistill.annotator.dataset.sources import table_files
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.files.row_file import read_file
from stepdistill.common.kinds.kind import text_of
from stepdistill.common.kinds.number import number_in
from stepdistill.common.paths import getter

MAX_VALUES = 1000  # different ones of a column that are counted; of more it is known that they are
_TYPED = 1000  # values that a column's type is taken from
_ROWS_SHOWN = 3
_DEEPEST = 4  # objects in one another that are looked into
_INTEGER = re.compile(r"[-+]?\d+")
_IN_PATHS = re.compile(r"[.\[\]{}]")  # a key with one of these is not found by its path
_YES_NO = ("true", "false", "yes", "no")
FLAGS = {"1": True, "1.0": True, "true": True, "yes": True, "y": True, "x": True} | dict.fromkeys(
    ("0", "0.0", "false", "no", "n", ""), False
)
"""What a cell says of the class that its column is called by."""


@dataclass(slots=True)
class FileColumn:
    """One column of a file."""

    path: str  # its name, `content.text` where it is part of an object
    filled: int = 0  # rows that have something in it
    letters: int = 0  # characters of all its texts
    spaced: int = 0  # rows with a space within
    types: Counter[str] = field(default_factory=Counter[str])  # of its first values
    values: Counter[str] | None = field(default_factory=Counter[str])  # None: too many to count
    seen: set[int] | None = field(default_factory=set[int])  # their hashes, until one comes again

    def add(self, value: object) -> None:
        """Take in what a row has here."""
        text = text_of(value).strip()
        if not text:
            return
        self.filled += 1
        self.letters += len(text)
        self.spaced += " " in text
        if self.filled <= _TYPED:
            self.types[_type_of(value, text)] += 1
        if self.seen is not None:
            known = len(self.seen)
            self.seen.add(hash(text))
            if len(self.seen) == known:
                self.seen = None
        if self.values is not None:
            self.values[text] += 1
            if len(self.values) > MAX_VALUES:
                self.values = None

    @property
    def is_unique(self) -> bool:
        """Whether no two rows have the same here."""
        return self.seen is not None and self.filled > 0

    def is_constant_of(self, rows: int) -> bool:
        """Whether all of so many rows have the same here."""
        return self.values is not None and len(self.values) == 1 and self.filled == rows

    @property
    def type(self) -> str:
        """What its values are, for people: `integer`, `text`; of several, the widest."""
        if not self.types:
            return "empty"
        if len(self.types) == 1:
            return next(iter(self.types))
        return "number" if self.types.keys() <= {"integer", "number"} else "text"

    @property
    def different(self) -> str:
        """How many different values there are, for people."""
        return f"over {MAX_VALUES:,}" if self.values is None else f"{len(self.values):,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a file holds."""

    file: Path  # or the folder that its files lie in
    files: tuple[Path, ...]  # one, or the shards of a table
    rows: int
    columns: dict[str, FileColumn]  # by path, in the file's order
    first: tuple[RawRow, ...]  # rows

    def read(self) -> Iterator[RawRow]:
        """All rows, once more. Raises DatasetError."""
        return chain.from_iterable(map(read_file, self.files))


def survey_file(file: Path, files: Sequence[Path] = ()) -> Survey:
    """One pass over the file. files: of its table, where they are known. Raises DatasetError."""
    columns: dict[str, FileColumn] = {}
    first: list[RawRow] = []
    n = 0
    files = tuple(files or table_files(file))
    for row in chain.from_iterable(map(read_file, files)):
        n += 1
        if n <= _ROWS_SHOWN:
            first.append(row)
        for path, value in cells(row):
            column = columns.get(path)
            if column is None:
                column = columns[path] = FileColumn(path)
            column.add(value)
    if not n:
        raise DatasetError(f"{file}: holds no row")
    return Survey(file=file, files=files, rows=n, columns=columns, first=tuple(first))


def cells(row: RawRow, before: str = "", depth: int = 1) -> Iterator[tuple[str, object]]:
    """(path, value) of all that a row holds; of objects, what is in them."""
    for key, value in row.items():
        if isinstance(value, dict) and value and depth < _DEEPEST:
            inner = cast(RawRow, value)
            if not any(map(_IN_PATHS.search, (key, *inner))):
                yield from cells(inner, f"{before}{key}.", depth + 1)
                continue
        yield f"{before}{key}", value


@lru_cache(1024)
def cell(path: str) -> Callable[[RawRow], object]:
    """Gets what a row has at a path; None where it has nothing there."""
    get = getter(path)

    def found(row: RawRow) -> object:
        try:
            return get(row)
        except (LookupError, TypeError):
            return None

    return found


def _type_of(value: object, text: str) -> str:
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, bool) or text.casefold() in _YES_NO:
        return "yes or no"
    if _INTEGER.fullmatch(text):
        return "integer"
    return "number" if number_in(text) is not None else "text"
