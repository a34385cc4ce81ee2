"""Estimates against what is known of them: Wilson's interval, exact counts, pairs of rows."""

import numpy as np
import pytest

from stepdistill.annotator.what_if.estimates import (
    RowMean,
    RowValues,
    WeightedPart,
    amount_interval,
    difference_interval,
    mean_of,
    predicted_count,
    predicted_total,
    ratio_interval,
    share_interval,
)
from stepdistill.common.intervals import wilson

N = 1_000


def a_mean(*parts: tuple[float, int, list[float]], is_share: bool = True) -> RowMean:
    """parts: share, first row, values."""
    made = [
        WeightedPart(share, RowValues(np.arange(start, start + len(values)), np.array(values)))
        for share, start, values in parts
    ]
    return mean_of(made, N, is_share=is_share)


def shares(right: int, rows: int) -> list[float]:
    return [1.0] * right + [0.0] * (rows - right)


@pytest.mark.parametrize(("right", "rows"), [(7, 10), (0, 10), (30, 30), (180, 200)])
def test_a_share_of_one_template_has_wilsons_interval(right: int, rows: int) -> None:
    found = share_interval(a_mean((1.0, 0, shares(right, rows))))
    assert found.value == right / rows
    assert (found.low, found.high) == pytest.approx(wilson(right, rows))


def test_a_mix_of_two_templates_is_surer_on_rows_of_its_own_than_on_few() -> None:
    many = share_interval(a_mean((0.5, 0, shares(80, 100)), (0.5, 100, shares(80, 100))))
    few = share_interval(a_mean((0.5, 0, shares(80, 100)), (0.5, 100, shares(8, 10))))
    assert many.value == few.value == pytest.approx(0.8)
    assert few.high - few.low > 1.8 * (many.high - many.low)


def test_the_same_rows_make_a_difference_surer() -> None:
    one, other = shares(80, 100), shares(78, 100)
    same = difference_interval(a_mean((1.0, 0, one)).less(a_mean((1.0, 0, other))))
    apart = difference_interval(a_mean((1.0, 0, one)).less(a_mean((1.0, 100, other))))
    assert same.value == apart.value == pytest.approx(0.02)
    assert same.high - same.low < 0.4 * (apart.high - apart.low)
    assert same.low < 0 < same.high


def test_what_is_known_is_no_prediction() -> None:
    mean = a_mean((1.0, 0, shares(8, 10)))
    assert predicted_count(8, 0, (mean, mean, mean)) == (8, 8, 8)
    assert predicted_total(2.5, 0, a_mean((1.0, 0, [1.0, 2.0, 3.0]), is_share=False)) == (
        2.5,
        2.5,
        2.5,
    )


def test_of_few_rows_to_come_all_may_be_right() -> None:
    mean = a_mean((1.0, 0, shares(90, 100)))
    found = predicted_count(90, 10, (mean, mean, mean))
    assert found.high == 100
    assert found.low < 98


@pytest.mark.parametrize("rest", [50, 4_999, 5_001, 100_000])
def test_the_more_rows_come_the_nearer_to_the_share(rest: int) -> None:
    mean = a_mean((1.0, 0, shares(900, 1000)))
    found = predicted_count(0, rest, (mean, mean, mean))
    low, high = wilson(900, 1000)
    assert found.low / rest < low + 0.002
    assert found.high / rest > high - 0.002
    if rest > 4_000:
        assert (found.high - found.low) / rest < 1.2 * (high - low)


def test_costs_stay_above_nothing() -> None:
    found = amount_interval(a_mean((1.0, 0, [0.001, 0.001, 0.05]), is_share=False))
    assert 0 < found.low < found.value < found.high


def test_a_ratio_without_anything_right_is_none() -> None:
    usd = a_mean((1.0, 0, [0.1, 0.2, 0.1]), is_share=False)
    assert ratio_interval(usd, a_mean((1.0, 0, shares(0, 3)))) is None
    sure = ratio_interval(usd, a_mean((1.0, 0, shares(3, 3))))
    assert sure is not None
    assert sure.low < sure.value == pytest.approx(0.4 / 3)


def test_a_total_is_held_where_a_few_rows_cost_many_times_the_usual() -> None:
    """Of 75 rows two cost four times as much; 20 to 40 of them are known."""
    rng, held, n = np.random.default_rng(3), 0, 75
    for _ in range(400):
        usd = rng.lognormal(0.0, 0.25, n) * np.where(rng.permutation(n) < 2, 4.0, 1.0)
        known = int(rng.integers(20, 40))
        mean = a_mean((1.0, 0, usd[:known].tolist()), is_share=False)
        found = predicted_total(float(usd[:known].sum()), n - known, mean)
        held += found.low <= float(usd.sum()) <= found.high
    assert held >= 0.88 * 400


def test_of_many_rows_with_even_costs_a_total_is_hardly_less_sure_than_students_t_has_it() -> None:
    usd = np.random.default_rng(4).normal(1.0, 0.1, 800)
    mean = a_mean((1.0, 0, usd.tolist()), is_share=False)
    found = predicted_total(0.0, 1_000, mean)
    half = 1.963 * np.sqrt(1_000**2 * mean.variance + 1_000 * mean.spread)
    assert half < found.high - found.value < 1.25 * half
    assert found.value - found.low == pytest.approx(half, rel=0.05)
