"""A seeded sample holds every smaller one, knows its rows by id, and takes none without gold."""

from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.selection import RowSample, draw_sample
from stepdistill.annotator.dataset.sources import open_source
from stepdistill.common.errors import DatasetError
from tests.annotator.dataset.made import a_task, write_rows

TASK = a_task(id="uid", gold="label")


def rows(n: int, without_gold: int = 0) -> list[dict[str, Any]]:
    return [
        {"uid": f"u{i}", "text": f"text {i}", "label": None if i < without_gold else "yes"}
        for i in range(n)
    ]


def sample(folder: Path, raw: list[dict[str, Any]], size: float | None, seed: int = 1) -> RowSample:
    source = open_source(TASK, str(write_rows(folder / "train.jsonl", raw)), "train")
    return draw_sample(TASK, source, "train", size, seed)


def read(drawn: RowSample) -> list[Row]:
    return list(read_rows(TASK, drawn.source, "train", None))


def test_the_rows_at_50_are_the_first_of_those_at_100(tmp_path: Path) -> None:
    few, many = (read(sample(tmp_path, rows(300), size)) for size in (50, 100))
    assert many[:50] == few
    assert len({row.id for row in many}) == 100


def test_rows_keep_their_numbers_and_their_ids(tmp_path: Path) -> None:
    for row in read(sample(tmp_path, rows(40), 10)):
        assert (row.id, row.fields["text"]) == (f"u{row.index}", f"text {row.index}")


def test_rows_that_come_first_or_last_move_nobody(tmp_path: Path) -> None:
    before = {row.id for row in read(sample(tmp_path, rows(100), 20))}
    more = rows(130)
    after = [row.id for row in read(sample(tmp_path, more[::-1], 130))]
    kept = [row_id for row_id in after if int(row_id[1:]) < 100]
    assert set(kept[:20]) == before


def test_rows_without_gold_are_left_out_and_counted(tmp_path: Path) -> None:
    drawn = sample(tmp_path, rows(30, without_gold=12), 30)
    assert (drawn.n, drawn.without_gold) == (18, 12)
    assert all(row.gold for row in read(drawn))
    everything = sample(tmp_path, rows(30, without_gold=12), None)
    assert (everything.n, everything.without_gold) == (18, 12)
    with pytest.raises(DatasetError, match="no row has a gold label"):
        sample(tmp_path, rows(5, without_gold=5), 3)


@pytest.mark.parametrize(
    ("size", "n"), [(0.25, 10), (0.001, 1), (1.0, 40), (7, 7), (1000, 40), (None, 40)]
)
def test_a_size_is_a_number_or_a_fraction(tmp_path: Path, size: float | None, n: int) -> None:
    assert sample(tmp_path, rows(40), size).n == n


def test_seeds_differ(tmp_path: Path) -> None:
    drawn = {tuple(r.id for r in read(sample(tmp_path, rows(40), 5, seed))) for seed in range(8)}
    assert len(drawn) > 6


def test_the_rows_of_a_seed_stay_what_they_were(tmp_path: Path) -> None:
    drawn = [row.id for row in read(sample(tmp_path, rows(40), 6))]
    assert drawn == ["u23", "u36", "u35", "u26", "u2", "u5"]
