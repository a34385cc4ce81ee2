"""How far a share of counted rows may be trusted: Wilson's interval, the same for both halves; and
how far a difference between students, over seeds and rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, pi, sin, sqrt
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)  # 1.95996...: 95 % of a normal distribution lie within ± this
_MANY = 500  # degrees of freedom from which on Student's t is the normal distribution


def wilson(correct: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """The interval of a share after Wilson (1927), for `correct` of `n`; (0, 1) when n is 0.
    They need not be whole: an estimate may be worth 61.8 judgements.

    Unlike the plain one (share ± z * standard error) it never leaves 0..1.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, z**2
    scale = 1 + z2 / n
    middle = (share + z2 / (2 * n)) / scale
    spread = sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Two orders, as both have been published: they differ in the last bit of a float.
    half = z * spread / scale if z == Z_95 else z / scale * spread
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How many more rows students have right in one way than in another, as a share of the rows:
    both rows and seeds are samples."""

    mean: float  # -1..1
    error: float  # its standard error
    freedom: int  # degrees of freedom of that

    def chance_above(self, worth: float) -> float:
        """How likely the gain is above this share, by Student's t."""
        if self.error == 0:
            return float(self.mean > worth)
        return _below((self.mean - worth) / self.error, self.freedom)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = _quantile_975(self.freedom) * self.error
        return self.mean - half, self.mean + half


def gain_of(one: Sequence[str], other: Sequence[str]) -> Gain:
    """How much better one way is than another. Each: by seed, the same seeds in the same order, of
    each row a 1 where the student was right, else a 0; two seeds at least.

    Rows and seeds cross: what is chance in either adds up, less what both sums have of the rest
    (Satterthwaite's degrees of freedom). However alike they are, nobody knows it better than to a
    row.
    """
    gaps = [
        [int(a) - int(b) for a, b in zip(mine, its, strict=True)]
        for mine, its in zip(one, other, strict=True)
    ]
    seeds, rows = len(gaps), len(gaps[0])
    by_seed = [sum(each) / rows for each in gaps]
    by_row = [sum(each) / seeds for each in zip(*gaps, strict=True)]
    mean = sum(by_seed) / seeds
    others = max(1, rows - 1)
    of_rows = sum((each - mean) ** 2 for each in by_row) / others / rows
    of_seeds = sum((each - mean) ** 2 for each in by_seed) / (seeds - 1) / seeds
    rest = sum(
        (gap - of_row - of_seed + mean) ** 2
        for gap_row, of_seed in zip(gaps, by_seed, strict=True)
        for gap, of_row in zip(gap_row, by_row, strict=True)
    )
    of_rest = rest / (others * (seeds - 1)) / (rows * seeds)
    variance = max(of_rows + of_seeds - of_rest, of_rows, of_seeds, rows**-2)
    spread = of_rows**2 / others + of_seeds**2 / (seeds - 1)
    freedom = variance**2 / spread if spread else 1.0
    return Gain(mean=mean, error=sqrt(variance), freedom=max(1, int(freedom)))


def _below(t: float, freedom: int) -> float:
    """The chance that Student's t is below: exact for whole degrees of freedom (Abramowitz and
    Stegun, 26.7.3 and 26.7.4)."""
    if freedom > _MANY:
        return NormalDist().cdf(t)
    angle = atan2(t, sqrt(freedom))
    term = cos(angle) if freedom % 2 else 1.0
    total = 0.0
    for n in range(2 if freedom % 2 else 1, freedom, 2):
        total += term
        term *= cos(angle) ** 2 * n / (n + 1)
    inside = sin(angle) * total
    return 0.5 + ((angle + inside) / pi if freedom % 2 else inside / 2)


def _quantile_975(freedom: int) -> float:
    low, high = 0.0, 13.0  # 12.7 with one degree
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _below(middle, freedom) > 0.975 else (middle, high)
    return high
