"""When to ask again: later each time, not before the teacher wants it, within the budgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.errors import ConnectionLost, Overloaded, RateLimited, Transient
from stepdistill.annotator.teacher.online.retry import RetryPolicy

POLICY = RetryPolicy(attempts=6, first_s=1.0, cap_s=8.0, longest_s=100.0)
PLAIN = Overloaded("500")


def test_waits_double_up_to_the_cap():
    for attempt, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0)):
        waits = [POLICY.wait_s(attempt, 0.0, PLAIN) for _ in range(50)]
        assert all(wait is not None and longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 10


def test_after_the_last_attempt_there_is_no_other():
    assert POLICY.wait_s(6, 0.0, PLAIN) is None
    assert RetryPolicy(attempts=1).wait_s(1, 0.0, PLAIN) is None


@given(asked=st.floats(0, 40), attempt=st.integers(1, 5))
def test_the_teacher_s_wish_is_the_least(asked: float, attempt: int):
    wait = POLICY.wait_s(attempt, 0.0, RateLimited("429", asked))

    assert wait is not None
    assert asked <= wait <= max(8.0, asked * 1.1 + 0.05)


@given(waited=st.floats(0, 200), asked=st.none() | st.floats(0, 300), attempt=st.integers(1, 8))
def test_the_waits_of_a_request_stay_within_their_budget(
    waited: float, asked: float | None, attempt: int
):
    wait = POLICY.wait_s(attempt, waited, RateLimited("429", asked))

    assert wait is None or waited + wait <= POLICY.longest_s


@pytest.mark.parametrize(
    "error",
    [RateLimited("429"), Overloaded("503", status=503), ConnectionLost("").paid(maybe=False)],
    ids=["429", "503", "no connection"],
)
def test_what_nobody_has_worked_on_is_no_attempt(error: Transient):
    for attempt in range(1, 200):
        wait = POLICY.wait_s(attempt, 0.0, error, spared=attempt)
        assert wait is not None
        assert wait <= POLICY.cap_s


def test_but_it_has_its_budget_of_waits():
    assert POLICY.wait_s(20, 99.9, RateLimited("429"), spared=20) is None


def test_attempts_are_those_that_are_not_spared():
    assert POLICY.wait_s(8, 0.0, PLAIN, spared=3) is not None
    assert POLICY.wait_s(9, 0.0, PLAIN, spared=3) is None


def test_where_some_are_refused_at_any_time_nobody_waits_for_longer_each_time():
    waits = [
        POLICY.wait_s(attempt, 0.0, Overloaded("529", status=529), spared=attempt, is_usual=True)
        for attempt in range(1, 12)
    ]
    assert all(wait is not None and wait <= 2.0 for wait in waits)
    unusual = POLICY.wait_s(3, 0.0, PLAIN, is_usual=True)
    assert unusual is not None and unusual >= 2.0
