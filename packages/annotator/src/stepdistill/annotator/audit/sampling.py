"""Which rows a person should judge: strata of rows by what makes them doubtful, and rows of each.

Doubt decides where rows are taken from and how many, never what is estimated: within a stratum rows
are taken at random, so every row's chance is known and estimates are unbiased, however wrong the
doubt is. All of it follows from the rows and the seed: the same on every call. More rows are the
same rows and others, since each next row is of the stratum that gains most by it (Neyman's
allocation, one row at a time, after Wright 2012), and strata do not depend on how many there are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROWS_OF_A_STRATUM = 50  # on average, at least
_ROWS_TO_CUT = 30  # of one label, that are cut by doubt however few there are of all
_FEWEST, _MOST = 2, 16  # strata, where no label has one of its own
_SHARE_OF_A_LABEL = 0.08  # of the rows, that a label needs to have strata of its own
# The chance that a label is wrong as it is taken before anybody has judged: it orders rows, and a
# doubtful stratum gets up to 1.6 times the rows of a sure one. Bounded, as it may be quite wrong.
_SURE, _DOUBTFUL = 0.1, 0.6
_BASE, _VOTES, _TEMPLATES, _STUDENT, _READER = 0.15, 0.5, 0.5, 0.3, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known of a label without gold. None: not known.

    votes, templates: 0..1, the share of the votes, and of other templates' answers to the row, that
    name this label; student: whether the student does; reader: 0..1, how sure the reader is.
    """

    votes: float | None = None
    templates: float | None = None
    student: bool | None = None
    reader: float | None = None

    @property
    def doubt(self) -> float:
        """Something like the chance that the label is wrong."""
        doubt = _BASE
        for share, weight in ((self.votes, _VOTES), (self.templates, _TEMPLATES)):
            doubt += weight * (1 - share) if share is not None else 0.0
        doubt += _STUDENT if self.student is False else 0.0
        doubt += _READER * (1 - self.reader) if self.reader is not None else 0.0
        return min(_DOUBTFUL, max(_SURE, doubt))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Rows that are alike in label and doubt.

    label: None where labels have no strata of their own, or it is one of the rare ones; rows: how
    many; doubt: of its least and its most doubtful row.
    """

    label: str | None
    rows: int
    doubt: tuple[float, float]

    @property
    def spread(self) -> float:
        """The standard deviation of right and wrong that is expected in it."""
        middle = sum(self.doubt) / 2
        return sqrt(middle * (1 - middle))


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The strata of a run's rows, and in which order rows are judged."""

    strata: tuple[Stratum, ...]
    of_row: Ints  # the stratum of each row
    order: Ints  # of the chosen rows, the first to be judged first

    def taken(self) -> list[int]:
        """How many rows of each stratum are chosen."""
        counts = Counter(map(int, self.of_row[self.order]))
        return [counts[number] for number in range(len(self.strata))]


def make_design(doubt: Floats, labels: Sequence[str] | None, draws: Floats, n: int) -> Design:
    """doubt, labels: of each row; labels None: they are no classes. draws: each row's number in
    [0, 1), by which rows are taken. n: how many are to be judged, at most all."""
    of_row, strata = _strata(doubt, labels)
    taken = _sequence(strata, min(n, len(doubt)))
    by_draw = np.lexsort((draws, of_row))
    first = np.concatenate(([0], np.cumsum([stratum.rows for stratum in strata])))
    place = [0] * len(strata)
    order: list[int] = []
    for number in taken:
        order.append(int(by_draw[first[number] + place[number]]))
        place[number] += 1
    return Design(strata=strata, of_row=of_row, order=np.array(order, dtype=np.int64))


def _strata(doubt: Floats, labels: Sequence[str] | None) -> tuple[Ints, tuple[Stratum, ...]]:
    n = len(doubt)
    wanted = max(_FEWEST, min(_MOST, n // _ROWS_OF_A_STRATUM))
    of_row, strata = np.zeros(n, dtype=np.int64), list[Stratum]()
    for label, rows in _by_label(labels, n):
        least = _FEWEST if len(rows) >= _ROWS_TO_CUT else 1
        pieces = max(least, round(wanted * len(rows) / n))
        for piece in _cut(doubt[rows], pieces):
            members = rows[piece]
            of_row[members] = len(strata)
            ends = float(doubt[members].min()), float(doubt[members].max())
            strata.append(Stratum(label=label, rows=len(members), doubt=ends))
    return of_row, tuple(strata)


def _by_label(labels: Sequence[str] | None, n: int) -> list[tuple[str | None, Ints]]:
    """The rows of each label that is frequent, then those of all others."""
    if labels is None:
        return [(None, np.arange(n))]
    counts = Counter(labels)
    frequent = sorted(label for label, rows in counts.items() if rows >= _SHARE_OF_A_LABEL * n)
    number_of = {label: number for number, label in enumerate(frequent)}
    numbers = np.array([number_of.get(label, len(frequent)) for label in labels], dtype=np.int64)
    names = [*frequent, None]
    groups = ((name, np.flatnonzero(numbers == number)) for number, name in enumerate(names))
    return [(name, rows) for name, rows in groups if len(rows)]


def _cut(doubt: Floats, pieces: int) -> list[Ints]:
    """Rows cut by doubt, so that each piece has about as much spread in all (Dalenius and Hodges);
    rows of one doubt stay together."""
    values, of_value, counts = np.unique(doubt, return_inverse=True, return_counts=True)
    weights = np.cumsum(counts * np.sqrt(values * (1 - values)))
    middles = weights - (counts * np.sqrt(values * (1 - values))) / 2
    piece = np.minimum((middles / weights[-1] * pieces).astype(np.int64), pieces - 1)[of_value]
    return [np.flatnonzero(piece == number) for number in np.unique(piece)]


def _sequence(strata: Sequence[Stratum], n: int) -> list[int]:
    """The stratum of the first row, the second, and so on. Each stratum gets one row before any
    gets another: without one nothing is known of it."""
    # The gain of row k + 1 of a stratum with k is W * S / sqrt(k * (k + 1)).
    weights = [stratum.rows * stratum.spread for stratum in strata]
    ranks = sorted(range(len(strata)), key=lambda number: (-weights[number], number))
    taken = ranks[:n]
    heap = [(-weights[h] / sqrt(2), h, 1) for h in ranks if strata[h].rows > 1]
    heapify(heap)
    while len(taken) < n:
        _, number, k = heap[0]
        taken.append(number)
        left = strata[number].rows > k + 1
        gain = weights[number] / sqrt((k + 1) * (k + 2)) if left else 0.0
        heapreplace(heap, (-gain, number, k + 1))
    return taken
