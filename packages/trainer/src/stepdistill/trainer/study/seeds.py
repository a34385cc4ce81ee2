"""Means over seeds, their intervals, and paired tests: scipy's, with what it does not answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

_CONFIDENCE = 0.95
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean with its 95 % interval (Student's t); NaN for both ends where n is 1."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Differences of pairs, and p of the paired t test; NaN where it is not defined."""

    difference: Mean
    p: float


def mean_of(values: Sequence[float]) -> Mean:
    """Over one value or more."""
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Mean(n=1, mean=mean, low=_NAN, high=_NAN)
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, n - 1) * stats.sem(values))
    return Mean(n=n, mean=mean, low=mean - reach, high=mean + reach)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Paired:
    """Of as many values each, the pairs in the same order; the difference is ours less theirs."""
    # Rounded, so that two differences that are alike on paper are alike.
    differences = np.subtract(ours, theirs).round(9)
    p = _NAN
    if len(differences) > 1 and np.ptp(differences) > 0:
        p = float(stats.ttest_1samp(differences, 0.0).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
    return Paired(difference=mean_of(differences.tolist()), p=p)


def corrected(p_values: Sequence[float]) -> list[float]:
    """For so many tests at once, after Benjamini and Hochberg; NaN stays."""
    known = ~np.isnan(p_values)
    fixed = np.full(len(p_values), _NAN)
    if known.any():
        fixed[known] = stats.false_discovery_control(np.asarray(p_values)[known])
    return fixed.tolist()
