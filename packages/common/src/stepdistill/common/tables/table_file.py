"""A table of rows, written whole: CSV, tab-separated text, JSON lines or Parquet, by its ending.

Cells are written as they are. What begins with `=` is a formula to a spreadsheet, and stays what it
is here: whoever wants it tame says so (`tame`).
"""

import csv
import gzip
import io
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import zstandard

from stepdistill.common.errors import ConfigError
from stepdistill.common.files.json_file import json_line
from stepdistill.common.tables.cells import Row, cell
from stepdistill.common.whole_file import whole_file

CELLS = (".csv", ".tsv")
_TEXTS, _PARQUET = (*CELLS, ".jsonl"), ".parquet"
_PACKED = (".gz", ".zst")
ENDINGS = (*_TEXTS, _PARQUET)
# What a spreadsheet takes for a formula, though it is text: `=1+1`, `@SUM(A1)`, `- so it is`.
_FORMULA = re.compile(r"[=+\-@\t\r](?!\s*[\d.,]+\s*%?\s*$)")
Write = Callable[[Row], None]


def ending_of(path: Path, option: str = "--to") -> str:
    """The ending that says how a table is written. Raises ConfigError: none that is known."""
    name = path.name.casefold()
    for packed in ("", *_PACKED):
        for ending in ENDINGS if not packed else _TEXTS:
            if name.endswith(ending + packed):
                return ending + packed
    raise ConfigError(
        f"{option} {path}: the ending says what is written: {', '.join(ENDINGS)}; the texts with "
        f"{' or '.join(_PACKED)}, too"
    )


class TableFile:
    """A table that is being written. tames: whether no text in it is to be a formula."""

    def __init__(self, write: Write, *, is_of_cells: bool, tames: bool) -> None:
        self._write, self._is_of_cells, self._tames = write, is_of_cells, tames
        self.formulas = 0  # cells that a spreadsheet takes for one, as they were given

    def write(self, row: Row) -> None:
        """Write a row: its values by column."""
        if self._is_of_cells:
            n = sum(isinstance(value, str) and is_formula(value) for value in row.values())
            self.formulas += n
            if n and self._tames:
                row = {name: tame(value) for name, value in row.items()}
        self._write(row)

    @property
    def warning(self) -> str | None:
        """What whoever opens it with a spreadsheet should know."""
        if not self.formulas or self._tames:
            return None
        cells = "1 cell begins" if self.formulas == 1 else f"{self.formulas:,} cells begin"
        return (
            f"{cells} with = + - or @, which a spreadsheet runs as a formula: --escape-formulas "
            "puts ' in front"
        )


@contextmanager
def table_file(
    path: Path, columns: Sequence[str], option: str = "--to", *, tames: bool = False
) -> Generator[TableFile]:
    """A table to write rows to; the file takes its place when all rows are there.

    Of JSON lines each has the columns that its row has. Raises ConfigError, naming the option.
    """
    ending = ending_of(path, option)
    try:
        with ExitStack() as stack:
            file = stack.enter_context(whole_file(path))
            if ending == _PARQUET:
                # Half a second to import: only where it is used.
                from stepdistill.common.tables.parquet_table import parquet_table

                write = stack.enter_context(parquet_table(file, columns))
            else:
                packed = stack.enter_context(_packed(file, ending))
                if ".jsonl" in ending:
                    write = _lines(packed)
                else:
                    text = stack.enter_context(_text(packed))
                    write = _cells(text, columns, "\t" if ".tsv" in ending else ",")
            yield TableFile(write, is_of_cells=ending.startswith(CELLS), tames=tames)
    except OSError as error:
        raise ConfigError(
            f"{option} {path}: cannot be written ({error.strerror or error})"
        ) from None


def is_formula(text: str) -> bool:
    """Whether a spreadsheet takes a text for a formula; numbers, as `-1`, are none."""
    return _FORMULA.match(text) is not None


def tame(value: object) -> object:
    """A text that no spreadsheet takes for a formula: with `'` before it, where it would."""
    return f"'{value}" if isinstance(value, str) and is_formula(value) else value


@contextmanager
def _packed(file: BinaryIO, ending: str) -> Generator[BinaryIO]:
    if ending.endswith(".gz"):
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
            yield cast(BinaryIO, packed)
    elif ending.endswith(".zst"):
        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed:
            yield cast(BinaryIO, packed)
    else:
        yield file


@contextmanager
def _text(file: BinaryIO) -> Generator[TextIO]:
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    yield text
    text.flush()
    text.detach()  # it would close what is below it


def _lines(file: BinaryIO) -> Write:
    def write(row: Row) -> None:
        file.write(json_line(row))

    return write


class _LineEnds:
    """Lines that end as those of Unix do. The writer of `csv` is to believe in `\\r\\n`: else it
    leaves a cell with `\\r` in it without quotation marks."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(f"{line[:-2]}\n")


def _cells(file: TextIO, columns: Sequence[str], delimiter: str) -> Write:
    lines = csv.writer(_LineEnds(file), delimiter=delimiter, lineterminator="\r\n")
    lines.writerow(columns)

    def write(row: Row) -> None:
        lines.writerow([cell(row.get(column)) for column in columns])

    return write
