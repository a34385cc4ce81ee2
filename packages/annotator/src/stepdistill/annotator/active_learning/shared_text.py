"""Texts that several rows share: the premise that e-SNLI has in three rows, the article above its
questions. A student that learnt one of these rows knows too much of the others, or what is worse,
the label that they do not have; so rows of one text are held out together (group folds)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from stepdistill.annotator.active_learning.answer_forms import PoolRow

_LEAST_SHARED = 0.1  # of the rows; a few that are there twice make no difference
_LARGEST = 0.1  # share of the rows that one text may have: what most rows have tells them not apart
# Characters, the mean over rows. Shorter ones are names of sorts (a shop, a language), and rows to
# come are of the same sorts.
_SHORTEST = 20


def shared_field(rows: Sequence[Mapping[str, str]]) -> str | None:
    """The field whose texts are in most rows with others, if there is one."""
    shares = {name: _share(rows, name) for name in (rows[0] if rows else ())}
    name = max(shares, key=lambda name: shares[name], default=None)
    return name if name is not None and shares[name] >= _LEAST_SHARED else None


def with_groups(
    rows: Sequence[PoolRow], fields: Sequence[Mapping[str, str]], name: str | None
) -> list[PoolRow]:
    """The rows, each with the text of the named field that it may share with others."""
    if name is None:
        return [*rows]
    return [replace(row, group=has[name]) for row, has in zip(rows, fields, strict=True)]


def folds(rows: Sequence[tuple[int, PoolRow]], n: int) -> list[set[int]]:
    """Numbers of rows in n parts: a text's rows are in one of them."""
    parts: list[set[int]] = [set() for _ in range(n)]
    place = dict[str | int, int]()
    for number, row in rows:
        at = place.setdefault(row.group or number, len(place) % n)
        parts[at].add(number)
    return [part for part in parts if part]


def _share(rows: Sequence[Mapping[str, str]], name: str) -> float:
    """How many rows share this field's text with another one, 0..1; 0 where it tells too little."""
    texts = [row[name] for row in rows if row[name].strip()]
    times = Counter(texts)
    if not texts or max(times.values()) > max(_LARGEST * len(rows), 2):
        return 0.0
    if fmean(map(len, texts)) < _SHORTEST:
        return 0.0
    return sum(each for each in times.values() if each > 1) / len(rows)
