"""Students with more or fewer of the reasons are compared, and none is trained twice."""

import json
from pathlib import Path

import pytest

from stepdistill.trainer.main import main


def words(data: Path, *more: str | Path) -> list[str]:
    few = ("--steps", "4", "--seeds", "2")
    folders = (str(data / "train"), "--valid", str(data / "valid"))
    return ["rationales", "compare", *folders, *few, *map(str, more)]


def test_students_are_compared_and_kept(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.jsonl"
    line = words(data, "--rates", "0,0.5,1", "--keep", kept, "--json")
    assert main(line) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    none, half, every = found["rates"]
    assert (found["rows"], len(kept.read_bytes().splitlines())) == (12, 6)
    assert none["reasons"] == 0 < half["reasons"] == round(every["reasons"] / 2)
    for each in (half, every):
        low, high = each["gain_interval"]
        assert low <= each["gain"] <= high
    assert [len(right) for right in every["right"]] == [12, 12]
    assert told.err.count("student ") == 6
    kept.write_bytes(kept.read_bytes()[:-20])  # as a kill leaves it
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert len(kept.read_bytes().splitlines()) == 6


def test_a_table_says_what_it_came_to(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(data, "--quiet")) == 0
    told = capsys.readouterr()
    assert "gain over rate 0 in points" in told.out
    assert not told.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--rates", "0,2"), "--rates 0,2: shares from 0 to 1"),
        (("--seeds", "1"), "--seeds"),
        (("--valid", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(
    data: Path, more: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(data), *more]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
