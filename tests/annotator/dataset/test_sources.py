"""Where rows come from: the split's file is found, or it is said what is there instead."""

from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.dataset.demo import DEFAULT_SIZES
from stepdistill.annotator.dataset.sources import find_files, open_source
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
        find_files(folder, task, split)
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

    assert find_files(folder, TASK, "train") == [folder / name]


def test_a_file_is_taken_whatever_its_name(tmp_path: Path):
    path = write_rows(tmp_path / "anything.jsonl", RAW)

    assert find_files(path, TASK, "train") == [path]


def test_the_name_in_the_task_comes_first(tmp_path: Path):
    folder = a_folder(tmp_path, "part1.jsonl", "train.jsonl")
    task = a_task(data={"splits": {"train": "part1.jsonl"}})

    assert find_files(folder, task, "train") == [folder / "part1.jsonl"]


def test_a_name_in_the_task_that_is_not_there_does_not_hide_the_split_s_file(tmp_path: Path):
    folder = a_folder(tmp_path, "train.jsonl")
    task = a_task(data={"splits": {"train": "train_r1"}})

    assert find_files(folder, task, "train") == [folder / "train.jsonl"]


def test_two_files_for_one_split_are_both_named_and_none_is_taken(tmp_path: Path):
    folder = a_folder(tmp_path, "train.jsonl", "sums_train.csv", "test.csv")

    message = refusal(folder, "train")
    assert "sums_train.csv, train.jsonl" in message
    assert "test.csv" not in message


SHARDS = [f"train-0000{n}-of-00003.jsonl" for n in range(3)]


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("", SHARDS),
        ("data", SHARDS),
        ("data", [name.replace(".jsonl", "-b42a775f407cee45.parquet") for name in SHARDS]),
        ("", [f"sums-{name}" for name in SHARDS]),
        ("", ["train-1-of-3.csv", "train-2-of-3.csv", "train-3-of-3.csv"]),
        ("train", ["0000.parquet", "0001.parquet", "0002.parquet"]),
        ("data/train", ["part-9.jsonl", "part-10.jsonl", "part-11.jsonl"]),
        ("extra", SHARDS),
    ],
)
def test_the_shards_of_a_split_are_one_table_as_the_hub_has_them(
    tmp_path: Path, place: str, names: list[str]
):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    for row, name in zip(RAW, names, strict=True):
        write_rows(folder / name, [row])
    write_rows(tmp_path / "test-00000-of-00001.parquet", RAW[:1])
    task = a_task(data={"config": "extra"})

    source = open_source(task, str(tmp_path), "train")
    assert [row["uid"] for row in source.rows()] == ["a", "b", "c"]
    assert source.count() == 3
    folder.joinpath(names[2]).unlink()
    if "-of-" in names[2]:
        assert f"{names[0]}, {names[1]} are there" in refusal(tmp_path, "train", task)
    else:
        assert open_source(task, str(tmp_path), "train").digest != source.digest


def test_shards_of_two_tables_are_none(tmp_path: Path):
    message = refusal(a_folder(tmp_path, *SHARDS, "other-train-0-of-1.jsonl"), "train")

    assert "could be other-train-0-of-1.jsonl, train-00000" in message


@pytest.mark.parametrize("split", ["valid", "validation", "val", "dev"])
@pytest.mark.parametrize("name", ["valid", "validation", "val", "dev"])
def test_a_split_to_select_by_has_several_names(tmp_path: Path, split: str, name: str):
    folder = a_folder(tmp_path, f"sums_{name}.jsonl", "train.jsonl")

    assert find_files(folder, TASK, split) == [folder / f"sums_{name}.jsonl"]
    a_folder(tmp_path, f"{split}.csv")
    if name != split:
        assert find_files(folder, TASK, split) == [folder / f"{split}.csv"]


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
