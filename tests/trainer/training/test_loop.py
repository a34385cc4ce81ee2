"""The learning rate's way up and down."""

from pathlib import Path

import pytest

from tests.trainer.made_rows import arguments
from trainer.config import parse
from trainer.training.loop import learning_rate


def test_up_then_down() -> None:
    config = parse(arguments(Path("d"), Path("o"), steps=100, warmup=10, lr=1.0))
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[-1] == pytest.approx(1 / 90)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("warmup", [0, 500])
def test_any_warm_up_fits_a_short_run(warmup: int) -> None:
    config = parse(arguments(Path("d"), Path("o"), steps=1, warmup=warmup, lr=1.0))
    assert learning_rate(0, config) == 1.0
