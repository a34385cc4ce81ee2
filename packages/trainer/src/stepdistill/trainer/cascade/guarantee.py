"""From which confidence on the student may answer, so that a promise is kept: Learn-then-Test.

The promise. `system`: of all answers to rows like the validation rows, at least `target` are right,
where the student answers what it is sure enough of and the teacher the rest. `student`: of the
answers that the student gives itself, at least `target` are right. Either holds with a probability
of at least 1 - risk over the draw of the validation rows, whatever the student and however its
confidence comes about; it says nothing of rows that are unlike them.

How (Angelopoulos et al., 2021; the order of tests after Laufer-Goldshtein et al., 2023): the rows
are parted by their ids. The tuning part sets the temperature, which thresholds are tried, and which
of them first: the one that looks safest. On the other part each threshold is a hypothesis, that
with it fewer than `target` are right, and an exact binomial test of it. From the first threshold
on, lower ones are tested, one after another at the level `risk`, until a test fails; the last one
that passed is taken. Any threshold that does not keep the promise would have had to pass its own
test, and the first such one does so with a chance of `risk` at most.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from stepdistill.trainer.cascade.temperature import DIGITS
from stepdistill.trainer.settings.cascade import Promise

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
DEFER_ALL = 1.01  # no confidence is as high
_STEP = 0.005  # of the targets that are tried in search of one that can be kept
_LEAST_TARGET = 0.5
_FEWEST_CANDIDATES = 50
_MOST_ROWS = 1_000_000
_LEAST_COVERAGE = 0.05  # of a promise that is worth more rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What came of some validation rows."""

    confidence: Floats  # (rows,) of the student, 0..1
    student: Bools  # (rows,) whether it is right
    teacher: Bools  # (rows,) whether its teacher is
    lost: int = 0  # rows beside these that the teacher gave no label for: right by nobody

    @property
    def n(self) -> int:
        """All of them."""
        return len(self.confidence) + self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What is promised."""

    promise: Promise
    target: float  # 0..1: the share of answers that is right at least
    risk: float  # 0..1: of the whole procedure, all that is to be allowed for taken off


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenThreshold:
    """A threshold by which the promise is kept."""

    threshold: float  # the student answers where its confidence is no less; DEFER_ALL: nowhere
    n: int  # rows that it was tested on
    wrong: int  # answers to them that were wrong
    p_value: float  # of its test
    tests: int  # that passed


def choose(tuning: Outcomes, test: Outcomes, promised: Promised) -> ChosenThreshold | None:
    """The lowest threshold that the tests let through; None where not even the first is."""
    thresholds = _candidates(tuning, promised.promise)
    start = _safest(tuning, test.n, thresholds, promised)
    n, wrong = _counts(test, thresholds[start:], promised.promise)
    p_values = _p_values(n, wrong, promised.target)
    passed = np.cumprod(p_values <= promised.risk).sum()  # those before the first that fails
    if not passed:
        return None
    last = int(passed) - 1
    return ChosenThreshold(
        threshold=float(thresholds[start + last]),
        n=int(n[last]),
        wrong=int(wrong[last]),
        p_value=float(p_values[last]),
        tests=int(passed),
    )


def best_reachable(
    tuning: Outcomes, test: Outcomes, promised: Promised
) -> tuple[float, ChosenThreshold] | None:
    """The highest target below the one that was asked for that could be promised by these rows, and
    its threshold; None where none could."""
    steps = int((promised.target - _LEAST_TARGET) / _STEP)
    for step in range(steps + 1):
        target = round(np.floor(promised.target / _STEP) * _STEP - step * _STEP, 6)
        if target >= promised.target:
            continue
        lower = Promised(promise=promised.promise, target=target, risk=promised.risk)
        found = choose(tuning, test, lower)
        if found is not None:
            return target, found
    return None


def rows_needed(tuning: Outcomes, test: Outcomes, promised: Promised) -> int | None:
    """How many rows the tests would take about, if the shares that were seen are the true ones;
    None where even then no number would do: a better student or teacher would."""
    both = _joined(tuning, test)
    if not both.n:
        return None
    n, wrong = _counts(both, _candidates(both, promised.promise), promised.promise)
    shares = n / both.n
    worth = shares >= _LEAST_COVERAGE
    # One more wrong: what a few rows saw none of is not known to be none.
    rates = ((wrong + 1) / np.maximum(n, 1))[worth]
    if not len(rates):
        return None
    place = int(np.argmin(rates))
    tested = _tests_needed(float(rates[place]), promised)
    return None if tested is None else int(np.ceil(tested / shares[worth][place]))


def _tests_needed(rate: float, promised: Promised) -> int | None:
    """Rows on which so few errors pass the test."""

    def passes(n: int) -> bool:
        return bool(binom.cdf(np.ceil(rate * n), n, 1 - promised.target) <= promised.risk)

    if rate >= 1 - promised.target:
        return None
    high = 1
    while not passes(high):
        high *= 2
        if high > _MOST_ROWS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _candidates(rows: Outcomes, promise: Promise) -> Floats:
    """Thresholds to be tried, from that which defers most: each confidence that was met, and 0,
    from which on all is answered; of few rows some between these, too. That no row is answered is a
    promise of `system` alone."""
    met = np.unique(np.append(rows.confidence, 0.0))[::-1]
    if len(met) < _FEWEST_CANDIDATES:
        places = np.linspace(0, len(met) - 1, _FEWEST_CANDIDATES)
        between = np.interp(places, np.arange(len(met)), met)
        met = np.unique(np.append(met, between.round(DIGITS)))[::-1]
    return met if promise == "student" else np.append(DEFER_ALL, met)


def _safest(tuning: Outcomes, n_test: int, thresholds: Floats, promised: Promised) -> int:
    """The place of the threshold whose test is the likeliest to pass, as the tuning rows have it;
    of equals the one that defers most."""
    n, wrong = _counts(tuning, thresholds, promised.promise)
    if promised.promise == "system":
        return int(np.argmin(wrong + _expected(tuning, thresholds)))
    scale = n_test / max(tuning.n, 1)
    # One more wrong: a few rows without an error say less than many.
    expected = np.ceil((wrong + 1) * scale)
    chances = binom.cdf(expected, np.floor(n * scale), 1 - promised.target)
    return int(np.argmin(np.where(n > 0, chances, 1.0)))


def _expected(rows: Outcomes, thresholds: Floats) -> Floats:
    """The share of wrong answers by threshold, below 1, where of either's rows one more of two is
    taken for wrong: which of thresholds without an error is the safest."""
    answered = rows.confidence[None, :] >= thresholds[:, None]  # (thresholds, rows)
    expected = np.zeros(len(thresholds))
    for those, right in ((answered, rows.student), (~answered, rows.teacher)):
        n = those.sum(1)
        expected += n * ((those & ~right).sum(1) + 1) / (n + 2)
    return expected / (rows.n + 1)


def _counts(rows: Outcomes, thresholds: Floats, promise: Promise) -> tuple[Ints, Ints]:
    """(answers that count, those that are wrong) by threshold."""
    answered = rows.confidence[None, :] >= thresholds[:, None]  # (thresholds, rows)
    if promise == "student":
        return answered.sum(1), (answered & ~rows.student).sum(1)
    wrong = np.where(answered, ~rows.student, ~rows.teacher).sum(1) + rows.lost
    return np.full(len(thresholds), rows.n), wrong


def _p_values(n: Ints, wrong: Ints, target: float) -> Floats:
    """The chance of so few wrong answers, if the share of right ones were just below the target."""
    return np.where(n > 0, binom.cdf(wrong, n, 1 - target), 1.0)


def _joined(one: Outcomes, other: Outcomes) -> Outcomes:
    return Outcomes(
        confidence=np.concatenate([one.confidence, other.confidence]),
        student=np.concatenate([one.student, other.student]),
        teacher=np.concatenate([one.teacher, other.teacher]),
        lost=one.lost + other.lost,
    )
