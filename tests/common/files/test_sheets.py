"""Spreadsheets are read as people see them, and packed files whatever packed them."""

import bz2
import datetime
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import openpyxl
import pytest
import zstandard

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.row_file import read_file, remarks_on

Lines = list[list[object]]


def sheet(path: Path, *sheets: tuple[str, Lines], hidden: str = "") -> Path:
    book = cast(Any, openpyxl.Workbook())
    book.remove(book.active)
    for name, lines in sheets:
        made = book.create_sheet(name)
        for line in lines:
            made.append(line)
        if name == hidden:
            made.sheet_state = "hidden"
    book.save(path)
    return path


def test_cells_are_what_they_look_like(tmp_path: Path) -> None:
    line: list[object] = [
        *(1, 2.5, "007", " a ", None, True, "1.0", 1e20),
        *(datetime.date(2024, 3, 1), datetime.datetime(2024, 3, 1, 12, 30), datetime.time(9, 5)),
    ]
    path = sheet(tmp_path / "a.xlsx", ("Rows", [[f"c{n}" for n in range(len(line))], line]))
    (row,) = read_file(path)
    assert list(row.values()) == [
        *(1, 2.5, "007", " a ", None, True, "1.0", 1e20),
        *("2024-03-01", "2024-03-01 12:30:00", "09:05:00"),
    ]
    assert remarks_on(path) == []


def test_empty_lines_and_columns_around_a_table_are_no_rows(tmp_path: Path) -> None:
    lines: Lines = [
        [],
        [None, "text", "text", None, "label", None],
        [None, "a", "b", None, 1, None],
        [],
        [None, "c", None, "note", None, None],
    ]
    path = sheet(tmp_path / "a.xlsx", ("Rows", lines))
    assert list(read_file(path)) == [
        {"text": "a", "text_2": "b", "Unnamed: 2": None, "label": 1},
        {"text": "c", "text_2": None, "Unnamed: 2": "note", "label": None},
    ]


@pytest.mark.parametrize("values", [(0, None), (False, None), (0, 0.0)])
def test_a_column_without_a_name_that_holds_nothing_but_zeros_is_one(
    tmp_path: Path, values: tuple[object, object]
) -> None:
    lines: Lines = [["text", "n", None], ["a", 1, values[0]], ["b", 2, values[1]]]
    path = sheet(tmp_path / "a.xlsx", ("Rows", lines))
    assert [row["Unnamed: 2"] for row in read_file(path)] == [*values]


def test_the_first_sheet_that_is_shown_is_read_and_said(tmp_path: Path) -> None:
    rows: Lines = [["text"], ["a"]]
    sheets: list[tuple[str, Lines]] = [("Notes", [["x"], ["y"]]), ("Rows", rows), ("More", rows)]
    path = sheet(tmp_path / "a.xlsx", *sheets, hidden="Notes")
    assert list(read_file(path)) == [{"text": "a"}]
    assert remarks_on(path) == ["of its sheets Rows is read, and not More"]


def test_a_title_above_a_table_is_no_header(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", ("Rows", [["Reviews 2024"], ["text", "label"], ["a", 1]]))
    assert list(read_file(path)) == [{"text": "a", "label": 1}]
    assert "taken for a title" in remarks_on(path)[0]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text,label\na,b\n"])
def test_what_is_no_spreadsheet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"not a spreadsheet that can be read .*\.csv"):
        list(read_file(path))
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read_file(tmp_path / "none.xlsx"))


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
TEXT = "text;label\nä;1\nb;2\n".encode()


@pytest.mark.parametrize("ending", PACK)
def test_packed_tables_are_unpacked(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.csv{ending}"
    path.write_bytes(PACK[ending](TEXT))
    assert [row["text"] for row in read_file(path)] == ["ä", "b"]
    path.write_bytes(PACK[ending](TEXT * 9000)[:-20])
    with pytest.raises(DatasetError, match="cut off or damaged"):
        list(read_file(path))


def test_the_one_file_of_a_zip_is_read(tmp_path: Path) -> None:
    for name, inner in (("rows.csv.zip", "anything"), ("rows.zip", "deep/rows.csv")):
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.writestr(inner, TEXT)
            packed.writestr("__MACOSX/._rows.csv", b"x")
        assert [row["text"] for row in read_file(tmp_path / name)] == ["ä", "b"]
    with zipfile.ZipFile(tmp_path / "rows.zip", "a") as packed:
        packed.writestr("b.csv", TEXT)
    with pytest.raises(DatasetError, match="holds 2 files"):
        list(read_file(tmp_path / "rows.zip"))
    (tmp_path / "rows.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(DatasetError, match="cut off or damaged"):
        list(read_file(tmp_path / "rows.zip"))


def test_a_spreadsheet_by_another_name_is_told(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.xlsx", ("Rows", [["text"], ["a"]])).rename(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match=r"is a spreadsheet: name it \.xlsx"):
        list(read_file(path))
