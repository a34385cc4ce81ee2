"""Splits are fair: to rare labels, to files with few labels, to rows that say the same."""

import csv
from collections import Counter
from pathlib import Path

import orjson
import pytest

from stepdistill.annotator.importing.columns import find_columns
from stepdistill.annotator.importing.label_column import named_labels, read_labels
from stepdistill.annotator.importing.splits import divide, write_splits
from stepdistill.annotator.importing.survey import survey_file
from stepdistill.common.errors import DatasetError
from tests.annotator.importing.made import split_file

SHARES = {"valid": 0.1, "test": 0.1}


def written(path: Path, labels: list[str], texts: int = 0) -> Path:
    """A file of these labels, each with a text of its own, or one of so many texts."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "kind"])
        rows.writerows((f"text {n % texts if texts else n}", kind) for n, kind in enumerate(labels))
    return path


@pytest.mark.parametrize("seed", range(6))
def test_each_label_has_its_share_of_each_split(tmp_path: Path, seed: int) -> None:
    sizes = {"common": 300, "usual": 60, "rare": 20, f"rarest {seed}": 5}
    labels = [name for name, n in sizes.items() for _ in range(n)]
    counts = split_file(
        written(tmp_path / "a.csv", labels[seed:] + labels[:seed]), tmp_path / "d", SHARES
    )
    for name, n in sizes.items():
        for split in ("valid", "test"):
            assert counts[split][name] >= 1
            assert abs(counts[split][name] - n / 10) <= 1 + (n * 0.09) ** 0.5
    assert sum((each for each in counts.values()), Counter[str]()).total() == len(labels)


@pytest.mark.parametrize(
    ("labelled", "valid", "train"), [(20, 10, 0), (100, 40, 20), (400, 40, 320)]
)
def test_few_labels_go_where_they_are_needed(
    tmp_path: Path, labelled: int, valid: int, train: int
) -> None:
    labels = ["ab"[n % 2] for n in range(labelled)] + [""] * (400 - labelled)
    counts = split_file(written(tmp_path / "a.csv", labels), tmp_path / "d", SHARES)
    found = {split: each.total() - each[""] for split, each in counts.items()}
    assert abs(found["valid"] - valid) <= 10
    assert abs(found["test"] - valid) <= 10
    assert abs(found["train"] - train) <= 20
    assert counts["valid"][""] == counts["test"][""] == 0
    assert all(counts["test"][name] >= 3 for name in "ab")


def test_more_labels_than_a_split_has_room_for_do_not_fill_it(tmp_path: Path) -> None:
    labels = [f"label {n % 60}" for n in range(240)]
    counts = split_file(written(tmp_path / "a.csv", labels), tmp_path / "d", SHARES)
    assert counts["train"].total() >= 160


@pytest.mark.parametrize("n", [3, 5, 12, 40])
@pytest.mark.parametrize("n_labels", [1, 2, 3, 40])
def test_no_split_of_a_small_file_is_empty(tmp_path: Path, n: int, n_labels: int) -> None:
    labels = [f"label {row % n_labels}" for row in range(n)]
    counts = split_file(written(tmp_path / "a.csv", labels), tmp_path / "d", SHARES)
    assert all(each.total() for each in counts.values())
    assert counts["train"].total() >= n / 3


def test_a_text_is_never_in_two_splits(tmp_path: Path) -> None:
    labels = ["ab"[n % 2] if n % 3 else "" for n in range(300)]
    split_file(written(tmp_path / "a.csv", labels, texts=70), tmp_path / "d", SHARES)
    texts = {
        split: {
            orjson.loads(line)["text"]
            for line in (tmp_path / "d" / f"{split}.jsonl").read_bytes().splitlines()
        }
        for split in ("train", "valid", "test")
    }
    assert not texts["train"] & texts["valid"]
    assert not texts["train"] & texts["test"]
    assert not texts["valid"] & texts["test"]


def test_a_file_without_labels_is_split_by_its_texts(tmp_path: Path) -> None:
    survey = survey_file(written(tmp_path / "a.csv", [""] * 300))
    columns = find_columns(survey, ())
    labels = named_labels(("a", "b"), "classes", survey.rows)
    counts = write_splits(survey, columns, divide(survey, columns, labels, SHARES), tmp_path / "d")
    assert columns.texts == ("text",)
    assert 15 <= counts["valid"].total() <= 45
    assert 15 <= counts["test"].total() <= 45


@pytest.mark.parametrize("n", [20, 40])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, n: int) -> None:
    file = written(tmp_path / "a.csv", ["a", "b"] * 15)
    survey = survey_file(file)
    columns = find_columns(survey, ("kind",))
    division = divide(survey, columns, read_labels(survey, columns)[0], SHARES)
    written(file, ["a", "b"] * (n // 2))
    with pytest.raises(DatasetError, match="changed while it was read"):
        write_splits(survey, columns, division, tmp_path / "d")
    assert not list((tmp_path / "d").iterdir())
