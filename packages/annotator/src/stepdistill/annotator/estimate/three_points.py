"""A number that is not known, as three points: low, likely and high."""

from decimal import Decimal
from typing import NamedTuple


class ThreePoints(NamedTuple):
    """low <= likely <= high."""

    low: float
    likely: float
    high: float

    def __add__(self, other: object) -> "ThreePoints":
        """Low to low, high to high: as if both erred to the same side."""
        assert isinstance(other, ThreePoints)
        return ThreePoints(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float | Decimal) -> "ThreePoints":
        """Scaled by a factor of at least 0."""
        return ThreePoints(*(float(factor) * each for each in self))

    @property
    def usd(self) -> str:
        """As money: `likely (low to high)`, or one number where nothing is uncertain."""
        low, likely, high = (f"{each:,.4f}" for each in self)
        return likely if low == high else f"{likely} ({low} to {high})"


NOTHING = ThreePoints(0, 0, 0)


def around(likely: float, error: float) -> ThreePoints:
    """likely, give or take an error; never below 0."""
    return ThreePoints(max(0.0, likely - error), likely, likely + error)
