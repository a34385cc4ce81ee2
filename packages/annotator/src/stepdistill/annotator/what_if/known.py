"""What a choice is known to come to already: of each row the template that it would be asked with,
and what the store has of that; and what is left to ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import Assignment, assign
from stepdistill.annotator.what_if.answered import Answered, Bools
from stepdistill.annotator.what_if.choices import RunChoice
from stepdistill.annotator.what_if.estimates import Floats

Numbers16 = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRows:
    """The rows of a choice, and the answers that the store has of them.

    taken: of each row of the splits whether the choice has it; beyond: how many it has besides;
    is_known: whether all its label's votes are stored; label: the template's number among
    `templates`; missing: votes to ask, by template; explained: rows to be asked for reasons alone,
    by template, with those that have been.
    """

    taken: Bools
    beyond: int
    is_known: Bools
    label: Numbers16
    templates: tuple[str, ...]
    missing: dict[str, float]
    explained: dict[str, tuple[float, Bools]]

    @property
    def rows(self) -> int:
        """How many the choice has."""
        return int(self.taken.sum()) + self.beyond

    @property
    def answered(self) -> int:
        """How many of them are known."""
        return int(self.is_known.sum())

    def rest(self, is_told: Bools, labels: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """How many rows are not told, and each template's share in them. labels: in all rows."""
        open_rows = self.label[self.taken & ~is_told]
        counts = {
            name: float((open_rows == number).sum()) + self.beyond * labels[name]
            for number, name in enumerate(self.templates)
        }
        rest = sum(counts.values())
        return rest, {name: n / rest for name, n in counts.items() if n} if rest else {**labels}

    @property
    def to_ask(self) -> float:
        """Requests that the store has no answer to."""
        reasons = sum(wanted - stored.sum() for wanted, stored in self.explained.values())
        return sum(self.missing.values()) + float(reasons)


def known_of(answered: Answered, choice: RunChoice, below: float) -> KnownRows:
    """What is known of a choice. below: reasons alone are asked of rows with a lower number."""
    taken, beyond = _taken(answered, choice.rows)
    pairs = list(choice.pairs)
    pair_of = _pairs(answered, choice, pairs)
    names = tuple(choice.labels)
    label = np.array([names.index(pair.label) for pair in pairs], dtype=np.int16)[pair_of]
    stored = np.zeros(answered.n_rows, dtype=np.int8)
    for number, name in enumerate(names):
        asked = answered.asked.get(name)
        if asked is not None:
            own = label[asked.rows] == number
            stored[asked.rows[own]] = asked.stored[own]
    lacking = np.maximum(choice.votes - stored, 0) * taken
    missing = {
        name: float(lacking[label == number].sum()) + beyond * choice.votes * choice.labels[name]
        for number, name in enumerate(names)
    }
    return KnownRows(
        taken=taken,
        beyond=beyond,
        is_known=taken & (stored >= choice.votes),
        label=label,
        templates=names,
        missing=missing,
        explained=_explained(answered, choice, pairs, pair_of, (taken, beyond, below)),
    )


def of_known(answered: Answered, known: KnownRows, name: str, votes: int) -> Floats:
    """A value after so many votes of each row that is known, by the row's own template; 0 of all
    others. name: of a column, `usd` is what the votes cost together."""
    values = np.zeros(answered.n_rows)
    for number, template in enumerate(known.templates):
        asked = answered.asked.get(template)
        if asked is None:
            continue
        table: Floats = getattr(asked, name)
        each = table[:, :votes].sum(axis=1) if name == "usd" else table[:, votes - 1]
        own = (known.label[asked.rows] == number) & known.is_known[asked.rows]
        values[asked.rows[own]] = each[own]
    return values


def plans_with(plan: Plan, choices: Sequence[RunChoice]) -> dict[str, Plan]:
    """By template that some choice asks for reasons alone, the plan that does."""
    found: dict[str, Plan] = {}
    for choice in choices:
        used = {name: plan.templates[name] for name in choice.mix.templates}
        for name in choice.reasons:
            found.setdefault(name, replace(plan, mix=choice.mix, templates=used))
    return found


def _taken(answered: Answered, rows: int | None) -> tuple[Bools, int]:
    if rows is None:
        return np.ones(answered.n_rows, dtype=bool), 0
    ends = np.cumsum(list(answered.splits.values()))
    taken = np.zeros(answered.n_rows, dtype=bool)
    for end, size in zip(ends, answered.splits.values(), strict=True):
        taken[end - size : end - size + rows] = rows >= size or np.arange(min(rows, size)) < rows
    beyond = sum(max(0, rows - size) for size in answered.splits.values())
    return taken, beyond


def _pairs(answered: Answered, choice: RunChoice, pairs: list[Assignment]) -> Numbers16:
    """Of each row the number of its pair of templates, as a run would assign them."""
    numbers = {pair: number for number, pair in enumerate(pairs)}
    found = np.zeros(answered.n_rows, dtype=np.int16)
    if len(pairs) == 1:
        return found
    start = 0
    for size in answered.splits.values():
        n = size if choice.rows is None else choice.rows
        each = islice(assign(choice.mix, n), size)
        given = np.fromiter((numbers[one] for one in each), dtype=np.int16)
        found[start : start + len(given)] = given
        start += size
    return found


def _explained(
    answered: Answered,
    choice: RunChoice,
    pairs: list[Assignment],
    pair_of: Numbers16,
    rows: tuple[Bools, int, float],
) -> dict[str, tuple[float, Bools]]:
    (taken, beyond, below), uniform = rows, answered.uniform
    found: dict[str, tuple[float, Bools]] = {}
    for name, share in choice.reasons.items():
        own = [n for n, pair in enumerate(pairs) if pair.rationale == name != pair.label]
        wanted = np.isin(pair_of, own) & taken & (uniform < below)
        has = np.zeros(answered.n_rows, dtype=bool)
        if name in answered.explained:
            has[answered.explained[name].rows] = True
        found[name] = float(wanted.sum()) + beyond * share * below, wanted & has
    return found
