"""The learning curve of the small student: how right it is after each round, and what more rows
would bring.

Errors fall as a + b / n^c, as they do for most learners. It is fitted anew to each of many
reweightings of the rows that the student is judged by (the Bayesian bootstrap): all rounds are
judged by the same rows, so what is chance in these does not pass for progress.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdistill.annotator.active_learning.student import Floats
from stepdistill.common.intervals import wilson

FEWEST_ROUNDS = 3  # before which nothing is said of more rows
_DRAWS = 500
_EXPONENTS = (0.25, 0.5, 0.75, 1.0)
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """A share of right answers, 0..1, with its 95 % interval."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, right: Bools) -> "Accuracy":
        """Of these rows."""
        n, n_right = len(right), int(right.sum())
        low, high = wilson(n_right, n)
        return cls(share=n_right / n if n else 0.0, low=low, high=high)

    def in_words(self) -> str:
        """`71.2 % (65.0 to 76.8)`."""
        return f"{self.share:.1%} ({100 * self.low:.1f} to {100 * self.high:.1f})"


class LearningCurve:
    """Curves that fit what is known, a draw each."""

    def __init__(self, rows: Sequence[int], right: Sequence[Bools], seed: int) -> None:
        """rows: that had been bought after each round. right: of each round, which rows of those
        that it is judged by, the same ones in the same order."""
        rng = np.random.default_rng(seed)
        table = np.array(right, dtype=np.float64)
        weights = rng.dirichlet(np.ones(table.shape[1]), _DRAWS)
        errors = 1.0 - weights @ table.T  # draws x rounds
        self._last, self._rows = errors[:, -1], rows[-1]
        n = np.array(rows, dtype=np.float64)
        self._floor, self._scale, self._power, rest = _fitted(n, errors)
        freedom = max(1, len(rows) - 2)
        self._noise = rng.standard_normal(_DRAWS) * np.sqrt(rest / freedom)

    def gain(self, now: int, then: int) -> float:
        """How much more is right with so many rows than with fewer, 0..1: the mean of all draws."""
        return float((self._errors(now) - self._errors(then)).mean())

    def at(self, rows: int) -> Accuracy:
        """What is to be expected with so many rows."""
        # From where the last round stands, by as much as the curve falls from there on.
        fall = self._errors(self._rows) - self._errors(rows)
        shares = np.clip(1.0 - self._last + fall + self._noise, 0.0, 1.0)
        low, high = np.quantile(shares, [0.025, 0.975])
        return Accuracy(share=float(shares.mean()), low=float(low), high=float(high))

    def _errors(self, rows: int) -> Floats:
        return np.clip(self._floor + self._scale * float(rows) ** -self._power, 0.0, 1.0)


def _fitted(n: Floats, errors: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each draw: a, b, c, and the sum of squares that is left. Later rounds count more: what
    comes after them is asked for."""
    weight = np.sqrt(np.arange(1.0, len(n) + 1))
    weight *= len(n) / weight.sum()
    found = [_with_power(n, errors, weight, power) for power in _EXPONENTS]
    rests = np.array([rest for _, _, rest in found])
    best, draws = rests.argmin(axis=0), np.arange(len(errors))
    floors, scales = (np.array([each[part] for each in found]) for part in (0, 1))
    return (
        floors[best, draws],
        scales[best, draws],
        np.array(_EXPONENTS)[best],
        rests[best, draws],
    )


def _with_power(
    n: Floats, errors: Floats, weight: Floats, power: float
) -> tuple[Floats, Floats, Floats]:
    x = n**-power
    mean_x, mean_y = (weight * x).sum() / weight.sum(), errors @ weight / weight.sum()
    across = float(((x - mean_x) ** 2 * weight).sum())
    scale: Floats = np.maximum((errors - mean_y[:, None]) @ (weight * (x - mean_x)) / across, 0.0)
    floor = mean_y - scale * mean_x
    # No error is below 0, however many rows: the curve then goes through the origin.
    steep = floor < 0
    scale = np.where(steep, errors @ (weight * x) / (x * x * weight).sum(), scale)
    floor = np.where(steep, 0.0, floor)
    rest: Floats = ((errors - floor[:, None] - scale[:, None] * x) ** 2) @ weight
    return floor, scale, rest
