"""The rows that `predict` is given: a file of any kind that `annotate` reads, or standard input."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.remote import local_path
from stepdistill.common.files.row_file import numbered_rows, suffix_of
from stepdistill.common.files.text_file import open_text, packed_name
from stepdistill.common.paths import RawRow, paths_in
from stepdistill.common.urls import shown
from stepdistill.trainer.errors import refused

STANDARD_INPUT = "-"
# How files begin that say themselves what they are.
_MAGIC = {b"PAR1": ".parquet", b"\xd0\xcf\x11\xe0": ".xls"}
_ZIP = b"PK\x03\x04"
_START = 1000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInput:
    """Rows that can be read several times."""

    name: str  # for messages
    sha256: str  # of the file
    columns: tuple[str, ...]  # of any row, in the order in which they first stand there
    paths: frozenset[str]  # likewise, with those of what lies in them
    n: int  # rows
    file: Path
    kind: str | None  # the ending that says how the file is read, where it has none

    def rows(self) -> Iterator[tuple[int, RawRow]]:
        """(number of line or row, row). Raises DatasetError."""
        return _rows(self.file, self.kind, self.name)

    def where(self, number: int) -> str:
        """A row's place, for messages."""
        is_lines = (self.kind or suffix_of(self.file) or "").startswith((".jsonl", ".json", ".nd"))
        return f"{self.name} {'line' if is_lines else 'row'} {number}"


@contextmanager
def open_input(name: str) -> Generator[RowInput]:
    """Read all rows once, for what they have. What cannot be read twice, as standard input, is kept
    in a temporary file meanwhile. Raises DatasetError."""
    path = Path(name) if name == STANDARD_INPUT else local_path(name)
    if name == STANDARD_INPUT or (path.exists() and not path.is_file() and not path.is_dir()):
        with tempfile.TemporaryDirectory() as folder:
            said = "standard input" if name == STANDARD_INPUT else name
            yield _survey(_kept(path, Path(folder), said), said)
    else:
        yield _survey(path, shown(name))


def _kept(path: Path, folder: Path, name: str) -> Path:
    kept = folder / "rows"
    with refused(name, "read", DatasetError), kept.open("wb") as file:
        if str(path) != STANDARD_INPUT:
            with path.open("rb") as given:
                shutil.copyfileobj(given, file)
            return kept
        if sys.stdin.isatty():
            sys.stderr.write("rows are read from the keyboard; Ctrl-D ends them\n")
        shutil.copyfileobj(sys.stdin.buffer, file)
    return kept


def _survey(file: Path, name: str) -> RowInput:
    with refused(name, "read", DatasetError), file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    kind = None if suffix_of(file) else _kind_of(file, name)
    columns: dict[str, None] = {}
    paths: set[str] = set()
    n = 0
    for _, row in _rows(file, kind, name):
        n += 1
        columns.update(dict.fromkeys(row))
        paths.update(paths_in(row))
    return RowInput(
        name=name,
        sha256=sha256,
        columns=tuple(columns),
        paths=frozenset(paths),
        n=n,
        file=file,
        kind=kind,
    )


def _rows(file: Path, kind: str | None, name: str) -> Iterator[tuple[int, RawRow]]:
    try:
        yield from numbered_rows(file, kind)
    except DatasetError as error:  # which names the temporary file
        raise DatasetError(str(error).replace(str(file), name)) from None


def _kind_of(file: Path, name: str) -> str:
    """How a file without a known ending is to be read, by how it begins."""
    try:
        with refused(name, "read", DatasetError), file.open("rb") as content:
            start = content.read(4)
        if start in _MAGIC:
            return _MAGIC[start]
        if start == _ZIP and (packed := _packed_kind(file)):
            return packed
        with refused(name, "read", DatasetError), open_text(file) as text:
            first = text.read(_START).lstrip("\ufeff \t\r\n")[:1]
    except DatasetError as error:
        raise DatasetError(str(error).replace(str(file), name)) from None
    # Nothing at all is no row of JSON either.
    return ".jsonl" if first in ("{", "[", "") else ".csv"


def _packed_kind(file: Path) -> str | None:
    """Of a zip, which is a spreadsheet's form, too: None where it holds one file without ending."""
    try:
        within = suffix_of(Path(packed_name(file)))
    except DatasetError:
        return ".xlsx"
    return within
