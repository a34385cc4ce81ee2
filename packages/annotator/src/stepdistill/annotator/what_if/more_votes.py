"""What more votes than are stored would elect: between bounds, from how the stored ones agree.

Each row is taken to be of some type: with which chances an answer to it is right, names its most
tempting wrong label, others, or cannot be read. Which types there are, and how many rows are of
each, nobody knows; but for K stored answers they have to give the patterns that are seen (all
right, two of one wrong label, ...). The least and the most that V votes can bring under that are
found by linear programming: its dual gives every pattern a weight, so that the weights' mean over
the rows is a bound, whatever the types are, and has the standard error of any mean. In between,
the likely value is the types' fit by maximum likelihood (EM from all types alike).

Votes are taken to be independent draws for a row, which a teacher gives at a temperature above 0.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import factorial, prod
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from stepdistill.annotator.what_if.estimates import Floats

Seen = NDArray[np.int8]
"""What each row's answers say: 0 cannot be read, 1 is right, 2, 3, ... the row's wrong labels."""
UNREAD, RIGHT = 0, 1
_STEPS = 20  # chances are multiples of a twentieth
_ROUNDS = 300  # of EM
_MOST_WEIGHT = 50.0


class VotePattern(NamedTuple):
    """A row's answers, whatever their order and the names of its wrong labels."""

    right: int
    unread: int
    wrong: tuple[int, ...]  # how many name each wrong label, the most named first


class AnswerCounts(NamedTuple):
    """How many of a row's answers say what. spread: what else they name is a label each time."""

    right: int
    main: int  # the most tempting wrong label
    other: int
    unread: int
    spread: bool

    @property
    def pattern(self) -> VotePattern:
        """As it is seen."""
        others = [1] * self.other if self.spread else [self.other]
        wrong = sorted((n for n in (self.main, *others) if n), reverse=True)
        return VotePattern(self.right, self.unread, tuple(wrong))

    @property
    def right_wins(self) -> float:
        """The chance that the right label is elected: of several with as many votes the one that
        came first is, so each in turn."""
        most = max(self.pattern.wrong, default=0)
        if not self.right or self.right < most:
            return 0.0
        return 1 / (1 + sum(n == self.right for n in self.pattern.wrong))

    @property
    def has_label(self) -> float:
        """Whether any label is elected."""
        return float(self.right + self.main + self.other > 0)


class Bounded(NamedTuple):
    """For each row a number: their means are the least, the likely and the most."""

    low: Floats
    likely: Floats
    high: Floats


def more_votes(seen: Seen, votes: int, n_labels: int | None, *, right: bool = True) -> Bounded:
    """The chance that so many votes elect the right label; right=False: that they elect any.

    seen: of each row its stored answers, at least two. n_labels: that a row can have, where known.
    """
    of_row, found = _patterns(seen)
    kinds = _types(n_labels, all_read=not (seen == UNREAD).any())
    chances, places = _chances(seen.shape[1], kinds)
    target = _target(votes, kinds, right=right)
    of_rows = np.array([places[each] for each in found])[of_row]
    shares = np.bincount(of_rows, minlength=chances.shape[1]) / len(seen)
    types = _fitted(chances, shares)
    # What is seen is seldom just what any types would show; what the fitted ones show is.
    shown = types @ chances
    likely = np.divide((types * target) @ chances, shown, out=np.zeros_like(shown), where=shown > 0)
    low = _weights(chances, shown, target, len(seen))
    high = -_weights(chances, shown, -target, len(seen))
    return Bounded(*(each[of_rows] for each in (low, likely, high)))


def _patterns(seen: Seen) -> tuple[NDArray[np.intp], list[VotePattern]]:
    """For each row which of the patterns it has."""
    kinds, of_row = np.unique(np.sort(seen, axis=1), axis=0, return_inverse=True)
    found: list[VotePattern] = []
    for each in kinds.tolist():
        wrong = sorted((each.count(label) for label in {*each} if label > RIGHT), reverse=True)
        found.append(VotePattern(each.count(RIGHT), each.count(UNREAD), tuple(wrong)))
    return of_row.reshape(-1), found


