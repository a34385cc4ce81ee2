"""Where a batch stands at a time, without any clock but the numbers here."""

import pytest

from stepdistill.annotator.simulator.batch.jobs import BatchState, Timeline
from stepdistill.annotator.simulator.batch.settings import BatchPlan, BatchTimes

PACE = BatchTimes(validating_s=10, running_s=100, finalizing_s=5, cancelling_s=20, window_s=1000)


def at(now: float, *, cancelled_s: float | None = None, failed: bool = False) -> BatchState:
    plan = BatchPlan(times=PACE)
    return Timeline(plan=plan, created_s=0.0, cancelled_s=cancelled_s, failed=failed).at(now)


def stuck(now: float, cancelled_s: float | None = None) -> BatchState:
    plan = BatchPlan(times=PACE, finished=0.25)
    return Timeline(plan=plan, created_s=0.0, cancelled_s=cancelled_s).at(now)


@pytest.mark.parametrize(
    ("now", "status", "share"),
    [
        (0, "validating", 0),
        (9.9, "validating", 0),
        (10, "in_progress", 0),
        (60, "in_progress", 0.5),
        (110, "finalizing", 1),
        (115, "completed", 1),
        (5000, "completed", 1),
    ],
)
def test_a_batch_goes_through_its_states(now: float, status: str, share: float):
    assert (at(now).status, at(now).share) == (status, share)


def test_every_state_is_stamped_with_its_own_time():
    assert at(5000).stamps == {
        "validating": 0,
        "in_progress": 10,
        "finalizing": 110,
        "completed": 115,
    }
    assert at(5000, cancelled_s=60).stamps == {
        "validating": 0,
        "in_progress": 10,
        "cancelling": 60,
        "cancelled": 80,
    }
    assert at(5000, failed=True).stamps == {"validating": 0, "failed": 10}
    assert stuck(5000).stamps == {"validating": 0, "in_progress": 10, "expired": 1000}


def test_what_is_cancelled_keeps_what_was_answered():
    assert (at(79, cancelled_s=60).status, at(79, cancelled_s=60).share) == ("cancelling", 0.5)
    assert (at(80, cancelled_s=60).status, at(80, cancelled_s=60).share) == ("cancelled", 0.5)
    assert (at(99, cancelled_s=5).status, at(99, cancelled_s=5).share) == ("cancelled", 0)


def test_what_stands_still_expires_with_what_was_answered():
    assert (stuck(999).status, stuck(999).share) == ("in_progress", 0.25)
    assert (stuck(1000).status, stuck(1000).share) == ("expired", 0.25)
    assert (stuck(900, 500).status, stuck(900, 500).share) == ("cancelled", 0.25)


def test_a_batch_that_is_too_slow_expires():
    slow = BatchTimes(validating_s=0, running_s=100, finalizing_s=0, window_s=40)
    state = Timeline(plan=BatchPlan(times=slow), created_s=0.0).at(41)

    assert (state.status, state.share) == ("expired", 0.4)


def test_a_window_that_ends_while_validating():
    short = BatchTimes(validating_s=50, window_s=40)
    state = Timeline(plan=BatchPlan(times=short), created_s=0.0).at(60)

    assert state.stamps == {"validating": 0, "expired": 40}
    assert state.share == 0
