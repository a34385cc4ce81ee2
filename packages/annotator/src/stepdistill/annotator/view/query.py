"""Which rows are wanted: the words of an address become a choice among the index's columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepdistill.annotator.view.entry import DISAGREES
from stepdistill.annotator.view.index import OTHERS, Mask, RowIndex

PAGE = 50  # rows of a page of the list
CONFIDENCE, DISAGREEMENT = "confidence", "disagrees"
ORDERS = ("file", "unsure")
_UNKNOWN = "not known"
# Where the rule-based reader has its steps: a hint has 0.6, a stated verdict 0.7 and more.
_STEPS = (0.5, 0.7, 0.8, 0.9, 0.95)
_BANDS = (
    "below 0.5",
    *(f"{low:g} to {high:g}" for low, high in pairwise(_STEPS)),
    f"{_STEPS[-1]:g} and more",
)
_MOST_TEXT = 500  # characters of a search
_MOST_VALUES = 40  # of a facet, that are shown


class FacetValue(NamedTuple):
    """A word, and how many of the rows that are wanted have it."""

    value: str
    n: int
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person has chosen. chosen: facet -> words, of which a row has one."""

    chosen: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    text: str = ""
    order: str = ORDERS[0]
    start: int = 0  # the first row of the page, among those that are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRows:
    """The rows that are wanted."""

    known: int  # rows in the index
    n: int
    page: list[int]  # numbers of the rows of one page
    facets: dict[str, list[FacetValue]]
    more: dict[str, int]  # facet -> values that are not shown


def wanted_of(words: Iterable[tuple[str, str]], facets: Iterable[str]) -> Wanted:
    """What the query part of an address asks for; what it does not know is left alone."""
    names = {*facets, CONFIDENCE, DISAGREEMENT}
    chosen: dict[str, set[str]] = {}
    text, order, start = "", ORDERS[0], 0
    for name, value in words:
        if name in names:
            chosen.setdefault(name, set()).add(value)
        elif name == "q":
            text = value[:_MOST_TEXT].strip()
        elif name == "order" and value in ORDERS:
            order = value
        elif name == "start" and value.isdecimal() and len(value) < 10:
            start = int(value)
    frozen = {name: frozenset(values) for name, values in chosen.items()}
    return Wanted(chosen=frozen, text=text, order=order, start=start)


def find(index: RowIndex, wanted: Wanted) -> FoundRows:
    """The rows that are wanted: how many, one page of them, and how many have which word."""
    columns = index.columns
    each = {name: _mask(index, columns, name, words) for name, words in wanted.chosen.items()}
    base = index.matching(wanted.text, len(columns)) if wanted.text else None
    mask = _all_of(len(columns), [base, *each.values()])
    rows = np.flatnonzero(mask)
    if wanted.order == "unsure":
        rows = rows[np.argsort(columns["confidence"][rows], kind="stable")]
    facets: dict[str, list[FacetValue]] = {}
    more: dict[str, int] = {}
    for name in (*index.facets, CONFIDENCE, DISAGREEMENT):
        # Of what else could be chosen: the choice within the facet itself does not count.
        others = [base, *(other for facet, other in each.items() if facet != name)]
        within = mask if name not in each else _all_of(len(columns), others)
        values = _counted(index, columns, within, name, wanted.chosen.get(name, frozenset()))
        late = (each for each in values[_MOST_VALUES:] if each.chosen)
        facets[name] = [*values[:_MOST_VALUES], *late]
        more[name] = len(values) - len(facets[name])
    page = [int(n) for n in rows[wanted.start : wanted.start + PAGE]]
    return FoundRows(known=len(columns), n=len(rows), page=page, facets=facets, more=more)


def _all_of(n: int, masks: Iterable[Mask | None]) -> Mask:
    result = np.ones(n, np.bool_)
    for mask in masks:
        if mask is not None:
            result &= mask
    return result


def _mask(index: RowIndex, columns: NDArray[Any], name: str, words: frozenset[str]) -> Mask:
    """The rows that have one of these words."""
    if name == DISAGREEMENT:
        bits = sum(DISAGREES.get(word, 0) for word in words)
        return (columns[DISAGREEMENT] & np.uint8(bits)) != 0
    if name == CONFIDENCE:
        known = [*_BANDS, _UNKNOWN]
        bands = [known.index(word) for word in words if word in known]
        return np.isin(_bands(columns), bands)
    codes = [code for word in words if (code := index.code(name, word)) is not None]
    return np.isin(columns[name], codes)


def _bands(columns: NDArray[Any]) -> NDArray[np.intp]:
    """The band of each row's confidence, by its place among _BANDS; behind them: not known."""
    confidence = columns[CONFIDENCE]
    steps = np.array(_STEPS, np.float32)
    return np.where(np.isnan(confidence), len(_BANDS), np.searchsorted(steps, confidence, "right"))


def _counted(
    index: RowIndex, columns: NDArray[Any], within: Mask, name: str, chosen: frozenset[str]
) -> list[FacetValue]:
    """Words and their counts; those that nothing has are left out, unless they are chosen."""
    if name == DISAGREEMENT:
        bits = columns[DISAGREEMENT][within]
        counts = [(word, int(np.count_nonzero(bits & bit))) for word, bit in DISAGREES.items()]
    elif name == CONFIDENCE:
        n = np.bincount(_bands(columns)[within], minlength=len(_BANDS) + 1)
        counts = list(zip([*_BANDS, _UNKNOWN], map(int, n), strict=True))
    else:
        words = index.words[name]
        n = np.bincount(columns[name][within], minlength=len(words))
        counts = list(zip(words, map(int, n), strict=False))
        if name != "split":  # whose order is that of the rows
            counts.sort(key=lambda each: (each[0] in ("", OTHERS), -each[1], each[0]))
    known = {word for word, _ in counts}
    lost = [FacetValue(word, 0, True) for word in sorted(chosen - known)]
    found = [FacetValue(word, n, word in chosen) for word, n in counts if n or word in chosen]
    return found + lost
