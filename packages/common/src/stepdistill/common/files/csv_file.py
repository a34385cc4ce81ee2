"""Tables of text: CSV as spreadsheets and other programs write it. All cells are text.

What stands between columns is found, or taken from Excel's own first line, `sep=;`. A column that
has no name is called `Unnamed: 3`, as pandas does, and the second column of one name `text_2`.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.text_file import open_text
from stepdistill.common.free_name import free_name

_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 16  # characters that it is found by
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*(?:\r\n?|\n)', re.IGNORECASE)  # `sep=;`, `"sep=,",`
# Of one field, in characters: a quotation mark that is never closed takes in the rest of a file.
_LONGEST_FIELD = 1 << 27


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvLayout:
    """How the rows stand in a file."""

    delimiter: str
    header: tuple[str, ...]  # as it stands in the file
    names: tuple[str, ...]  # of the columns, each another
    has_sep_line: bool = False  # above the header

    def cells(self, line: Sequence[str]) -> Sequence[str] | None:
        """A line's cells, one for each column; None where it has too many, or too few.

        A line may end in a delimiter where the header does not, and the other way round.
        """
        extra = len(line) - len(self.names)
        if extra > 0:
            return None if any(line[-extra:]) else line[:-extra]
        if extra < 0 and not any(self.header[extra:]):
            return (*line, *[""] * -extra)
        return None if extra else line

    def remarks(self) -> list[str]:
        """What a person may not expect of a CSV."""
        sign = {"\t": "tabs"}.get(self.delimiter, self.delimiter)
        told = [f"{sign} stand between its columns"] if self.delimiter != "," else []
        columns = enumerate(zip(self.header, self.names, strict=True), start=1)
        return told + [
            f"its column {number} {'is another' if name else 'has no name'}{name and f' {name}'} "
            f"and goes by {now}"
            for number, (name, now) in columns
            if name != now
        ]


def csv_layout(path: Path) -> CsvLayout:
    """A file's layout, found once, as long as the file stays as it is. Raises DatasetError,
    OSError, UnicodeError."""
    stat = path.stat()
    return _layout(path, stat.st_size, stat.st_mtime_ns)


def csv_rows(path: Path) -> Iterator[dict[str, object]]:
    """A row at a time, by column. Raises DatasetError, OSError, UnicodeError."""
    layout = csv_layout(path)
    csv.field_size_limit(_LONGEST_FIELD)
    with open_text(path) as file:
        skipped = 1 if layout.has_sep_line and file.readline() else 0
        lines = csv.reader(file, delimiter=layout.delimiter, strict=True)
        begins = 1
        try:
            next(lines, None)  # the header
            for line in lines:
                ends = skipped + lines.line_num
                cells = layout.cells(line) if line else ()
                if cells is None:
                    raise DatasetError(f"{path} line {ends}: not the header's number of columns")
                if cells:
                    yield dict(zip(layout.names, cells, strict=True))
                begins = ends + 1
        except csv.Error as error:
            raise DatasetError(f"{path} line {begins}: not readable CSV ({error})") from None


@lru_cache(64)
def _layout(path: Path, size: int, mtime_ns: int) -> CsvLayout:
    with open_text(path) as file:
        sample = file.read(_SAMPLE)
    is_cut, sep_line = len(sample) == _SAMPLE, _SEP_LINE.match(sample)
    if sep_line:
        sample = sample[sep_line.end() :]
        return _layout_by(sep_line[1], sample, is_cut=is_cut, has_sep_line=True)[1]
    # In this order where several fit.
    signs = "\t,;|" if ".tsv" in path.name.casefold() else _DELIMITERS
    tried = [_layout_by(sign, sample, is_cut=is_cut) for sign in signs]
    return max(tried, key=lambda each: each[0])[1]


def _layout_by(
    sign: str, sample: str, *, is_cut: bool, has_sep_line: bool = False
) -> tuple[float, CsvLayout]:
    """The share of lines with as many columns as the header, 0 for one column; the layout."""
    lines: list[list[str]] = []
    unread = 0
    try:
        for line in csv.reader(io.StringIO(sample, newline=""), delimiter=sign, strict=True):
            lines.append(line)  # what was read before an error counts
    except csv.Error:
        unread = not is_cut  # what is cut may end within quotation marks
    if is_cut and len(lines) > 1 and not unread:
        lines.pop()  # not all of it is there
    header = [name.strip() for name in lines[0]] if lines else []
    layout = CsvLayout(
        delimiter=sign,
        header=tuple(header),
        names=tuple(column_names(header)),
        has_sep_line=has_sep_line,
    )
    if len(header) < 2:
        return 0.0, layout
    fitting = [layout.cells(line) is not None for line in lines[1:] if line]
    return (1 + sum(fitting)) / (1 + len(fitting) + unread), layout


def column_names(header: Sequence[str]) -> list[str]:
    """A name for each column, each another: `text` and `text_2` for two of one name."""
    names: list[str] = []
    for place, name in enumerate(header):
        first = name or f"Unnamed: {place}"
        # What is called so further on keeps its name.
        names.append(first if first not in names else free_name(first, {*names, *header}))
    return names
