"""Files appear whole or not at all; a device that is too small is not a folder's fault."""

from pathlib import Path

import pytest
import torch

from stepdistill.trainer.errors import TrainingError
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.training.checkpoint import (
    Checkpoints,
    Shares,
    TrainingProgress,
    write_whole,
    writing,
)
from stepdistill.trainer.training.engine import Engine, EngineSettings, World


class Cramped(Engine):
    """One that finds no room for what it saved."""

    def load(self, folder: Path, tag: str) -> None:
        torch.empty(1 << 60)


def test_an_old_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_whole(path, b"one")
    with pytest.raises(TypeError):
        write_whole(path, None)  # pyright: ignore[reportArgumentType] - what fails is the point
    assert path.read_bytes() == b"one"


def test_a_lack_of_memory_is_not_said_of_a_folder(
    student: Student, world: World, tmp_path: Path
) -> None:
    engine = Cramped(student, EngineSettings(), world)
    kept = Checkpoints(tmp_path, "a fingerprint", engine, student, Shares(accumulate=1, count=1))
    kept.save(TrainingProgress(step=1))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        kept.restore(tmp_path / "checkpoints" / "step-1", universal=False)
    with pytest.raises(RuntimeError, match="can't allocate memory"), writing(tmp_path):
        torch.empty(1 << 60)
    with pytest.raises(TrainingError, match="cannot be written"), writing(tmp_path):
        torch.save({}, tmp_path / "nowhere" / "x")


@pytest.mark.parametrize(
    ("accumulate", "began", "now", "micro"),
    [(1, 2, 2, 1), (1, 2, 1, 2), (1, 1, 2, 1), (2, 4, 1, 8), (1, 3, 2, 2)],
)
def test_fewer_ranks_read_no_more_at_once(
    accumulate: int, began: int, now: int, micro: int
) -> None:
    shares = Shares(accumulate=accumulate, count=accumulate * began)
    assert shares.micro_batches(now) == micro
