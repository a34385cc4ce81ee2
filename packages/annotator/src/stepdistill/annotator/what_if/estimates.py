"""Estimates from rows that were answered, with 95 % intervals: rows are what was sampled.

A choice's mean is a sum of means, one for each template that has a share in it, each over the rows
that this template was asked. Its variance is that of what every row contributes to the sum (the
linearised, or infinitesimal jackknife, variance): so templates that were asked the same rows are
compared on these, and one that was asked few has a wide interval. Shares have Wilson's interval of
as many rows as would give that variance, sums of money one on the logarithm, with Student's t, and
its upper bound as if one more row had been asked that cost twice the mean. What is predicted for
rows that were not asked has the noise of these rows besides: of shares a beta-binomial's quantiles.
How often they hold the truth: benchmarks/what_if_coverage.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, gammaln, stdtrit

from stepdistill.common.intervals import Z_95, wilson

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
_TAIL = 0.025
_MOST_COUNTED = 5_000  # rows whose beta-binomial is summed up; of more it is as good as smooth
_PRIOR = 0.5  # Jeffreys'
_DEAR = 2.0  # what a row may cost that is like none that was asked, in means of these


class Interval(NamedTuple):
    """An estimate between the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """All three, times a factor of at least 0."""
        return Interval(*(each * factor for each in self))


class RowValues(NamedTuple):
    """One value of each of some rows."""

    rows: Numbers  # their numbers, rising
    values: Floats

    def where(self, chosen: NDArray[np.bool_]) -> "RowValues":
        """Of some of them."""
        return RowValues(self.rows[chosen], self.values[chosen])


class WeightedPart(NamedTuple):
    """A column, and its share in a sum."""

    share: float
    column: RowValues


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMean:
    """A mean over rows.

    influence: what each row adds to its error, by number; answers: how many values it is from;
    spread: the variance of a further row's value, its template given.
    """

    value: float
    influence: Floats
    rows: int
    answers: int
    spread: float

    @property
    def variance(self) -> float:
        """Of the mean."""
        return float(self.influence @ self.influence)

    @property
    def worth(self) -> float:
        """Of a share: how many rows would give its variance, were they drawn at random."""
        spread = self.value * (1 - self.value)
        if spread <= 0 or self.variance <= 0:
            return float(self.rows)
        return min(float(self.answers), spread / self.variance)

    def less(self, other: "RowMean") -> "RowMean":
        """The mean of one less the other, row by row where they have the same rows."""
        return RowMean(
            value=self.value - other.value,
            influence=self.influence - other.influence,
            rows=min(self.rows, other.rows),
            answers=min(self.answers, other.answers),
            spread=self.spread + other.spread,
        )

    def plus(self, other: "RowMean") -> "RowMean":
        """The mean of the sum of both values."""
        influence = self.influence + other.influence
        return RowMean(
            value=self.value + other.value,
            influence=influence,
            rows=max(self.rows, other.rows),
            answers=self.answers + other.answers,
            spread=self.spread + other.spread,
        )


def mean_of(parts: Sequence[WeightedPart], n_rows: int, *, is_share: bool = True) -> RowMean:
    """The sum of the parts' means, each times its share. n_rows: how many rows there are at all.
    is_share: False for amounts, whose variance is not known from their mean."""
    influence, asked = np.zeros(n_rows), np.zeros(n_rows, dtype=bool)
    value = spread = 0.0
    for share, (rows, values) in parts:
        n, off = len(values), values - values.mean()
        value += share * float(values.mean())
        more = 1.0 if is_share else n / (n - 1)
        variance = more * float((off**2).mean())
        spread += share * variance
        influence[rows] += share * sqrt(more) * off / n
        asked[rows] = True
    return RowMean(
        value=value,
        influence=influence,
        rows=int(asked.sum()),
        answers=sum(len(part.column.rows) for part in parts),
        spread=spread,
    )


def share_interval(mean: RowMean) -> Interval:
    """A share of rows like these: of one template alone, Wilson's interval."""
    value = min(1.0, max(0.0, mean.value))
    low, high = wilson(value * mean.worth, mean.worth)
    return Interval(value, min(low, value), max(high, value))


