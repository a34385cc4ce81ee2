"""Shards are believed only when their manifest vouches for them."""

from pathlib import Path

import pytest

from common.errors import ShardError
from common.task import LabelSpec
from tests.trainer.made_rows import word_problems, write_split
from trainer.data.shards import Data, data_fingerprint, read_data


def _read(folder: Path) -> Data:
    return read_data([folder / "train"], [folder / "valid"], [folder / "test"])


def test_all_shards_are_read_in_row_order(data: Path) -> None:
    assert [record.index for record in _read(data).train.records()] == list(range(60))


def test_two_folders_are_one_split(data: Path) -> None:
    both = read_data([data / "train", data / "valid"], [data / "valid"], [data / "test"])
    assert len(list(both.train.records())) == 72


def test_label_kinds_must_agree(data: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "text", word_problems("valid", 2), label=LabelSpec(kind="text"))
    with pytest.raises(ShardError, match=r"text: labels are of kind text.*of kind classes"):
        read_data([data / "train"], [tmp_path / "text"], [data / "test"])


def test_the_fingerprint_follows_the_rows_not_the_folder(data: Path, tmp_path: Path) -> None:
    for split, rows in (("valid", 12), ("test", 20)):
        write_split(tmp_path / split, word_problems(split, rows))
    train = word_problems("train", 60, unexplained=0.3)
    write_split(tmp_path / "train", train, shards=2)
    assert data_fingerprint(_read(tmp_path)) == data_fingerprint(_read(data))
    write_split(tmp_path / "more", train[:-1], shards=2)
    fewer = read_data([tmp_path / "more"], [tmp_path / "valid"], [tmp_path / "test"])
    assert data_fingerprint(fewer) != data_fingerprint(_read(data))


def test_an_id_that_stands_twice_is_refused(data: Path, tmp_path: Path) -> None:
    rows = word_problems("train", 3)
    write_split(tmp_path / "train", [*rows, rows[1]])
    with pytest.raises(ShardError, match=r"row id train-1 stands twice.*make the ids"):
        read_data([tmp_path / "train"], [data / "valid"], [data / "test"])