class _Types(NamedTuple):
    """Types as chances of right, main wrong, other and unread; where what else is named is one
    label, and where it is many (`spreads`)."""

    chances: Floats
    spreads: tuple[bool, ...]


@lru_cache(maxsize=16)
def _types(n_labels: int | None, *, all_read: bool) -> _Types:
    """All types that rows with so many labels can be of. all_read: every answer can be read."""
    grid = [
        (right, main, other, _STEPS - right - main - other)
        for right in range(_STEPS + 1)
        for main in range(_STEPS + 1 - right)
        for other in range(_STEPS + 1 - right - main)
        if other <= main and (other == 0 or n_labels != 2)
    ]
    grid = [each for each in grid if not all_read or each[3] == 0]
    spreads = (False, True) if n_labels is None or n_labels > 3 else (False,)
    return _Types(np.array(grid) / _STEPS, spreads)


def _counts(n: int, *, spread: bool) -> Iterator[AnswerCounts]:
    for right in range(n + 1):
        for main in range(n + 1 - right):
            for other in range(n + 1 - right - main):
                yield AnswerCounts(right, main, other, n - right - main - other, spread)


def _chance(counts: AnswerCounts, types: Floats) -> Floats:
    """Of so many answers of each sort, for rows of each type."""
    orders = factorial(sum(counts[:4])) / prod(factorial(n) for n in counts[:4])
    return orders * np.prod(types ** np.array(counts[:4]), axis=1)


def _chances(n: int, types: _Types) -> tuple[Floats, dict[VotePattern, int]]:
    """How probable each pattern of n answers is for rows of each type, and the patterns' places."""
    places: dict[VotePattern, int] = {}
    for spread in (False, True):
        for counts in _counts(n, spread=spread):
            places.setdefault(counts.pattern, len(places))
    blocks: list[Floats] = []
    for spread in types.spreads:
        block = np.zeros((len(types.chances), len(places)))
        for counts in _counts(n, spread=spread):
            block[:, places[counts.pattern]] += _chance(counts, types.chances)
        blocks.append(block)
    return np.vstack(blocks), places


def _target(votes: int, types: _Types, *, right: bool) -> Floats:
    """What so many votes elect in rows of each type."""
    blocks: list[Floats] = []
    for spread in types.spreads:
        block = np.zeros(len(types.chances))
        for counts in _counts(votes, spread=spread):
            wins = counts.right_wins if right else counts.has_label
            block += wins * _chance(counts, types.chances)
        blocks.append(block)
    return np.concatenate(blocks)


def _fitted(chances: Floats, seen: Floats) -> Floats:
    """The share of each type that fits best what share of the rows shows which pattern."""
    weights = np.full(len(chances), 1 / len(chances))
    for _ in range(_ROUNDS):
        shown = weights @ chances
        ratio = np.divide(seen, shown, out=np.zeros_like(seen), where=shown > 0)
        weights = weights * (chances @ ratio)
        weights /= weights.sum()
    return weights


def _weights(chances: Floats, shares: Floats, target: Floats, n: int) -> Floats:
    """For each pattern the weight of the highest lower bound: for no type their mean is above the
    target. A weight costs its standard error over n rows, so that none is set by a handful."""
    # A second to import: only where more votes are asked about.
    from scipy.optimize import linprog  # pyright: ignore[reportUnknownVariableType]

    error = np.sqrt(shares * (1 - shares) / n) + 0.5 / n
    found = linprog(
        np.concatenate((error - shares, error + shares)),
        A_ub=np.hstack((chances, -chances)),
        b_ub=target,
        bounds=(0, _MOST_WEIGHT),
        method="highs",
    )
    both = cast("Floats", found.x)
    return both[: len(shares)] - both[len(shares) :]
