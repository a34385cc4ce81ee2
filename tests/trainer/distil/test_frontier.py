"""The picture of what accuracy costs begins at 0 USD, where a free student stands."""

import pytest
from matplotlib.figure import Figure

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
