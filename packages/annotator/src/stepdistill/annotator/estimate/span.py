"""A number that is not known: the likely value between a low and a high one."""

from decimal import Decimal
from typing import NamedTuple

Z_95 = 1.96  # a 95 % interval is this many standard errors to each side


class Span(NamedTuple):
    """low <= likely <= high."""

    low: float
    likely: float
    high: float

    def __add__(self, other: object) -> "Span":
        """Low to low, high to high: as if both erred to the same side."""
        assert isinstance(other, Span)
        return Span(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float | Decimal) -> "Span":
        """Scaled by a factor of at least 0."""
        return Span(*(float(factor) * each for each in self))

    def stated(self, form: str = "{:,.0f}") -> str:
        """`likely (low to high)`, or one number where nothing is uncertain."""
        low, likely, high = (form.format(each) for each in self)
        return likely if low == high else f"{likely} ({low} to {high})"


NOTHING = Span(0, 0, 0)


def around(likely: float, error: float) -> Span:
    """likely, give or take an error; never below 0."""
    return Span(max(0.0, likely - error), likely, likely + error)
