"""A gain's interval is over seeds and rows, and by Student's t."""

import numpy as np
import pytest

from stepdistill.common.intervals import Gain, gain_of

# Two-sided 95 % of Student's t, as tables have it.
T_95 = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 7: 2.3646, 10: 2.2281, 101: 1.9837}


@pytest.mark.parametrize("freedom", T_95)
def test_it_is_students_t(freedom: int) -> None:
    gain = Gain(mean=0.1, error=0.05, freedom=freedom)
    half = T_95[freedom] * 0.05
    assert gain.interval == pytest.approx((0.1 - half, 0.1 + half), abs=1e-4)
    assert gain.chance_above(0.1) == 0.5
    assert gain.chance_above(0.1 - half) == pytest.approx(0.975, abs=1e-4)
    assert gain.chance_above(0.1 + half) == pytest.approx(0.025, abs=1e-4)


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
