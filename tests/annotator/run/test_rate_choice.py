"""More reasons are bought as long as they pay; where they are paid for already, all are kept."""

from collections.abc import Callable

import pytest

from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.run.rate_choice import TriedRate, buy_while_it_pays, keep_what_helps

N = 400
USD_OF_ALL_REASONS = 10.0


def students(accuracy: float) -> tuple[str, ...]:
    """Three that have so many rows right, each others than the one before."""
    right = round(accuracy * N)
    rows = "1" * right + "0" * (N - right)
    return tuple(rows[shift:] + rows[:shift] for shift in range(3))


def world(
    accuracies: dict[float, float],
) -> tuple[Callable[[float], TriedRate | None], list[float]]:
    """What trying a rate comes to, and the rates that were tried."""
    bought: list[float] = []

    def try_rate(rate: float) -> TriedRate:
        bought.append(rate)
        accuracy = accuracies[rate]
        return TriedRate(
            rate=rate,
            reasons=int(rate * N),
            usd=5.0 + rate * USD_OF_ALL_REASONS,
            right=students(accuracy),
            accuracy=accuracy,
        )

    return try_rate, bought


RISING = {0.0: 0.5, 0.2: 0.6, 0.4: 0.65, 0.7: 0.66, 1.0: 0.67}


@pytest.mark.parametrize(
    ("worth", "rate", "tried"),
    [
        (1.0, 0.7, [0.0, 0.2, 0.4, 0.7, 1.0]),  # the last point costs 3 USD
        (0.3, 0.2, [0.0, 0.2, 0.4]),  # ten points for 2 USD, then five
        (0.05, 0.0, [0.0, 0.2]),
        (0.01, 0.0, [0.0]),  # even a student without an error would not be worth that
        (0.0, 0.0, [0.0]),
        (None, 1.0, [0.0, 0.2, 0.4, 0.7, 1.0]),
    ],
)
def test_reasons_are_bought_as_long_as_they_pay(
    worth: float | None, rate: float, tried: list[float]
) -> None:
    accuracies = RISING if worth != 1.0 else {**RISING, 0.7: 0.72, 1.0: 0.725}
    try_rate, bought = world(accuracies)
    found = buy_while_it_pays(try_rate, worth)
    assert found is not None
    assert (found.rate, bought) == (rate, tried), found.why
    assert [one.rate for one in found.tried] == tried


def test_without_a_price_noise_ends_it() -> None:
    try_rate, bought = world({**RISING, 0.4: 0.6})
    found = buy_while_it_pays(try_rate, None)
    assert found is not None
    assert (found.rate, bought) == (0.2, [0.0, 0.2, 0.4])
    assert "no more than noise" in found.why
    assert "the other 60% were not bought" in found.why


def test_the_ceiling_ends_it_with_what_paid() -> None:
    try_rate, _ = world(RISING)

    def up_to_a_ceiling(rate: float) -> TriedRate | None:
        if rate > 0.2:
            raise CeilingReached("--max-cost 8")
        return try_rate(rate)

    found = buy_while_it_pays(up_to_a_ceiling, None)
    assert found is not None
    assert found.rate == 0.2
    assert "--max-cost" in found.why


@pytest.mark.parametrize("unanswered", [0.0, 0.2])
def test_nothing_is_found_where_rows_are_unanswered(unanswered: float) -> None:
    try_rate, _ = world(RISING)
    assert buy_while_it_pays(lambda r: None if r == unanswered else try_rate(r), None) is None
    assert keep_what_helps(lambda r: None if r == 1.0 else try_rate(r)) is None


@pytest.mark.parametrize(("with_fewer", "rate"), [(0.67, 1.0), (0.66, 1.0), (0.75, 0.4)])
def test_reasons_that_are_paid_for_are_kept_unless_fewer_are_better(
    with_fewer: float, rate: float
) -> None:
    try_rate, _ = world({**RISING, 0.4: with_fewer})
    found = keep_what_helps(try_rate)
    assert found is not None
    assert found.rate == rate
    assert "paid for at any rate" in found.why


def test_students_that_have_learnt_nothing_are_doubted() -> None:
    try_rate, _ = world(RISING)

    def beside_a_commonest_label(rate: float) -> TriedRate:
        found = try_rate(rate)
        assert found is not None
        return found.model_copy(update={"majority": 0.64})

    doubted, sure = (buy_while_it_pays(each, None) for each in (beside_a_commonest_label, try_rate))
    assert doubted is not None and sure is not None
    assert (doubted.rate, doubted.why) == (sure.rate, sure.why)
    assert "hardly better than the commonest label (64.0% right)" in doubted.in_words
    assert sure.in_words == sure.why
