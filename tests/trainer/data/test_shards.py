"""Shards are believed only when their manifest vouches for them."""

from pathlib import Path

import pytest

from stepdistill.common.errors import ShardError
from stepdistill.common.task import LabelSpec
from stepdistill.trainer.data.shards import Data, data_fingerprint, read_data
from stepdistill.trainer.settings.train import parse
from tests.trainer.made_rows import word_problems, write_split


def _of(train: list[Path], valid: list[Path], test: list[Path]) -> Data:
    line = ["--model=tiny", "--output=out", "--train", *map(str, train), "--test", *map(str, test)]
    return read_data(parse([*line, *(["--valid", *map(str, valid)] if valid else [])]))


def _read(folder: Path) -> Data:
    return _of([folder / "train"], [folder / "valid"], [folder / "test"])


def test_all_shards_are_read_in_row_order(data: Path) -> None:
    assert [record.index for record in _read(data).train.records()] == list(range(60))


def test_two_folders_are_one_split(data: Path) -> None:
    both = _of([data / "train", data / "valid"], [data / "valid"], [data / "test"])
    assert len(list(both.train.records())) == 72


def test_label_kinds_must_agree(data: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "text", word_problems("valid", 2), label=LabelSpec(kind="text"))
    with pytest.raises(ShardError, match=r"text: labels are of kind text.*of kind classes"):
        _of([data / "train"], [tmp_path / "text"], [data / "test"])


def test_the_fingerprint_follows_the_rows_not_the_folder(data: Path, tmp_path: Path) -> None:
    for split, rows in (("valid", 12), ("test", 20)):
        write_split(tmp_path / split, word_problems(split, rows))
    train = word_problems("train", 60, unexplained=0.3)
    write_split(tmp_path / "train", train, shards=2)
    assert data_fingerprint(_read(tmp_path)) == data_fingerprint(_read(data))
    write_split(tmp_path / "more", train[:-1], shards=2)
    fewer = _of([tmp_path / "more"], [tmp_path / "valid"], [tmp_path / "test"])
    assert data_fingerprint(fewer) != data_fingerprint(_read(data))


def test_an_id_that_stands_twice_is_refused(data: Path, tmp_path: Path) -> None:
    rows = word_problems("train", 3)
    write_split(tmp_path / "train", [*rows, rows[1]])
    with pytest.raises(ShardError, match=r"row id train-1 stands twice.*make the ids"):
        _of([tmp_path / "train"], [data / "valid"], [data / "test"])


def test_without_valid_rows_some_are_put_aside_by_their_ids(data: Path, tmp_path: Path) -> None:
    whole = _of([data / "train"], [], [data / "test"])
    put_aside = {record.id for record in whole.valid.records()}
    stay = {record.id for record in whole.train.records()}
    assert put_aside and not put_aside & stay and len(put_aside | stay) == 60
    write_split(tmp_path / "half", word_problems("train", 30))
    half = _of([tmp_path / "half"], [], [data / "test"])
    assert {record.id for record in half.valid.records()} == put_aside & {
        f"train-{i}" for i in range(30)
    }
