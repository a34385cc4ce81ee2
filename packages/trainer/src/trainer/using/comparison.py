"""A student against its teacher on the same rows, and whether its probabilities mean anything."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Accuracy of one less that of another on the same rows, with a 95 % paired bootstrap interval.

    only_one, only_other: rows that one of them alone had right.
    """

    difference: float
    interval: tuple[float, float]
    only_one: int
    only_other: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far probabilities are from how often they are right.

    error: expected calibration error, the mean gap over ten bins of probability, by their rows.
    bins: (rows, mean probability, share right) of each bin that has rows.
    """

    error: float
    bins: tuple[tuple[int, float, float], ...]


def difference(
    one: Sequence[bool], other: Sequence[bool], *, samples: int = 10_000, seed: int = 0
) -> Difference:
    """Compare who was right row by row; at least one row.

    Resampling the rows is drawing how many of them favour the one, the other, or neither.
    """
    n = len(one)
    gains = np.array(one, dtype=int) - np.array(other, dtype=int)
    for_one, for_other = int((gains > 0).sum()), int((gains < 0).sum())
    shares = np.array([for_one, for_other, n - for_one - for_other]) / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, size=samples)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, (0.025, 0.975))
    return Difference(
        difference=(for_one - for_other) / n,
        interval=(float(low), float(high)),
        only_one=for_one,
        only_other=for_other,
    )


def calibration(probabilities: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Ten bins of equal width; at least one row."""
    chances, hits = np.array(probabilities), np.array(right, dtype=float)
    places = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    bins = [
        (int(here.sum()), float(chances[here].mean()), float(hits[here].mean()))
        for here in (places == place for place in range(_BINS))
        if here.any()
    ]
    error = sum(rows * abs(chance - share) for rows, chance, share in bins) / len(hits)
    return Calibration(error=error, bins=tuple(bins))
