"""Templates in order of accuracy, each compared with the leader on the rows that both answered.

The leader is chosen by the very rows it is compared on, so its lead is flattered a little; the
intervals say how much of it may be luck. The formulas are held against published values by the
tests; docs/decisions says why no library.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import comb, sqrt
from typing import NamedTuple, Self

from stepdistill.annotator.study.score import Scored
from stepdistill.common.intervals import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """One template against another, by how many of their common rows each got right."""

    both: int  # rows that both got right
    only_one: int  # rows that the one alone got right
    only_other: int
    neither: int

    @classmethod
    def of(cls, one: Mapping[str, bool], other: Mapping[str, bool]) -> Self:
        """one, other: whether each got a row right, by the row's id."""
        pairs = Counter((one[row], other[row]) for row in one.keys() & other.keys())
        return cls(
            both=pairs[True, True],
            only_one=pairs[True, False],
            only_other=pairs[False, True],
            neither=pairs[False, False],
        )

    @property
    def rows(self) -> int:
        """Rows that both answered."""
        return self.both + self.only_one + self.only_other + self.neither

    @property
    def difference(self) -> float:
        """The one's accuracy less the other's, -1 to 1."""
        return (self.only_one - self.only_other) / self.rows if self.rows else 0.0

    @property
    def p(self) -> float:
        """McNemar's exact two-sided p-value that both are equally good."""
        return mcnemar(self.only_one, self.only_other)

    @property
    def interval(self) -> tuple[float, float]:
        """The difference's 95 % interval: square-and-add of Wilson's (Newcombe 1998, method 10)."""
        n = self.rows
        if n == 0:
            return -1.0, 1.0
        n_one, n_other = self.both + self.only_one, self.both + self.only_other
        (low, high), (other_low, other_high) = wilson(n_one, n), wilson(n_other, n)
        together = self.both * self.neither - self.only_one * self.only_other
        # Newcombe's continuity correction of the correlation: none where it is negative.
        if together > 0:
            together = max(together - n / 2, 0)
        spread = n_one * (n - n_one) * n_other * (n - n_other)
        phi = together / sqrt(spread) if spread else 0.0

        def half(a: float, b: float) -> float:
            return sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

        one, other = n_one / n, n_other / n
        return (
            one - other - half(one - low, other_high - other),
            one - other + half(high - one, other - other_low),
        )


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value of a sign test on the rows that only one got right (1947)."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One template's place in a ranking; the leader is compared with nobody."""

    rank: int | None  # 1 is the leader; None: no answer could be read, so there is no telling
    scored: Scored
    against_leader: PairedComparison | None  # this template is the `one`, the leader the `other`
    p_holm: float | None  # McNemar's p, corrected for the number of templates


def rank(
    scored: list[Scored], stopped: Collection[str] = (), apart: Collection[str] = ()
) -> list[Rank]:
    """Best accuracy first; among equals the cheaper one. Those that a race stopped come behind, and
    last, without a rank, those of which no answer could be read and those apart, which were asked
    other rows."""
    unread = [each for each in scored if each.score.is_unread or each.template in apart]
    unread.sort(key=lambda each: each.template)
    return [
        *_ranked([each for each in scored if each not in unread], stopped),
        *(Rank(rank=None, scored=each, against_leader=None, p_holm=None) for each in unread),
    ]


class Compared(NamedTuple):
    """Which templates may be ranked against each other, and on what."""

    rows: set[str]  # ids of the rows that all of them were asked
    templates: set[str]


def compared(scored: Iterable[Scored]) -> Compared:
    """As many templates as leave at least half of the rows that the most asked one was asked.

    Who was asked other rows, easier ones or harder, is not better or worse for it.
    """
    rows, names = set[str](), set[str]()
    fewest = 0.0
    for each in sorted(scored, key=lambda one: (-len(one.asked), one.template)):
        common = rows & each.asked if names else each.asked
        fewest = fewest or len(common) / 2
        if len(common) >= fewest:
            rows = common
            names.add(each.template)
    return Compared(rows, names)


def unread_remarks(ranking: Iterable[Rank], task: str) -> list[str]:
    """A line for each template of which no answer could be read."""
    return [
        f"template {each.template}: 0 of {each.score.rows:,} answers readable, so its accuracy is "
        f"not known; `annotate parse {task} --template {each.template}` shows how they are read"
        for each in (entry.scored for entry in ranking)
        if each.score.is_unread
    ]


def _ranked(scored: list[Scored], stopped: Collection[str]) -> list[Rank]:
    if not scored:
        return []
    ordered = sorted(sorted(scored, key=_best_first), key=lambda each: each.template in stopped)
    leader = ordered[0].correct
    against = [PairedComparison.of(each.correct, leader) for each in ordered[1:]]
    corrected = holm([each.p for each in against])
    return [
        Rank(rank=number, scored=each, against_leader=comparison, p_holm=p_holm)
        for number, (each, comparison, p_holm) in enumerate(
            zip(ordered, [None, *against], [None, *corrected], strict=True), start=1
        )
    ]


def _best_first(scored: Scored) -> tuple[float, float, str]:
    # An unknown price counts as none: it must not keep a template from the first place.
    return -scored.score.accuracy, scored.score.cost_per_row_usd or 0.0, scored.template
