"""What a student says of the same rows: a file of `stepdistill predict`, looked up by id."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.row_file import read_file
from stepdistill.common.kinds.kind import text_of

# Beside columns of one's own the student's label is `label`, `label_2`, ..., the last of them.
_LABEL = re.compile(r"label(?:_(\d+))?")


class Predictions:
    """A student's labels; kept in a file that nobody else sees, so that any number may come."""

    def __init__(self, path: Path) -> None:
        """Raises DatasetError: it cannot be read, or no row of it has a label."""
        self._path = path
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE said (id TEXT, n INTEGER, label TEXT)")
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO said VALUES (?, ?, ?)", self._rows())
        self._database.execute("CREATE INDEX by_id ON said (id)")
        self._database.execute("CREATE INDEX by_number ON said (n)")
        self._database.execute("COMMIT")
        # Where rows have no ids of their own, `predict` numbers them.
        numbered = "SELECT NOT EXISTS (SELECT 1 FROM said WHERE id != CAST(n AS TEXT))"
        self._by_number = bool(self._database.execute(numbered).fetchone()[0])

    def _rows(self) -> Iterator[tuple[str, int, str | None]]:
        column: str | None = None
        for n, row in enumerate(read_file(self._path)):
            column = column or _label_column(row)
            if column is None:
                raise DatasetError(
                    f"--predictions {self._path}: no column `label`: name what `stepdistill "
                    "predict` wrote"
                )
            said = row.get(column)
            yield text_of(row.get("id", str(n))), n, None if said is None else text_of(said)

    def label(self, row_id: str, index: int) -> str | None:
        """What the student says of a row; None where it says nothing."""
        found = self.find(row_id, index)
        return found[0] if found else None

    def find(self, row_id: str, index: int) -> tuple[str | None] | None:
        """The same; None where the file does not have the row."""
        by_id = "SELECT label FROM said WHERE id = ? LIMIT 1"
        found = self._database.execute(by_id, (row_id,)).fetchone()
        if found is None and self._by_number:
            by_number = "SELECT label FROM said WHERE n = ? LIMIT 1"
            found = self._database.execute(by_number, (index,)).fetchone()
        return found


def _label_column(row: Mapping[str, object]) -> str | None:
    found = {name: match for name in row if (match := _LABEL.fullmatch(name))}
    return max(found, key=lambda name: int(found[name][1] or 1), default=None)
