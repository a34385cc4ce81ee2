"""The pool that rows are bought from, and what small students of each round say of it."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from stepdistill.annotator.active_learning.acquisition import choose, random_sample
from stepdistill.annotator.active_learning.answer_forms import PoolRow
from stepdistill.annotator.active_learning.curve import Accuracy, Bools
from stepdistill.annotator.active_learning.shared_text import shared_field, with_groups
from stepdistill.annotator.active_learning.student import Features, Floats, Guesses, commonest
from stepdistill.annotator.plan.plan import Plan
from stepdistill.common.intervals import wilson
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import filler, placeholders
from stepdistill.common.record import Record
from stepdistill.common.uniform import uniform_of

LARGEST_POOL = 50_000
# How much of a round is chosen by doubt grows with how much better than a guess the student is.
_MOST_BY_DOUBT, _BY_SKILL, _BY_DISTANCE = 0.75, 1.5, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Rows that may be bought."""

    rows: list[PoolRow]  # as they stand in the split
    n_rows: int  # of the split, which may have more
    shared: str | None  # the field whose texts several rows have in common


def read_pool(plan: Plan, seed: int) -> Pool:
    """The rows of a split, of very many those with the lowest numbers. Raises DatasetError."""
    read, kind = filler(plan.task.student.input), kind_of(plan.task.label)
    names = placeholders(plan.task.student.input)
    seen = count()
    rows = (
        (
            PoolRow(
                place=planned.row.index,
                number=uniform_of(seed, planned.row.id.encode()),
                text=read(planned.row.fields),
                choices=_own_choices(kind, planned.row.fields),
                gold=planned.row.gold,
            ),
            {name: planned.row.fields[name] for name in names},
        )
        for planned, _ in zip(plan.rows(), seen, strict=False)
    )
    pool = heapq.nsmallest(LARGEST_POOL, rows, key=lambda each: each[0].number)
    pool.sort(key=lambda each: each[0].place)
    fields = [has for _, has in pool]
    shared = shared_field(fields)
    return Pool(
        rows=with_groups([row for row, _ in pool], fields, shared),
        n_rows=next(seen),
        shared=shared,
    )


def valid_rows(plan: Plan, records: Sequence[Record]) -> list[PoolRow]:
    """Rows that the student is judged by and that are not for sale; gold: the teacher's label
    where the dataset has none."""
    read, kind = filler(plan.task.student.input), kind_of(plan.task.label)
    return [
        PoolRow(
            place=-1 - record.index,
            number=1.0,
            text=read(record.input),
            choices=_own_choices(kind, record.input),
            gold=record.gold or record.label,
        )
        for record in records
    ]


@dataclass(slots=True, kw_only=True)
class Judge:
    """What is known after each round. Rows are numbers in the pool."""

    kind: Kind
    pool: list[PoolRow]
    valid: list[PoolRow]
    seed: int
    shared: str | None = None  # the pool's shared field
    labels: dict[int, str] = field(default_factory=dict[int, str])  # the teacher's, of rows bought
    _said: dict[int, Guesses] = field(default_factory=dict[int, Guesses])  # by rows bought
    _features: Features | None = None

    @property
    def numbers(self) -> Floats:
        """Of the pool's rows."""
        return np.array([row.number for row in self.pool])

    def judged_by(self, bought: Sequence[int]) -> list[tuple[int, str]]:
        """The rows that judge, and what is right: of the pool and the valid rows behind it."""
        if self.valid:
            n = len(self.pool)
            return [(n + k, row.gold) for k, row in enumerate(self.valid) if row.gold]
        sample = random_sample(self.numbers, bought)
        right = [(row, self.pool[row].gold or self.labels.get(row)) for row in sample]
        return [(row, label) for row, label in right if label]

    def in_words(self, bought: Sequence[int]) -> str:
        """What judges."""
        judges = self.judged_by(bought)
        rows = [*self.pool, *self.valid]
        golds = all(row.gold for row in self.valid or (rows[n] for n, _ in judges))
        by = "gold labels" if golds else "what the teacher says, as there are no gold labels"
        of = "of split valid" if self.valid else "bought at random, held out in turn"
        if self.shared and not self.valid:
            of += f", those of one {self.shared} together"
        return f"by {by} of {len(judges):,} rows {of}"

    def right(self, first: int, bought: Sequence[int]) -> Bools:
        """Which judging rows a student has right that learnt the first of the rows bought."""
        said = self._guesses(bought[:first])
        rows = [*self.pool, *self.valid]
        return np.array(
            [
                self.kind.same(said.labels[row], label, rows[row].choices)
                for row, label in self.judged_by(bought)
            ],
            dtype=bool,
        )

    def skill(self, bought: Sequence[int]) -> float:
        """How much better than the commonest label the student is, 0..1; 0 where nobody can tell
        that it is."""
        known = [self.labels[row] for row in bought if row in self.labels]
        judges, rows = self.judged_by(bought), [*self.pool, *self.valid]
        if not known or not judges:
            return 0.0
        right, usual = self.right(len(bought), bought), commonest(known)
        guessed = [
            1 / len(choices) if (choices := rows[row].choices) else self.kind.same(usual, label)
            for row, label in judges
        ]
        base = sum(guessed) / len(guessed)
        if wilson(int(right.sum()), len(right))[0] <= base:
            return 0.0
        return (Accuracy.of(right).share - base) / (1 - base)

    def next_rows(self, bought: Sequence[int], n: int) -> tuple[list[int], bool]:
        """The next n rows, and whether a student's doubt had a part in it."""
        if not bought:
            order = np.argsort(self.numbers, kind="stable")
            return order[:n].tolist(), True
        skill, dense = self.skill(bought), self._known_features().dense[: len(self.pool)]
        if not skill:
            share, unsure = 1 - _BY_DISTANCE, None
        else:
            share = 1 - min(_MOST_BY_DOUBT, _BY_SKILL * skill)
            unsure = self._guesses(bought).unsure[: len(self.pool)]
        return choose(self.numbers, dense, bought, n, unsure, share), bool(skill)

    def _guesses(self, bought: Sequence[int]) -> Guesses:
        n = len(bought)
        if n not in self._said:
            known = {row: self.labels[row] for row in bought if row in self.labels}
            held_out = not self.valid
            self._said[n] = self._known_features().guesses(known, held_out=held_out)
        return self._said[n]

    def _known_features(self) -> Features:
        if self._features is None:
            self._features = Features([*self.pool, *self.valid], self.kind, self.seed)
        return self._features


def _own_choices(kind: Kind, fields: dict[str, str]) -> tuple[str, ...]:
    return kind.choices(fields) if kind.name == "options" else ()
