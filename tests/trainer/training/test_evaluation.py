"""Validation on many ranks: as much at once as there is room for, as on one."""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from stepdistill.trainer.data.batches import Targets
from stepdistill.trainer.model.families.t5 import T5Family
from stepdistill.trainer.model.student import Student, from_scratch
from stepdistill.trainer.settings.train import SIZES
from stepdistill.trainer.training.engine import World
from stepdistill.trainer.training.evaluation import explain_loss

_T = TypeVar("_T")


class OneOfTwo(World):
    """A rank whose other has nothing to say."""

    def gather(self, value: _T) -> list[_T]:
        return [value]


class Counting(T5Family):
    """Notes how many lines are computed at once."""

    def __init__(self) -> None:
        self.lines: list[int] = []

    def logits(
        self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets
    ) -> torch.Tensor:
        self.lines.append(len(targets.ids))
        return super().logits(model, hidden, mask, targets)


@pytest.fixture(scope="module")
def wide() -> Student:
    """Of so many words that few tokens' logits have room beside each other."""
    return from_scratch(SIZES["micro"], [(f"w{n}", -1.0) for n in range(100_000)], 0, None)


@pytest.mark.parametrize(("lockstep", "turns"), [(False, 2), (True, 1)])
def test_only_ranks_in_lockstep_do_without_the_bound_on_logits(
    wide: Student, lockstep: bool, turns: int
) -> None:
    family = Counting()
    pairs = [(np.full(4, 7), np.full(60, 9)) for _ in range(16)]
    world = OneOfTwo(rank=0, size=2, device=torch.device("cpu"))
    assert explain_loss(replace(wide, family=family), [pairs], world, lockstep=lockstep)
    assert len(family.lines) == turns and sum(family.lines) == 16
