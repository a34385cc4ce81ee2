"""A student against its teacher on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Accuracy of one less that of another on the same rows, with a 95 % paired bootstrap interval.

    only_one, only_other: rows that one of them alone had right.
    """

    difference: float
    interval: tuple[float, float]
    only_one: int
    only_other: int


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
