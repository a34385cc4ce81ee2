"""The alarm is raised where rows change, and hardly ever where they do not."""

import numpy as np
import pytest
from numpy.random import Generator

from stepdistill.trainer.cascade.drift import OTHER, DriftAlarm, Reference, reference_of

LABELS = ["a", "b", "c", "d"]
EVEN = (0.25, 0.25, 0.25, 0.25)


def rows(
    rng: Generator, n: int, sureness: tuple[float, float] = (8, 2), shares: tuple[float, ...] = EVEN
) -> tuple[list[float], list[str]]:
    return rng.beta(*sureness, n).tolist(), rng.choice(LABELS, n, p=shares).tolist()


def raised_at(reference: Reference, found: tuple[list[float], list[str]]) -> int | None:
    alarm = DriftAlarm(reference)
    raised = [alarm.look(sure, label) for sure, label in zip(*found, strict=True)]
    assert raised.count(True) == (alarm.alarm is not None)
    return alarm.alarm_row


def test_rows_as_before_raise_no_alarm() -> None:
    false = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        false += raised_at(reference_of(*rows(rng, 200)), rows(rng, 600)) is not None
    assert false <= 4  # of 60 at 1 %: more have a chance of 1 in 2,000


@pytest.mark.parametrize(
    ("sureness", "shares", "cause"),
    [((5, 3), EVEN, "confidence"), ((8, 2), (0.6, 0.2, 0.1, 0.1), "labels")],
)
def test_other_rows_raise_it_within_500(
    sureness: tuple[float, float], shares: tuple[float, ...], cause: str
) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        reference = reference_of(*rows(rng, 300))
        alarm = DriftAlarm(reference)
        for sure, label in zip(*rows(rng, 500, sureness, shares), strict=True):
            alarm.look(sure, label)
        assert alarm.alarm == cause
        assert alarm.alarm_row is not None and alarm.alarm_row <= 500


def test_labels_of_no_set_and_new_ones_are_no_error() -> None:
    open_labels = reference_of([0.5, 1.0, 0.0], None)
    assert raised_at(open_labels, ([0.5, 1.0, 0.0], ["x", "y", "z"])) is None
    known = reference_of([0.9] * 90, ["a", "b", "a"] * 30)
    assert known.labels == {"a": 60, "b": 30, OTHER: 0}
    alarm = DriftAlarm(known)
    for _ in range(300):
        alarm.look(0.9, None)
    assert alarm.alarm == "labels"


def test_a_student_of_one_confidence_and_one_label_is_no_drift() -> None:
    reference = reference_of([1.0] * 50, ["a"] * 50)
    assert raised_at(reference, ([1.0] * 1_000, ["a"] * 1_000)) is None
