"""Which rows make up which step: every row in its turn, alike in length, the same for all ranks."""

from dataclasses import replace

import numpy as np
import pytest

from stepdistill.trainer.data.batches import Batch
from stepdistill.trainer.data.plan import Sharing, StepPlan, StepSettings, arrange
from tests.trainer.made_tokens import lengthy_rows, tokens_of

STEPS = StepSettings(batch_size=8, seed=3)
ROWS = lengthy_rows(100)
TOKENS = tokens_of(ROWS)


def _plan(**sharing: int | bool | None) -> StepPlan:
    return StepPlan(TOKENS, replace(STEPS, sharing=Sharing(**sharing)))  # pyright: ignore[reportArgumentType]


def _labels(batches: list[Batch]) -> list[int]:
    parts = [batch.targets[0] for batch in batches]
    return sorted(int(first) for part in parts if part is not None for first in part.ids[:, 0])


def test_an_epoch_shows_every_row_once() -> None:
    plan = StepPlan(TOKENS, StepSettings(batch_size=10, seed=3))
    for epoch in range(2):
        rows = [plan.rows(step) for step in range(epoch * 10, epoch * 10 + 10)]
        assert sorted(np.concatenate(rows)) == list(range(100))


def test_fewer_rows_than_a_step_are_shown_again() -> None:
    few = StepPlan(tokens_of(ROWS[:3]), STEPS)
    assert sorted(np.concatenate([few.rows(step) for step in range(3)])) == sorted([0, 1, 2] * 8)


def test_any_step_can_be_asked_for_at_any_time() -> None:
    one, other = _plan(), _plan()
    assert [list(one.rows(step)) for step in range(30)][29] == list(other.rows(29))
    assert list(one.rows(2)) == list(other.rows(2))


def test_another_seed_is_another_order() -> None:
    other = StepPlan(TOKENS, replace(STEPS, seed=4))
    assert list(other.rows(0)) != list(_plan().rows(0))


def test_ranks_and_micro_batches_share_the_same_step() -> None:
    whole = _plan().step(4)
    ranks = [_plan(accumulate=2, ranks=2, rank=rank).step(4) for rank in range(2)]
    assert _labels(whole) == sorted(_labels(ranks[0]) + _labels(ranks[1]))
    shares = [batch for rank in ranks for batch in rank]
    assert {batch.rows for batch in shares} == {2}
    assert {batch.totals for batch in shares} == {whole[0].totals}


def test_totals_are_the_targets_of_the_whole_step() -> None:
    batches = _plan(accumulate=3).step(1)
    every = sum(batch.target_tokens for batch in batches)
    assert sum(batches[0].totals) == every


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_micro_batch_keeps_within_its_tokens(ranks: int) -> None:
    limit = 120
    for step in range(12):
        parts = [
            _plan(ranks=ranks, rank=rank, most_tokens=limit).step(step) for rank in range(ranks)
        ]
        assert len({len(batches) for batches in parts}) == 1
        assert all(batch.padded <= limit for batches in parts for batch in batches)
        assert sum(batch.rows for batches in parts for batch in batches) == 8


def test_a_row_longer_than_the_limit_stands_alone() -> None:
    assert [batch.rows for batch in _plan(most_tokens=1).step(0)] == [1] * 8


def test_steps_are_alike_in_length_and_each_has_its_share_of_rationales() -> None:
    rows, steps = np.arange(640), 20
    rng = np.random.default_rng(0)
    inputs, targets = rng.integers(5, 100, 640), rng.integers(3, 60, 640)
    kinds = (np.arange(640) % 4 == 0).astype(int)
    targets[kinds == 0] = 1
    arranged = arrange(rows, inputs, targets, kinds, steps)
    assert sorted(np.concatenate(arranged)) == list(rows)
    assert {len(step) for step in arranged} == {32}
    assert all(abs(int(kinds[step].sum()) - 8) <= 1 for step in arranged)

    def padding(parts: list[np.ndarray]) -> float:
        asked = [step[kinds[step] == 1] for step in parts]
        return sum(targets[step].max() * len(step) for step in asked) / targets[kinds == 1].sum()

    assert padding(arranged) < 1.25 < 1.55 < padding(np.array_split(rows, steps))
    widths = [inputs[step].max() - inputs[step].min() for step in arranged]
    assert max(widths) < 40
