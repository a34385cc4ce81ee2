"""A gain's interval is over seeds and rows, and by Student's t."""

import numpy as np
import pytest
from scipy.stats import t

from stepdistill.common.intervals import Gain, gain_of


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 10, 101])
def test_it_is_students_t(freedom: int) -> None:
    gain = Gain(mean=0.1, error=0.05, freedom=freedom)
    for worth in (-0.3, 0.0, 0.1, 0.2, 0.4):
        expected = float(t.cdf((0.1 - worth) / 0.05, freedom))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        assert gain.chance_above(worth) == pytest.approx(expected, abs=1e-9)
    half = float(t.ppf(0.975, freedom)) * 0.05  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    assert gain.interval == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)


def test_nothing_is_known_better_than_to_a_row() -> None:
    alike = gain_of(["1100", "1010"], ["1100", "1010"])
    assert (alike.mean, alike.error) == (0.0, 0.25)
    assert alike.chance_above(0.0) == 0.5
    one_row = gain_of(["1", "1"], ["0", "0"])
    low, high = one_row.interval
    assert one_row.mean == 1.0
    assert low < 0 < high


def test_the_interval_covers_where_rows_and_seeds_are_chance() -> None:
    rng, covered, draws = np.random.default_rng(1), 0, 300
    for _ in range(draws):
        ease, moved = rng.normal(size=150), rng.normal(0, 0.3, 150)
        one, other = (
            rng.normal(size=(4, 150)) < ease + rng.normal(0, 0.3, (4, 1)) + by
            for by in (moved, 0 * moved)
        )
        rows = [["".join("01"[int(each)] for each in seed) for seed in way] for way in (one, other)]
        low, high = gain_of(*rows).interval
        covered += low <= 0 <= high
    assert covered / draws >= 0.92
