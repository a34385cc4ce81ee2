"""What can be said of pairs of shares, and how far it may be trusted.

Three formulas of a few lines each, held against published values by the tests; why no library
does it is in docs/decisions.
"""

from math import comb, sqrt

from stepdistill.common.intervals import wilson


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value that two raters are equally good, by their discordant rows.

    only_one, only_other: rows that one alone, and the other alone, got right.
    """
    n, fewer = only_one + only_other, min(only_one, only_other)
    tail = sum(comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**n)


def paired_interval(both: int, only_one: int, only_other: int, neither: int) -> tuple[float, float]:
    """The 95 % interval of one rater's accuracy less another's on the same rows, by how many each
    got right: square-and-add from Wilson's intervals (Newcombe 1998, method 10)."""
    n = both + only_one + only_other + neither
    if n == 0:
        return -1.0, 1.0
    one, other = (both + only_one) / n, (both + only_other) / n
    (low, high), (other_low, other_high) = wilson(both + only_one, n), wilson(both + only_other, n)
    spread = (both + only_one) * (only_other + neither) * (both + only_other) * (only_one + neither)
    together = both * neither - only_one * only_other
    if together > n / 2:
        together -= n / 2
    elif together >= 0:
        together = 0
    phi = together / sqrt(spread) if spread else 0.0

    def half(a: float, b: float) -> float:
        return sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    difference = one - other
    return (
        difference - half(one - low, other_high - other),
        difference + half(high - one, other - other_low),
    )


def holm(p_values: list[float]) -> list[float]:
    """The p-values corrected for how many they are, after Holm (1979); order is kept."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected
