"""The promise holds as often as it says, and says what it takes where it cannot be given."""

import numpy as np
import pytest
from numpy.random import Generator

from stepdistill.trainer.cascade.guarantee import (
    DEFER_ALL,
    Outcomes,
    Promised,
    best_reachable,
    choose,
    rows_needed,
)
from stepdistill.trainer.settings.cascade import Promise

RISK = 0.1


def drawn(rng: Generator, n: int, *, boast: float = 1.0, teacher: float = 0.95) -> Outcomes:
    """Rows of a student that is right as often as it is sure, or less if it boasts."""
    sure = rng.beta(4, 0.8, n)
    return Outcomes(
        confidence=sure.round(3),  # ties, as of a student that has seen its rows
        student=rng.random(n) < sure**boast,
        teacher=rng.random(n) < teacher,
    )


def parts(rng: Generator, n: int, **how: float) -> tuple[Outcomes, Outcomes]:
    """A fifth to tune, and the rest."""
    return drawn(rng, n // 5, **how), drawn(rng, n - n // 5, **how)


def share_right(everything: Outcomes, threshold: float, promise: Promise) -> float:
    answered = everything.confidence >= threshold
    if promise == "student":
        return float(everything.student[answered].mean())
    return float(np.where(answered, everything.student, everything.teacher).mean())


@pytest.mark.parametrize(
    ("promise", "target"), [("system", 0.9), ("system", 0.93), ("student", 0.85), ("student", 0.9)]
)
def test_a_promise_is_broken_no_more_often_than_the_risk(promise: Promise, target: float) -> None:
    boast = 1.5 if target == 0.9 else 1.0
    promised = Promised(promise=promise, target=target, risk=RISK)
    everything = drawn(np.random.default_rng(0), 200_000, boast=boast)
    draws, missed, given = 150, 0, 0
    for seed in range(1, draws + 1):
        found = choose(*parts(np.random.default_rng(seed), 300, boast=boast), promised)
        given += found is not None
        if found is not None:
            missed += share_right(everything, found.threshold, promise) < target
    assert given > 0
    assert missed <= 27  # of 150 at 10 %: more have a chance of 1 in 1,000


def test_what_a_student_can_do_alone_costs_nothing() -> None:
    rng = np.random.default_rng(0)
    tuning, test = (
        Outcomes(
            confidence=rng.random(n).round(3),
            student=np.ones(n, dtype=bool),
            teacher=rng.random(n) < 0.9,
        )
        for n in (40, 160)
    )
    found = choose(tuning, test, Promised(promise="system", target=0.95, risk=0.05))
    assert found is not None and found.threshold == 0.0


def test_a_student_that_knows_nothing_leaves_all_to_its_teacher() -> None:
    rng = np.random.default_rng(0)
    tuning, test = (
        Outcomes(
            confidence=rng.random(n),
            student=np.zeros(n, dtype=bool),
            teacher=np.ones(n, dtype=bool),
        )
        for n in (40, 160)
    )
    found = choose(tuning, test, Promised(promise="system", target=0.98, risk=0.05))
    assert found is not None and found.threshold >= 0.98  # three of 160 may be wrong
    assert choose(tuning, test, Promised(promise="student", target=0.6, risk=0.05)) is None
    only = Outcomes(confidence=np.zeros(160), student=test.student, teacher=test.teacher)
    found = choose(only, only, Promised(promise="system", target=0.95, risk=0.05))
    assert found is not None and found.threshold == DEFER_ALL


def test_rows_without_a_label_of_the_teachers_are_wrong_in_vain() -> None:
    tuning, test = parts(np.random.default_rng(0), 500, teacher=1.0)
    promised = Promised(promise="system", target=0.95, risk=0.05)
    found = choose(tuning, test, promised)
    assert found is not None
    lost = Outcomes(confidence=test.confidence, student=test.student, teacher=test.teacher, lost=30)
    assert choose(tuning, lost, promised) is None


def test_what_is_within_reach_can_be_promised_and_a_little_more_cannot() -> None:
    tuning, test = parts(np.random.default_rng(3), 300)
    promised = Promised(promise="system", target=0.99, risk=0.05)
    assert choose(tuning, test, promised) is None
    reach = best_reachable(tuning, test, promised)
    assert reach is not None
    target, found = reach
    assert 0.85 < target < 0.95
    again = Promised(promise="system", target=target, risk=0.05)
    assert choose(tuning, test, again) == found
    more = Promised(promise="system", target=target + 0.005, risk=0.05)
    assert choose(tuning, test, more) is None


def test_it_says_how_many_rows_it_would_take_and_when_no_number_would_do() -> None:
    tuning, test = parts(np.random.default_rng(3), 300, teacher=0.97)
    needed = rows_needed(tuning, test, Promised(promise="system", target=0.95, risk=0.05))
    assert needed is not None and 300 < needed < 3_000
    assert rows_needed(tuning, test, Promised(promise="system", target=0.99, risk=0.05)) is None


def test_no_rows_are_no_error() -> None:
    nothing = Outcomes(
        confidence=np.zeros(0), student=np.zeros(0, dtype=bool), teacher=np.zeros(0, dtype=bool)
    )
    for promise in ("system", "student"):
        promised = Promised(promise=promise, target=0.95, risk=0.05)
        assert choose(nothing, nothing, promised) is None
        assert best_reachable(nothing, nothing, promised) is None
        assert rows_needed(nothing, nothing, promised) is None
