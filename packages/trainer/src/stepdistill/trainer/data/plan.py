"""Which rows make up which step, and which rank reads which of them: the same on every rank.

Rows come in the order of shuffled epochs. A pool of some steps' rows is arranged so that the rows
of one step are alike in length: little is padded. What a step holds depends on the seed alone,
never on how many ranks or micro-batches share it. Every rank knows whole steps, so the targets of
a step are counted before its forward pass, without any talk between ranks.
"""

import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdistill.trainer.data.batches import Batch, Layout, collate, padded_tokens
from stepdistill.trainer.data.tokens import Ints, TaskTokens, Tokens

POOL_STEPS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a step is shared out."""

    rank: int = 0
    ranks: int = 1
    accumulate: int = 1  # micro-batches of a step, at least
    most_tokens: int | None = None  # of one rank's micro-batch, padding included; None: no limit
    # All ranks must run the same layers (ZeRO-3), so a rank without a row for a task joins in with
    # a target that counts for nothing.
    lockstep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """What a step holds, and how it is laid out."""

    batch_size: int  # rows of a step, over all ranks and micro-batches
    seed: int
    sharing: Sharing = field(default_factory=Sharing)
    layout: Layout = field(default_factory=Layout)
    mutual: bool = False  # count the rows that have both the first and the second task, too


class StepPlan:
    """The steps of a run, each made when it is asked for; any may be asked for at any time."""

    def __init__(self, tokens: Tokens, settings: StepSettings) -> None:
        self._tokens, self._settings = tokens, settings
        self._n = len(tokens[0].inputs)
        self._present = np.array([task.counts() > 0 for task in tokens])
        self._inputs = np.max([task.inputs.lengths() for task in tokens], axis=0)
        lengths = [task.targets.lengths() for task in tokens]
        # (examples,): the longest target; (tasks, examples): target tokens, weighed.
        longest = [_over_targets(t, np.maximum, n) for t, n in zip(tokens, lengths, strict=True)]
        self._targets = np.max(longest, axis=0)
        self._weighed = np.array(
            [
                _over_targets(t, np.add, n * t.weights.astype(np.float64))
                for t, n in zip(tokens, lengths, strict=True)
            ]
        )
        self._kinds = (self._present.T @ (1 << np.arange(len(tokens)))).astype(np.int64)
        self._pool: tuple[int, list[Ints]] = (-1, [])

    def step(self, number: int) -> list[Batch]:
        """This rank's micro-batches of step `number`, counted from 0."""
        rows = self.rows(number)
        # Longest first: a micro-batch holds rows of like length, and what does not fit into memory
        # fails at once.
        rows = rows[np.argsort(-self._inputs[rows], kind="stable")]
        totals = self._totals(rows)
        return [self._share(micro, totals) for micro in self._micro_batches(rows)]

    def rows(self, number: int) -> Ints:
        """The rows of a step, of all ranks."""
        steps = min(POOL_STEPS, max(1, self._n // self._settings.batch_size))
        pool, place = divmod(number, steps)
        if self._pool[0] != pool:
            self._pool = (pool, self._arranged(pool, steps))
        return self._pool[1][place]

    def _arranged(self, pool: int, steps: int) -> list[Ints]:
        """The steps of a pool, in the order that they are taken."""
        size, seed = steps * self._settings.batch_size, self._settings.seed
        epochs = range(pool * size // self._n, (pool + 1) * size // self._n + 1)
        rows = np.concatenate([_order(self._n, seed, epoch) for epoch in epochs])
        rows = rows[pool * size - epochs[0] * self._n :][:size]
        arranged = arrange(rows, self._inputs, self._targets, self._kinds, steps)
        random.Random(f"{seed}/pool/{pool}").shuffle(arranged)
        return arranged

    def _micro_batches(self, rows: Ints) -> list[Ints]:
        """As few as keep within most_tokens; every rank has a row in each."""
        ranks, limit = self._settings.sharing.ranks, self._settings.sharing.most_tokens
        most = max(1, len(rows) // ranks)
        for count in range(min(self._settings.sharing.accumulate, most), most):
            parts = np.array_split(rows, count)
            shares = (part[rank::ranks] for part in parts for rank in range(ranks))
            # Looked at by every rank for all of them, so that all come to the same.
            if limit is None or all(self._padded(share) <= limit for share in shares):
                return parts
        return np.array_split(rows, most)

    def _padded(self, share: Ints) -> int:
        return padded_tokens(self._tokens, share, self._settings.layout)

    def _share(self, micro: Ints, totals: tuple[float, ...]) -> Batch:
        sharing = self._settings.sharing
        forced = [sharing.lockstep and bool(here.any()) for here in self._present[:, micro]]
        mine = micro[sharing.rank :: sharing.ranks]
        return collate(self._tokens, mine, totals, forced, self._settings.layout)

    def _totals(self, rows: Ints) -> tuple[float, ...]:
        """The step's target tokens of each task, weighed; then the rows that `mutual` compares."""
        totals = self._weighed[:, rows].sum(axis=1).tolist()
        if self._settings.mutual:
            totals.append(float(self._present[:2, rows].all(axis=0).sum()))
        return tuple(totals)


def arrange(rows: Ints, inputs: Ints, targets: Ints, kinds: Ints, steps: int) -> list[Ints]:
    """Cut a pool into steps of as many rows, alike in length of input and of target.

    rows: (steps x rows of a step,). inputs, targets, kinds: by row number; the rows of each kind
    (with a rationale, without) are spread evenly, so that every step holds its share of each.
    """
    size = len(rows) // steps
    # Strips alike in length of input, about sqrt(steps) of them; in each, steps alike in targets.
    by_input = rows[np.argsort(inputs[rows], kind="stable")]
    arranged: list[Ints] = []
    for strip in np.array_split(np.arange(steps), max(1, math.isqrt(steps))):
        part = by_input[strip[0] * size : (strip[-1] + 1) * size]
        place = np.empty(len(part))
        for kind in np.unique(kinds[part]):
            [of_kind] = np.nonzero(kinds[part] == kind)
            of_kind = of_kind[np.argsort(targets[part[of_kind]], kind="stable")]
            place[of_kind] = (np.arange(len(of_kind)) + 0.5) / len(of_kind)
        arranged += np.array_split(part[np.argsort(place, kind="stable")], len(strip))
    return arranged


def _order(rows: int, seed: int, epoch: int) -> Ints:
    """The rows of one epoch, shuffled."""
    order = list(range(rows))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return np.array(order)


def _over_targets(task: TaskTokens, fold: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
    """(examples,): the values of each example's targets in one; 0 where it has none."""
    found = np.zeros(len(task.inputs), dtype=values.dtype)
    fold.at(found, np.repeat(np.arange(len(task.inputs)), task.counts()), values)
    return found
