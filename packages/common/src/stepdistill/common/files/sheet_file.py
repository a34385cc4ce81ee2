"""Tables of spreadsheets: Excel's, old and new, and OpenDocument's. The first sheet that is shown.

Dates are written as ISO has them, whole numbers without a fraction, as they are typed there; cells
with nothing in them are null. Why python-calamine reads them: decision 39.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, cast

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.csv_file import column_names

SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_WHOLE = 2.0**53  # floats below it hold every integer
_Cells = Sequence[object]


def sheet_rows(path: Path) -> Iterator[dict[str, object]]:
    """A row at a time, by column; rows with nothing in them are left out. Raises DatasetError."""
    _, cells, _ = _sheet(path)
    rows = (row for row in cells if _is_filled(row))
    header = next(rows, ())
    below = next(rows, ())
    if _is_title(header, below):
        header, below = below, next(rows, ())
    names = column_names([str(_value(cell) or "").strip() for cell in header])
    named = [bool(_is_filled([cell])) for cell in header]
    held = [below, *rows]
    # A column without a name counts where something stands in it.
    used = [
        place
        for place, name in enumerate(named)
        if name or any(_at(row, place) is not None for row in held)
    ]
    for row in held:
        if _is_filled(row):
            yield {names[place]: _at(row, place) for place in used}


def sheet_remarks(path: Path) -> list[str]:
    """What a person may not expect of it: which sheet is read, what is no row. Raises
    DatasetError."""
    name, cells, others = _sheet(path)
    told = [f"of its sheets {name} is read, and not {', '.join(others)}"] if others else []
    filled = (row for row in cells if _is_filled(row))
    if _is_title(next(filled, ()), next(filled, ())):
        told.append("its first line is taken for a title, and the second one for the header")
    return told


def _sheet(path: Path) -> tuple[str, Iterator[_Cells], list[str]]:
    """The sheet's name, its rows, and the other sheets' names."""
    import python_calamine as calamine  # only where it is used

    with path.open("rb"):
        pass  # raises OSError in its own words
    try:
        book = cast(Any, calamine).load_workbook(str(path))
        shown = [
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.typ == calamine.SheetTypeEnum.WorkSheet
            and sheet.visible == calamine.SheetVisibleEnum.Visible
        ]
        if not shown:
            raise DatasetError(f"{path}: has no sheet with rows")
        return shown[0], book.get_sheet_by_name(shown[0]).iter_rows(), shown[1:]
    except calamine.PasswordError:
        raise DatasetError(f"{path}: has a password: save it without one") from None
    except calamine.CalamineError as error:
        raise DatasetError(
            f"{path}: not a spreadsheet that can be read ({error}): save it as .xlsx or .csv"
        ) from None


def _is_title(first: _Cells, second: _Cells) -> bool:
    """Whether a line alone above a table is its title, and no header."""
    return sum(map(_has, first)) == 1 and sum(map(_has, second)) > 1


def _is_filled(cells: _Cells) -> bool:
    return any(map(_has, cells))


def _has(cell: object) -> bool:
    return cell is not None and cell != ""


def _at(cells: _Cells, place: int) -> object:
    return _value(cells[place]) if place < len(cells) else None


def _value(cell: object) -> object:
    """A cell as it looks: `1` for 1.0, `2024-03-01` for a date."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _WHOLE:
        return int(cell)
    if isinstance(cell, datetime):
        return str(cell.date()) if cell.time() == time() else str(cell)
    if isinstance(cell, date | time | timedelta):
        return str(cell)
    return cell if _has(cell) else None
