"""Each odd file all the way to a student, which labels that very file, row for row."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stepdistill.common.files.row_file import read_file
from stepdistill.trainer.main import main
from tests.files.odd_files import ODD_FILES
from tests.warm import WarmProcess

_QUICK = ("Messages 2024.xlsx", "nested.jsonl", "odd.csv")
_OF_ALL = [
    pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in ODD_FILES
]
SPLITS = ("train", "valid", "test")
MICRO = ("--model", "tiny", "--steps", "4", "--eval-every", "4", "--warmup", "1", "--quiet")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, on one thread, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", _OF_ALL)
def test_a_student_labels_the_file_that_its_task_was_made_of(
    name: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    warm_annotate: WarmProcess,
) -> None:
    odd = ODD_FILES[name]
    (tmp_path / name).write_bytes(odd.make())
    warm_annotate.finish(
        tmp_path,
        ("new", "mine", name, *odd.words),
        ("run", "mine", "--teacher", "simulated", "--split", ",".join(SPLITS)),
        ("export", "mine", "--to", "exported.jsonl"),
    )
    shards = [word for split in SPLITS for word in (f"--{split}", f"runs/mine/{split}")]
    assert main(["train", *MICRO, *shards, "--output", "student"]) == 0
    assert main(["evaluate", "student/model", "runs/mine/test"]) == 0
    assert main(["predict", "student/model", name, "--to", "predicted.jsonl"]) == 0, (
        capfd.readouterr().err
    )
    rows = list(read_file(tmp_path / name))
    for made in ("exported.jsonl", "predicted.jsonl"):
        found = list(read_file(tmp_path / made))
        assert len(found) == odd.rows
        for row, out in zip(rows, found, strict=True):
            assert {column: out[column] for column in row} == row
