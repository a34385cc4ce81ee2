"""The alarm is raised where rows change, and hardly ever where they do not."""

import re

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
        false += raised_at(reference_of(*rows(rng, 200), LABELS), rows(rng, 600)) is not None
    assert false <= 4  # of 60 at 1 %: more have a chance of 1 in 2,000


@pytest.mark.parametrize("n_labels", [3, 20, 150])
def test_many_labels_of_which_some_are_rare_are_no_drift(n_labels: int) -> None:
    """The commonest ones of the validation rows are less common elsewhere: that is chance."""
    names = [f"intent {number}" for number in range(n_labels)]
    false = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = [(rng.beta(8, 2, n).tolist(), rng.choice(names, n).tolist()) for n in (300, 900)]
        false += raised_at(reference_of(*found[0], names), found[1]) is not None
    assert false <= 3  # of 40 at 1 %: more have a chance of 1 in 1,000


@pytest.mark.parametrize(
    ("sureness", "shares", "cause"),
    [
        ((5, 3), EVEN, "confidence"),
        ((6, 2.5), EVEN, "confidence"),
        ((8, 2), (0.6, 0.2, 0.1, 0.1), "labels"),
        ((8, 2), (0.42, 0.25, 0.25, 0.08), "labels"),
    ],
)
def test_other_rows_raise_it_within_500(
    sureness: tuple[float, float], shares: tuple[float, ...], cause: str
) -> None:
    """Weak shifts, too."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        reference = reference_of(*rows(rng, 400), LABELS)
        alarm = DriftAlarm(reference)
        for sure, label in zip(*rows(rng, 500, sureness, shares), strict=True):
            alarm.look(sure, label)
        assert alarm.alarm == cause
        assert alarm.alarm_row is not None and alarm.alarm_row <= 500


def test_labels_of_no_set_and_new_ones_are_no_error() -> None:
    open_labels = reference_of([0.5, 1.0, 0.0], None)
    assert raised_at(open_labels, ([0.5, 1.0, 0.0], ["x", "y", "z"])) is None
    known = reference_of([0.9] * 90, ["a", "b", "a"] * 30, ["a", "b"])
    assert known.labels == {"a": 60, "b": 30, OTHER: 0}
    alarm = DriftAlarm(known)
    for _ in range(300):
        alarm.look(0.9, None)
    assert alarm.alarm == "labels"
    assert alarm.change == (
        "`(other)` is given to 100% of these rows, and was to 0% of the validation rows"
    )


def test_it_says_what_has_changed() -> None:
    rng = np.random.default_rng(1)
    alarm = DriftAlarm(reference_of(*rows(rng, 400), LABELS))
    for sure, label in zip(*rows(rng, 500, (3, 3)), strict=True):
        alarm.look(sure, label)
    told = (
        r"(1|5|9)0% of these rows have a confidence below (0\.\d+), and had one below (0\.\d+) on"
    )
    found = re.match(told, alarm.change)
    assert found is not None and float(found[2]) < float(found[3]) - 0.1


def test_a_student_of_one_confidence_and_one_label_is_no_drift() -> None:
    reference = reference_of([1.0] * 50, ["a"] * 50)
    assert raised_at(reference, ([1.0] * 1_000, ["a"] * 1_000)) is None
