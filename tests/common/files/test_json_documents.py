"""Rows in one JSON document, as pandas, `datasets` and people write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.row_file import read_file

ROWS: list[dict[str, Any]] = [
    {"id": 12345678901234567890123, "text": "a ü", "tags": ["x"]},
    {"id": 2, "text": None, "tags": []},
]
COLUMNS = {"id": [1, 2], "text": ["a", "b"]}
TWO = [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("document", "rows"),
    [
        (ROWS, ROWS),
        ({"version": "1.1", "data": ROWS}, ROWS),
        (COLUMNS, TWO),
        ({"id": {"0": 1, "1": 2}, "text": {"0": "a", "1": "b"}}, TWO),
        ({"0": TWO[0], "1": TWO[1]}, TWO),
        ({"schema": {"fields": []}, "data": TWO}, TWO),
    ],
)
@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_a_document_of_rows_is_read(
    tmp_path: Path, document: Any, rows: Any, indent: int | None, ending: str
) -> None:
    path = tmp_path / f"rows{ending}"
    path.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    assert list(read_file(path)) == rows
    path.write_text(f"\n\ufeff{json.dumps(document, indent=indent)}\n"[1:], encoding="utf-8")
    assert list(read_file(path)) == rows


@pytest.mark.parametrize(
    "row",
    [
        {"text": "a", "messages": [{"role": "user"}]},
        {"text": "a", "tokens": ["x", "y"]},
        {"text": ["a"], "label": ["b"]},
        {"content": {"text": "a"}},
    ],
)
def test_one_line_that_is_a_row_stays_one(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    assert list(read_file(path)) == [row]


def test_a_pretty_object_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"text": "a", "label": NAN}, indent=1))
    assert list(read_file(path)) == [{"text": "a", "label": None}]


def test_several_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"train": TWO, "test": TWO}))
    with pytest.raises(DatasetError, match=r"several tables \(train, test\)"):
        list(read_file(path))


def test_a_first_line_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a\n{"text": "b"}\n{"text": "c"}\n')
    with pytest.raises(DatasetError, match="line 1: not JSON"):
        list(read_file(path))


NAN = float("nan")
