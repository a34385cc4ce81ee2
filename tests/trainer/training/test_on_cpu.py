"""Dropout drawn by the word: as often as it is asked for, reproducibly, and only where it is on."""

import pytest
import torch
from torch.nn import functional

from stepdistill.trainer.training.on_cpu import quick_dropout


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1000, 333), (3,), (1,), (0,)])
def test_as_many_as_are_asked_for_are_drawn(chance: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    with quick_dropout():
        drawn = torch.empty(shape).bernoulli_(chance)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    if drawn.numel() > 100:
        # Five standard errors of so many draws.
        margin = 5 * (chance * (1 - chance) / drawn.numel()) ** 0.5
        assert drawn.mean().item() == pytest.approx(chance, abs=margin)


def test_neighbours_are_drawn_apart() -> None:
    torch.manual_seed(5)
    with quick_dropout():
        drawn = torch.empty(400_000).bernoulli_(0.5)
    for apart in (1, 2, 3, 4, 8):  # four of them are of one word
        same = (drawn[apart:] == drawn[:-apart]).float().mean().item()
        assert same == pytest.approx(0.5, abs=5 * 0.5 / 400_000**0.5)


def test_dropout_keeps_the_mean_and_its_gradient_its_mask() -> None:
    torch.manual_seed(4)
    values = torch.ones(200, 500, requires_grad=True)
    with quick_dropout():
        kept = functional.dropout(values, 0.1)
        kept.sum().backward()
    assert values.grad is not None and torch.equal(values.grad, kept.detach())
    assert kept.mean().item() == pytest.approx(1.0, abs=0.01)


def test_the_same_seed_draws_the_same_and_other_places_keep_torchs_own() -> None:
    def draw() -> torch.Tensor:
        torch.manual_seed(7)
        return torch.empty(1000).bernoulli_(0.3)

    own = draw()
    with quick_dropout():
        first, second = draw(), draw()
    assert torch.equal(first, second) and not torch.equal(first, own)
    assert torch.equal(draw(), own)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.bool])
def test_tensors_of_any_kind_are_filled(dtype: torch.dtype) -> None:
    with quick_dropout():
        drawn = torch.zeros(50, 40, dtype=dtype).t().bernoulli_(0.5)
    assert 0.4 < drawn.float().mean().item() < 0.6
