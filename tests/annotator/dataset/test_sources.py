"""Where rows come from: the split's file is found, or it is said what is there instead."""

from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.dataset.demo import DEFAULT_SIZES
from stepdistill.annotator.dataset.sources import find_file, open_source
from stepdistill.common.errors import DatasetError
from stepdistill.common.task import TaskSpec
from tests.annotator.dataset.made import RAW, a_task, write_rows

TASK = a_task()


def a_folder(folder: Path, *names: str) -> Path:
    for name in names:
        write_rows(folder / name, RAW)
    return folder


def refusal(folder: Path, split: str, task: TaskSpec = TASK) -> str:
    with pytest.raises(DatasetError) as refused:
        find_file(folder, task, split)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "name",
    ["train.jsonl", "sums_train.json", "sums-train.csv", "a_b-train.jsonl.gz", "train.parquet"],
)
def test_a_split_s_file_is_found_by_the_end_of_its_name(tmp_path: Path, name: str):
    folder = a_folder(tmp_path, name, "sums_test.json", "valid.csv")
    (folder / "train.txt").touch()
    (folder / "notes.md").touch()

    assert find_file(folder, TASK, "train") == folder / name


def test_a_file_is_taken_whatever_its_name(tmp_path: Path):
    path = write_rows(tmp_path / "anything.jsonl", RAW)

    assert find_file(path, TASK, "train") == path


def test_the_name_in_the_task_comes_first(tmp_path: Path):
    folder = a_folder(tmp_path, "part1.jsonl", "train.jsonl")
    task = a_task(data={"splits": {"train": "part1.jsonl"}})

    assert find_file(folder, task, "train") == folder / "part1.jsonl"


def test_a_name_in_the_task_that_is_not_there_does_not_hide_the_split_s_file(tmp_path: Path):
    folder = a_folder(tmp_path, "train.jsonl")
    task = a_task(data={"splits": {"train": "train_r1"}})

    assert find_file(folder, task, "train") == folder / "train.jsonl"


def test_two_files_for_one_split_are_both_named_and_none_is_taken(tmp_path: Path):
    folder = a_folder(tmp_path, "train.jsonl", "sums_train.csv", "test.csv")

    message = refusal(folder, "train")
    assert "sums_train.csv, train.jsonl" in message
    assert "test.csv" not in message


def test_a_missing_split_is_told_what_is_there_and_what_would_do(tmp_path: Path):
    folder = a_folder(tmp_path, "dev.jsonl", "trainer.csv")

    message = refusal(folder, "train")
    assert "split train" in message
    assert "sums_train.json" in message
    assert "dev.jsonl, trainer.csv" in message


def test_an_empty_folder_is_told_which_endings_are_read(tmp_path: Path):
    assert ".parquet" in refusal(tmp_path, "train")


def test_a_place_that_does_not_exist_is_said_so(tmp_path: Path):
    assert "no such file or folder" in refusal(tmp_path / "nowhere", "train")


def test_without_data_and_without_a_source_of_its_own_a_task_asks_for_data():
    with pytest.raises(DatasetError, match="pass --data"):
        open_source(TASK, None, "train")


def test_the_demo_needs_no_file():
    task = a_task(data={"generator": "demo"}, fields={"text": "problem"})
    source = open_source(task, None, "valid")

    assert source.count() == len(list(source.rows())) == DEFAULT_SIZES["valid"]


def test_the_demo_says_which_splits_it_has():
    with pytest.raises(DatasetError, match="train, valid, test"):
        open_source(a_task(data={"generator": "demo"}), None, "dev")


def test_the_content_decides_the_digest(tmp_path: Path):
    digests: set[str] = set()
    changed: list[dict[str, Any]] = [{**RAW[0], "text": "other"}, *RAW[1:]]
    for rows in (RAW, changed, RAW[:2]):
        path = write_rows(tmp_path / "train.jsonl", rows)
        digests.add(open_source(TASK, str(path), "train").digest)

    assert len(digests) == 3
