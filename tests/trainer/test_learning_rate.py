"""The learning rate's way up and down."""

from pathlib import Path

import pytest

from stepdistill.trainer.settings.train import parse
from tests.trainer.made_rows import arguments


def test_up_then_down() -> None:
    config = parse(arguments(Path("d"), Path("o"), steps=100, warmup=10, lr=1.0))
    rates = [config.learning_rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[-1] == pytest.approx(1 / 90)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("warmup", [0, 500])
def test_any_warm_up_fits_a_short_run(warmup: int) -> None:
    config = parse(arguments(Path("d"), Path("o"), steps=1, warmup=warmup, lr=1.0))
    assert config.learning_rate(0) == 1.0


def test_a_cosine_and_a_level_way() -> None:
    def rates(curve: str) -> list[float]:
        options = {"steps": 100, "warmup": 10, "lr": 1.0, "curve": curve}
        config = parse(arguments(Path("d"), Path("o"), **options))
        return [config.learning_rate(step) for step in range(100)]

    cosine = rates("cosine")
    assert cosine[10] == 1.0 and cosine[55] == pytest.approx(0.5) and cosine[-1] < 0.001
    assert cosine[10:] == sorted(cosine[10:], reverse=True)
    assert set(rates("constant")[10:]) == {1.0}
