"""The picture of what accuracy costs begins at 0 USD, where a free student stands."""

import pytest
from matplotlib.figure import Figure

from stepdistill.common.intervals import wilson
from stepdistill.trainer.distil.frontier import PricedAnswers, frontier_picture


@pytest.mark.parametrize("dearest_usd", [0.0, 2.5])
def test_no_price_is_below_nothing(dearest_usd: float) -> None:
    ways = [
        PricedAnswers(who=who, usd=price, accuracy=0.7, low=0.6, high=0.8)
        for who, price in (("student", 0.0), ("teacher", dearest_usd))
    ]
    figure = Figure()
    frontier_picture("tickets", ways).paint(figure)
    left, right = figure.axes[0].get_xlim()
    assert left == 0
    assert right > dearest_usd


@pytest.mark.parametrize("right", [0, 13])
def test_all_or_none_right_is_painted(right: int) -> None:
    low, high = wilson(right, 13)  # whose upper end is a bit below 1 for 13 of 13
    way = PricedAnswers(who="student", usd=0.0, accuracy=right / 13, low=low, high=high)
    frontier_picture("tickets", [way]).paint(Figure())
