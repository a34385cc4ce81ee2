"""What is odd about rows is counted and said; good rows are passed in silence."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.dataset.row_check import row_remarks
from stepdistill.annotator.dataset.sources import open_source
from stepdistill.common.task import TaskSpec
from tests.annotator.dataset.made import a_task, write_rows

CLASSES = {"kind": "classes", "classes": {"bad": {"gold": [0]}, "good": {"gold": [1]}}}
TASK = a_task(id="uid", gold="label", label=CLASSES)
GOOD: list[dict[str, Any]] = [
    {"uid": f"u{n}", "text": f"words {n}", "label": (0, 1, "good", "0", 1.0, None)[n % 6]}
    for n in range(60)
]


def remarks(folder: Path, rows: list[dict[str, Any]], task: TaskSpec = TASK) -> list[str]:
    source = open_source(task, str(write_rows(folder / "rows.jsonl", rows)), "train")
    return row_remarks(task, source, "train", None)


def test_good_rows_and_none_are_passed_in_silence(tmp_path: Path):
    assert remarks(tmp_path, GOOD) == []
    assert remarks(tmp_path, []) == []


@pytest.mark.parametrize("uid", ["uid", None])
def test_ids_that_stand_twice_or_are_empty_are_counted(tmp_path: Path, uid: str | None):
    odd = [{**GOOD[0], "uid": name} for name in ("u7", "u7", "u8", "", None)]
    told = remarks(tmp_path, [*GOOD, *odd], a_task(id=uid))

    if uid is None:  # rows are named by their number
        assert told == []
        return
    assert len(told) == 2
    assert "2 rows have no id (uid is empty)" in told[0]
    assert "3 rows have the id of an earlier row, such as `u7` (3), `u8` (2)" in told[1]


def test_rows_with_nothing_to_read_are_counted(tmp_path: Path):
    odd = [{**GOOD[0], "uid": f"e{n}", "text": text} for n, text in enumerate(["", " \n", None])]

    assert "3 rows have nothing to read in text" in remarks(tmp_path, [*GOOD, *odd])[0]


def test_gold_that_no_class_has_is_counted_by_value(tmp_path: Path):
    values = [2, 2, 2, "fine", "fine", 1.5, "x" * 99]
    odd = [{**GOOD[0], "uid": f"o{n}", "label": value} for n, value in enumerate(values)]
    told = remarks(tmp_path, [*GOOD, *odd])

    assert len(told) == 1
    assert "7 rows have a gold label that the task does not know" in told[0]
    assert "`2` (3), `fine` (2), `1.5` (1)" in told[0]
    assert str(tmp_path) in told[0]


def test_only_the_rows_of_a_run_are_looked_at(tmp_path: Path):
    source = open_source(TASK, str(write_rows(tmp_path / "r.jsonl", [*GOOD, GOOD[0]])), "train")

    assert row_remarks(TASK, source, "train", 60) == []
    assert len(row_remarks(TASK, source, "train", 61)) == 1


def test_a_shard_looks_at_its_own_rows_and_each_at_all_it_has(tmp_path: Path):
    odd = {**GOOD[0], "text": " ", "label": "fine"}
    rows = [*GOOD, odd, GOOD[1]]
    source = open_source(TASK, str(write_rows(tmp_path / "r.jsonl", rows)), "train")

    assert row_remarks(TASK, source, "train", None, range(1, 60)) == []
    told = row_remarks(TASK, source, "train", None, range(60, 62))
    assert len(told) == 2
    assert "1 row has nothing to read" in told[0]
    assert "`fine` (1)" in told[1]
    assert "`u1` (2)" in row_remarks(TASK, source, "train", None, range(1, 62))[0]


def test_looking_at_rows_takes_memory_of_a_few_bytes_each(tmp_path: Path):
    source = replace(
        open_source(TASK, str(write_rows(tmp_path / "r.jsonl", GOOD)), "train"),
        rows=lambda: ({**GOOD[1], "uid": f"u{n}"} for n in range(100_000)),
    )
    tracemalloc.start()
    try:
        assert row_remarks(TASK, source, "train", None) == []
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 100_000 * 20
