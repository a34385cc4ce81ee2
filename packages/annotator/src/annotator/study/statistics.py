"""What can be said of shares and of pairs of them, and how far it may be trusted.

Three formulas of a few lines each, held against published values by the tests; why no library
does it is in docs/decisions.
"""

from math import comb, sqrt
from statistics import NormalDist

_Z_95 = NormalDist().inv_cdf(0.975)


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share after Wilson (1927), for `right` of `n`; (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = right / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value that two raters are equally good, by their discordant rows.

    only_one, only_other: rows that one alone, and the other alone, got right.
    """
    n, fewer = only_one + only_other, min(only_one, only_other)
    tail = sum(comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: list[float]) -> list[float]:
    """The p-values corrected for how many they are, after Holm (1979); order is kept."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected
