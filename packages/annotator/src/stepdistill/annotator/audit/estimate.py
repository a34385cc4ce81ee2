"""How many labels are right, from the judged rows of each stratum, and between which bounds.

The share is the strata's own shares, each by its part of all rows. Its interval is Wilson's, with
as many judgements as a random choice would have needed for the same variance, and the quantile of
Student's t. The variance of a stratum is that of its share drawn towards the share of all by half
a judgement: a stratum in which all of six rows were right is not taken to be without error.
Over 1,000 draws of recorded answers it covers what it should (benchmarks/audit_coverage.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from scipy.special import stdtrit

from stepdistill.common.intervals import wilson

_DRAWN = 0.5  # judgements at the share of all, that each stratum is taken to have besides
_LEAST = 1e-12
_FEWEST_FREEDOM = 2.0  # degrees of freedom of t, where hardly anything is judged
_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedStratum:
    """A stratum's rows, and those that were judged."""

    rows: int
    judged: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEstimate:
    """A share of rows, 0..1, with its 95 % interval.

    judged: from so many judgements; halving: how many more would halve the interval, None where all
    rows are judged.
    """

    share: float
    low: float
    high: float
    judged: int
    halving: int | None

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


def estimate(strata: Sequence[JudgedStratum]) -> ShareEstimate | None:
    """The share of right labels; None where nothing is judged."""
    known = _known(strata)
    judged = sum(each.judged for each in known)
    if not judged:
        return None
    share = _share(known)
    low, high = _interval(known, share, 1.0)
    return ShareEstimate(
        share=share,
        low=low,
        high=high,
        judged=judged,
        halving=_halving(known, share, high - low),
    )


def _known(strata: Sequence[JudgedStratum]) -> list[JudgedStratum]:
    """Strata with a judgement each: rows of one without are taken to be as those before it, or
    behind it, where it is the first."""
    found: list[JudgedStratum] = []
    waiting = 0
    for each in strata:
        if each.judged:
            found.append(
                JudgedStratum(rows=each.rows + waiting, judged=each.judged, right=each.right)
            )
            waiting = 0
        elif found:
            last = found[-1]
            rows = last.rows + each.rows
            found[-1] = JudgedStratum(rows=rows, judged=last.judged, right=last.right)
        else:
            waiting += each.rows
    return found


def _share(strata: Sequence[JudgedStratum]) -> float:
    rows = sum(each.rows for each in strata)
    return min(1.0, sum(each.rows / rows * each.right / each.judged for each in strata))


def _interval(strata: Sequence[JudgedStratum], share: float, more: float) -> tuple[float, float]:
    """more: as if every stratum had so many times the judgements, as far as it has rows."""
    rows, judged = sum(each.rows for each in strata), sum(each.judged for each in strata)
    overall = (share * judged + 1) / (judged + 2)
    variance = freedom = drawn = 0.0
    for each in strata:
        weight = each.rows / rows
        near = (each.right + _DRAWN * overall) / (each.judged + _DRAWN)
        drawn += weight * near
        n = min(float(each.rows), more * each.judged)
        part = weight**2 * near * (1 - near) / n * (1 - n / each.rows)
        variance += part
        freedom += part**2 / _freedom(n, near)
    if variance < _LEAST:  # all rows are judged
        return share, share
    z = float(stdtrit(max(_FEWEST_FREEDOM, variance**2 / freedom), 0.975))
    effective = drawn * (1 - drawn) / variance
    return wilson(share * effective, effective, z)


def _freedom(n: float, share: float) -> float:
    """Degrees of freedom of a stratum's variance: n - 1 as of normal data, or more, as the variance
    of rights and wrongs is known better where both are about as many (their kurtosis is small)."""
    least = n - 1 + _DRAWN
    if n <= 1:
        return least
    spread = share * (1 - share)  # above 0: shares are drawn towards that of all
    beyond = (1 - 6 * spread) / spread + 2
    return max(least, 2 / (beyond / n + 2 / (n * (n - 1))))


def _halving(strata: Sequence[JudgedStratum], share: float, width: float) -> int | None:
    """By bisection: the interval shrinks with every judgement, to nothing once all are judged."""
    judged, rows = sum(each.judged for each in strata), sum(each.rows for each in strata)
    if judged == rows:
        return None
    few, many = 1.0, max(each.rows / each.judged for each in strata)
    for _ in range(_STEPS):
        middle = (few + many) / 2
        low, high = _interval(strata, share, middle)
        few, many = (few, middle) if high - low <= width / 2 else (middle, many)
    needed = sum(min(float(each.rows), many * each.judged) for each in strata)
    return ceil(needed - judged - _LEAST)
