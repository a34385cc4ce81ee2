"""Which rows are bought next: some at random, the others by how unsure the student is of them and
how far they lie from each other.

The random ones are those with the lowest numbers by seed and id, whatever else was bought: so all
rows below such a number are a random sample of the whole, and the student is judged by them. Of the
others each is drawn with a chance that grows with its unsureness and its distance from what was
drawn before it (as k-means++ draws its centres): doubt alone buys rows that are alike, and those
that the teacher errs in.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stepdistill.annotator.active_learning.student import Floats

RANDOM_SHARE = 0.5
Bools = npt.NDArray[np.bool_]
_CANDIDATES = 3_000  # among which rows are drawn, at random: what more would bring is little


def choose(
    numbers: Floats,
    dense: Floats,
    bought: Sequence[int],
    n: int,
    unsure: Floats | None,
    random_share: float = RANDOM_SHARE,
) -> list[int]:
    """The next n rows, in the order in which they are bought. numbers: each row's random one.
    unsure: of each row, 0..1; None where no student knows."""
    taken: Bools = np.zeros(len(numbers), dtype=bool)
    taken[list(bought)] = True
    at_random = iter(np.argsort(numbers, kind="stable").tolist())
    n = min(n, int((~taken).sum()))
    wanted = n - round(n * random_share)
    drawn = iter(_spread(numbers, dense, taken, wanted, unsure))
    chosen: list[int] = []
    for step in range(n):
        is_random = int((step + 1) * random_share) > int(step * random_share)
        row = None if is_random else next((row for row in drawn if not taken[row]), None)
        if row is None:
            row = next(row for row in at_random if not taken[row])
        taken[row] = True
        chosen.append(row)
    return chosen


def random_sample(numbers: Floats, bought: Sequence[int]) -> list[int]:
    """The rows, of those that were bought, that are a random sample of all: the lowest numbers up
    to the first that was not bought."""
    has, sample = set(bought), list[int]()
    order: list[int] = np.argsort(numbers, kind="stable").tolist()
    for row in order:
        if row not in has:
            break
        sample.append(row)
    return sample


def _spread(
    numbers: Floats, dense: Floats, taken: Bools, n: int, unsure: Floats | None
) -> list[int]:
    """Rows drawn by weight: unsureness times squared distance to the nearest that was drawn."""
    free = np.flatnonzero(np.logical_not(taken))
    # By their numbers backwards: those with the lowest are bought at random anyway.
    pool = free[np.argsort(-numbers[free], kind="stable")][: max(_CANDIDATES, 4 * n)]
    if not n or not len(pool):
        return []
    rng = np.random.default_rng(len(free) + int(float(numbers[pool[0]]) * 2**53))
    vectors = dense[pool]
    weight: Floats = np.ones(len(pool)) if unsure is None else np.maximum(unsure[pool], 1e-6)
    distance: Floats = np.full(len(pool), 2.0)
    drawn: list[int] = []
    for _ in range(min(n, len(pool))):
        sums: Floats = np.cumsum(weight * distance)
        if not sums[-1] > 0:
            break
        at = int((sums <= rng.random() * float(sums[-1])).sum())
        at = min(at, len(pool) - 1)
        drawn.append(int(pool[at]))
        distance = np.minimum(distance, np.maximum(2 - 2 * (vectors @ vectors[at]), 0.0))
        distance[at] = 0.0
    return drawn
