"""The circuit breaker on a stepped clock: it opens, probes, closes, and gives up in time."""

import math
from dataclasses import replace

import pytest

from stepdistill.annotator.errors import (
    ConnectionLost,
    Overloaded,
    RateLimited,
    TeacherDown,
    TimedOut,
    Transient,
)
from stepdistill.annotator.teacher.online.circuit_breaker import (
    CircuitBreaker,
    CircuitBreakerPolicy,
)
from tests.annotator.teacher.online.test_rate_limiter import Clock

URL = "http://gpu-3.example/v1"
POLICY = CircuitBreakerPolicy(
    opens_after=5,
    opens_after_s=3.0,
    first_s=1.0,
    cap_s=8.0,
    probes=6,
    longest_s=100.0,
    opens_after_unheard=3,
    early_first_s=0.25,
    early_cap_s=2.0,
    early_longest_s=10.0,
    early_refused_cap_s=8.0,
    early_refused_longest_s=65.0,
)
DOWN = Overloaded("500", status=500)
NOBODY = ConnectionLost("refused").paid(maybe=False)
REFUSED = RateLimited("429")
LATE = TimedOut("no answer within 9 s")


def a_breaker(clock: Clock, *, answered: bool = True) -> CircuitBreaker:
    """answered: the teacher was there, three seconds ago."""
    breaker = CircuitBreaker(POLICY, URL, clock)
    if answered:
        breaker.answered()
    clock.now_s += 3
    return breaker


def fail(breaker: CircuitBreaker, clock: Clock, n: int, width: int = 1) -> list[bool]:
    return [breaker.failed(DOWN, clock.now_s, width) for _ in range(n)]


def probe_in_vain(breaker: CircuitBreaker, clock: Clock) -> float:
    """Wait the pause out, send the probe, lose it; how long the pause was."""
    pause_s = breaker.wait_s()
    clock.now_s += pause_s
    assert breaker.wait_s() == 0
    started_s = clock.now_s
    breaker.sent()
    assert breaker.wait_s() == math.inf, "no other goes while the probe is on its way"
    breaker.failed(DOWN, started_s, 1)
    return pause_s


def test_a_row_of_failures_opens_it_and_the_last_one_says_so():
    clock = Clock()
    breaker = a_breaker(clock)
    assert fail(breaker, clock, 5) == [False] * 4 + [True]
    assert 0.75 <= breaker.wait_s() <= 1.0


def test_a_moment_of_failures_does_not():
    clock = Clock()
    breaker = a_breaker(clock)
    breaker.answered()
    clock.now_s += 2.9
    assert not any(fail(breaker, clock, 100))
    clock.now_s += 0.1
    assert fail(breaker, clock, 1) == [True]


def test_an_answer_between_them_keeps_it_closed():
    clock = Clock()
    breaker = a_breaker(clock)
    for _ in range(10):
        fail(breaker, clock, 4)
        breaker.answered()
    assert breaker.wait_s() == 0


def test_a_wide_window_may_fail_once_over():
    clock = Clock()
    breaker = a_breaker(clock)
    assert not any(fail(breaker, clock, 199, width=200))
    assert fail(breaker, clock, 1, width=200) == [True]


def test_what_was_in_flight_when_it_opened_does_not_count_as_a_probe():
    clock = Clock()
    breaker = a_breaker(clock)
    fail(breaker, clock, 5)
    wait_s = breaker.wait_s()
    assert not any(fail(breaker, clock, 100))
    assert (breaker.wait_s(), breaker.probes) == (wait_s, 0)


def test_pauses_double_up_to_the_cap():
    clock = Clock()
    breaker = a_breaker(clock)
    fail(breaker, clock, 5)
    pauses = [probe_in_vain(breaker, clock) for _ in range(5)]
    for pause_s, longest in zip(pauses, (1, 2, 4, 8, 8), strict=True):
        assert 0.75 * longest <= pause_s <= longest


def test_an_answer_to_the_probe_closes_it_and_all_is_as_before():
    clock = Clock()
    breaker = a_breaker(clock)
    fail(breaker, clock, 5)
    probe_in_vain(breaker, clock)
    clock.now_s += breaker.wait_s()
    breaker.sent()
    breaker.answered()
    assert (breaker.wait_s(), breaker.is_open, breaker.probes) == (0, False, 0)
    clock.now_s += 3
    assert fail(breaker, clock, 5) == [False] * 4 + [True]
    assert breaker.wait_s() <= 1.0