def amount_interval(mean: RowMean) -> Interval:
    """A mean of what is not below 0, such as USD of a row."""
    found, dear = (_around(m.value, sqrt(m.variance), m) for m in (mean, _with_a_dear_row(mean)))
    return found._replace(high=dear.high)


def ratio_interval(above: RowMean, below: RowMean) -> Interval | None:
    """One mean over the other, such as USD of a right label; None where the other is 0."""
    if below.value <= 0:
        return None
    if above.value <= 0:
        return Interval(0.0, 0.0, 0.0)
    influence = above.influence / above.value - below.influence / below.value
    # Where all rows are right, nothing is known of how many are wrong: at least what Wilson says.
    least = 0.0 if below.value < 1 else -log(wilson(below.rows, below.rows)[0]) / (2 * Z_95)
    half = sqrt(max(float(influence @ influence), least**2)) * _student(above)
    value = above.value / below.value
    return Interval(value, value * exp(-half), value * exp(half))


def difference_interval(mean: RowMean) -> Interval:
    """A difference of two shares on the rows that have both, -1 to 1. It is taken to be at least as
    uncertain as if half a row more or less had changed sides."""
    half = _student(mean) * sqrt(mean.variance + 0.5 / max(1, mean.rows) ** 2)
    return Interval(mean.value, max(-1.0, mean.value - half), min(1.0, mean.value + half))


def predicted_count(known: int, rest: int, bounds: tuple[RowMean, RowMean, RowMean]) -> Interval:
    """How many of all rows are such, where `known` are, and `rest` were not asked. bounds: the
    share as it may be at the least, as it is taken to be, and at the most."""
    low, likely, high = bounds
    middle = known + rest * min(1.0, max(0.0, likely.value))
    if not rest:
        return Interval(middle, middle, middle)
    least = known + _quantile(low, rest, _TAIL)
    most = known + _quantile(high, rest, 1 - _TAIL)
    return Interval(middle, min(least, middle), max(most, middle))


def predicted_total(known: float, rest: float, mean: RowMean) -> Interval:
    """What all rows come to, where those that were asked come to `known`, and `rest` were not."""

    def predicted(m: RowMean) -> Interval:
        return _around(rest * m.value, sqrt(rest**2 * m.variance + rest * m.spread), m)

    found = predicted(mean)._replace(high=predicted(_with_a_dear_row(mean)).high)
    return Interval(*(known + each for each in found))


def _with_a_dear_row(mean: RowMean) -> RowMean:
    """The mean, had one more row been asked, and cost twice the mean of the others.

    A few answers in a hundred are many times as long as the usual one. Where none of them was
    among few rows, these say nothing of it: their mean is too low, and so is its error.
    """
    if mean.variance <= 0:
        return mean
    n, more = mean.spread / mean.variance, (_DEAR - 1) * mean.value
    return replace(
        mean,
        value=mean.value + more / (n + 1),
        influence=np.append(mean.influence, more / n),
        spread=mean.spread + more**2 / n,
    )


def _around(value: float, error: float, mean: RowMean) -> Interval:
    """On the logarithm, as what is not below 0 is often far above its mean and never far below."""
    half = error * _student(mean)
    if value <= 0:
        return Interval(value, value, value + half)
    factor = exp(half / value) if half < 50 * value else inf
    return Interval(value, value / factor, value * factor)


def _student(mean: RowMean) -> float:
    return float(stdtrit(max(1, mean.rows - 1), 1 - _TAIL))


def _quantile(mean: RowMean, rest: int, level: float) -> float:
    """Of how many of the rest are such."""
    value, worth = min(1.0, max(0.0, mean.value)), mean.worth
    right, wrong = value * worth + _PRIOR, (1 - value) * worth + _PRIOR
    if rest > _MOST_COUNTED:
        shrunk = 1 / (1 + (right + wrong) / rest)
        return rest * float(betaincinv(right * shrunk, wrong * shrunk, level))
    counts = np.arange(rest + 1)
    choices = gammaln(rest + 1) - gammaln(counts + 1) - gammaln(rest - counts + 1)
    chances = np.exp(choices + betaln(counts + right, rest - counts + wrong) - betaln(right, wrong))
    return float(np.searchsorted(np.cumsum(chances), level))
