"""Paired differences, on numbers that can be reckoned by hand."""

import pytest

from stepdistill.trainer.scores import difference


def test_a_difference_has_an_interval_around_it() -> None:
    one = [True] * 60 + [False] * 40
    other = [True] * 40 + [False] * 60
    found = difference(one, other)
    assert found.difference == pytest.approx(0.2)
    assert (found.only_one, found.only_other) == (20, 0)
    low, high = found.interval
    # Normal approximation: 0.2 -+ 1.96 * sqrt(0.2 * 0.8 / 100).
    assert (low, high) == (pytest.approx(0.122, abs=0.011), pytest.approx(0.278, abs=0.011))
    assert difference(one, other) == found


def test_the_same_answers_do_not_differ() -> None:
    found = difference([True, False], [True, False])
    assert (found.difference, found.interval) == (0.0, (0.0, 0.0))