def test_so_does_an_answer_to_an_earlier_request():
    clock = Clock()
    breaker = a_breaker(clock)
    fail(breaker, clock, 5)
    breaker.answered()
    assert breaker.wait_s() == 0


def test_the_teacher_s_wish_to_wait_is_the_least_pause():
    clock = Clock()
    breaker = a_breaker(clock)
    for _ in range(5):
        breaker.failed(RateLimited("429", 30.0), clock.now_s, 1)
    assert breaker.wait_s() == 30.0


def test_probes_used_up_end_the_run_with_one_line():
    clock = Clock()
    breaker = a_breaker(clock)
    fail(breaker, clock, 5)
    for _ in range(5):
        probe_in_vain(breaker, clock)
    with pytest.raises(TeacherDown, match=r"gpu-3.*since \d+ s \(500\); 6 probes.*again"):
        probe_in_vain(breaker, clock)


def test_so_does_the_time_without_an_answer():
    clock = Clock()
    breaker = a_breaker(clock)
    fail(breaker, clock, 5)
    clock.now_s += 97
    with pytest.raises(TeacherDown, match=r"since 10[01] s"):
        probe_in_vain(breaker, clock)


def given_up(breaker: CircuitBreaker, clock: Clock, error: Transient) -> tuple[int, float]:
    """How many requests it takes, and how many seconds, until the run is given up."""
    began_s = clock.now_s
    for sent in range(1, 1000):
        clock.now_s += breaker.wait_s()
        breaker.sent()
        try:
            breaker.failed(error, clock.now_s, 64)
        except TeacherDown:
            return sent, clock.now_s - began_s
    raise AssertionError("never")


@pytest.mark.parametrize("error", [NOBODY, DOWN], ids=["nobody listens", "500"])
def test_a_teacher_that_never_answered_is_given_up_within_15_s_and_a_dozen_requests(
    error: Transient,
):
    clock = Clock()
    breaker = CircuitBreaker(replace(POLICY, probes=60), URL, clock)
    sent, seconds = given_up(breaker, clock, error)
    assert 5 <= sent <= 12
    assert seconds <= 12


def test_one_that_lets_nobody_in_has_a_minute_to_begin_anew():
    clock = Clock()
    breaker = CircuitBreaker(replace(POLICY, probes=60), URL, clock)
    sent, seconds = given_up(breaker, clock, REFUSED)
    assert sent <= 20
    assert 60 < seconds <= 75


def test_where_nobody_listens_any_more_a_few_failures_are_enough():
    clock = Clock()
    breaker = a_breaker(clock)
    breaker.answered()
    outcomes = [breaker.failed(NOBODY, clock.now_s, 128) for _ in range(3)]
    assert outcomes == [False, False, True]


def test_a_few_refusals_are_enough_too_once_nothing_was_let_in_for_a_while():
    clock = Clock()
    breaker = a_breaker(clock)
    assert [breaker.failed(REFUSED, clock.now_s, 128) for _ in range(3)] == [False, False, True]
    breaker.answered()
    assert not any(breaker.failed(REFUSED, clock.now_s, 128) for _ in range(100))


def test_long_answers_are_not_missed_sooner_than_they_come():
    clock = Clock()
    breaker = a_breaker(clock)
    for _ in range(50):
        breaker.answered(latency_s=20.0)
    clock.now_s += 30
    assert not any(breaker.failed(REFUSED, clock.now_s, 1) for _ in range(100))
    clock.now_s += 11
    assert breaker.failed(REFUSED, clock.now_s, 1)


def test_while_nobody_is_let_in_it_looks_again_after_an_eighth_of_the_time():
    clock = Clock()
    breaker = a_breaker(clock)
    silent_since_s = breaker.answered_at_s
    for _ in range(3):
        breaker.failed(REFUSED, clock.now_s, 1)
    for _ in range(5):
        clock.now_s += breaker.wait_s()
        breaker.sent()
        breaker.failed(REFUSED, clock.now_s, 1)
        assert breaker.wait_s() <= max(1.0, (clock.now_s - silent_since_s) / 8)


def test_answers_too_late_are_no_outage_where_others_came_meanwhile():
    clock = Clock()
    breaker = a_breaker(clock)
    started_s = breaker.answered_at_s - 1
    assert not any(breaker.failed(LATE, started_s, 4) for _ in range(100))
    clock.now_s += 9
    assert [breaker.failed(LATE, clock.now_s - 9, 4) for _ in range(4)] == [False] * 3 + [True]
