"""Wilson's interval against published values, and to the last bit what has been published of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.common.intervals import wilson


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe (1998), table I, method 3: score without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilson_gives_newcombes_table(correct: int, n: int, low: float, high: float) -> None:
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


@given(n=st.integers(0, 500), share=st.floats(0, 1))
def test_an_interval_holds_its_share_and_mirrors(n: int, share: float) -> None:
    correct = round(n * share)
    low, high = wilson(correct, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low - 1e-12 <= correct / n <= high + 1e-12
        assert wilson(n - correct, n) == pytest.approx((1 - high, 1 - low))


def test_both_halves_keep_their_figures_to_the_last_bit() -> None:
    assert wilson(2, 5) == (0.11762077423264794, 0.769275718723987)
    # Multiplied before it is divided, the first one would end in ...711.
    assert wilson(2, 5, 1.959964) == (0.11762077314099717, 0.7692757205908813)
