"""Bad input: one clear line, exit code 2, no traceback, and no ten seconds of imports before it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainer.made_rows import arguments, word_problems, write_split
from trainer.main import main


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def _refusal(line: list[str], said: pytest.CaptureFixture[str]) -> str:
    assert main(line) == 2
    error = said.readouterr().err
    assert error.count("\n") == 1
    return error


def test_no_manifest(data: Path, tmp_path: Path, said: pytest.CaptureFixture[str]) -> None:
    error = _refusal([*arguments(data, tmp_path), f"--train={tmp_path}"], said)
    assert "manifest.json: no manifest" in error


def test_a_damaged_shard(data: Path, tmp_path: Path, said: pytest.CaptureFixture[str]) -> None:
    folder = write_split(tmp_path / "train", word_problems("train", 3))
    shard = folder / "shard-00000.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"addition", b"Addition"))
    error = _refusal([*arguments(data, tmp_path), f"--train={folder}"], said)
    assert "sha256 differs" in error


def test_no_gold_to_judge_by(data: Path, tmp_path: Path, said: pytest.CaptureFixture[str]) -> None:
    rows = [replace(row, gold=None) for row in word_problems("test", 3)]
    folder = write_split(tmp_path / "bare", rows)
    assert "--test" in _refusal([*arguments(data, tmp_path), f"--test={folder}"], said)


def test_an_unknown_model(data: Path, tmp_path: Path, said: pytest.CaptureFixture[str]) -> None:
    line = [*arguments(data, tmp_path / "out"), f"--model={tmp_path / 'missing'}"]
    assert "no such folder" in _refusal(line, said)


def test_a_batch_that_cannot_be_shared(
    data: Path, tmp_path: Path, said: pytest.CaptureFixture[str]
) -> None:
    line = arguments(data, tmp_path, batch_size=1, accumulate=2)
    assert "take 2 or more" in _refusal(line, said)


def test_an_output_that_is_a_file(
    data: Path, tmp_path: Path, said: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used" in _refusal(arguments(data, tmp_path / "file"), said)


def test_a_wrong_option(said: pytest.CaptureFixture[str]) -> None:
    assert "required: --train" in _refusal([], said)
