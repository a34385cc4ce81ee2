"""Limits hold in every window, say when to come back, and let those through who wait."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepdistill.annotator.simulator.limits import Limiter, SimulatedLimits, reset_text
from stepdistill.common.errors import ConfigError


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_no_limits_let_everything_through_and_say_nothing():
    limiter = Limiter(SimulatedLimits(), Time())

    admissions = [limiter.admit(10**9) for _ in range(100)]

    assert all(not admission.over and not admission.headers for admission in admissions)


def test_the_request_above_the_limit_waits_until_the_first_has_left():
    time = Time()
    limiter = Limiter(SimulatedLimits(requests_per_minute=2, refused_count=False), time)
    for time.now_s in (0.0, 10.0):
        assert not limiter.admit(1).over

    time.now_s = 15.0
    refused = limiter.admit(1)

    assert refused.over == "requests"
    assert refused.retry_after_s == pytest.approx(45.0)
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] == "55s"
    time.now_s = 60.0
    assert not limiter.admit(1).over


def test_a_refused_request_counts_where_it_is_told_to():
    time = Time()
    limiter = Limiter(SimulatedLimits(requests_per_minute=1), time)
    limiter.admit(1)
    time.now_s = 59.0
    limiter.admit(1)

    time.now_s = 61.0
    assert limiter.admit(1).over == "requests"


def test_tokens_are_counted_and_refused_tokens_are_not():
    time = Time()
    limiter = Limiter(SimulatedLimits(tokens_per_minute=100), time)
    assert not limiter.admit(60).over

    refused = limiter.admit(50)

    assert refused.over == "tokens"
    assert refused.headers["x-ratelimit-remaining-tokens"] == "40"
    assert not limiter.admit(40).over


def test_a_minute_enforced_by_the_second():
    limiter = Limiter(SimulatedLimits(requests_per_minute=60, window_s=1.0), Time())

    assert [limiter.admit(1).over for _ in range(2)] == [None, "requests"]


def test_a_request_larger_than_a_short_window_passes_alone():
    time = Time()
    limiter = Limiter(SimulatedLimits(tokens_per_minute=600, window_s=1.0), time)

    assert not limiter.admit(500).over
    assert limiter.admit(1).over == "tokens"
    time.now_s = 1.0
    assert not limiter.admit(1).over


def test_a_request_larger_than_the_minute_never_passes():
    assert Limiter(SimulatedLimits(tokens_per_minute=600), Time()).admit(601).over == "tokens"


@example(gaps=[1.6349735049547478, 2, 3, 2], limit=2, window_s=5.0)
@given(
    gaps=st.lists(st.floats(0, 5), max_size=120),
    limit=st.integers(1, 12),
    window_s=st.sampled_from([5.0, 60.0]),
)
def test_no_window_ever_holds_more_than_its_share(gaps: list[float], limit: int, window_s: float):
    time = Time()
    limiter = Limiter(SimulatedLimits(requests_per_minute=limit * 12, window_s=window_s), time)
    passed: list[float] = []
    for gap in gaps:
        time.now_s += gap
        if not limiter.admit(1).over:
            passed.append(time.now_s)

    share = limit * 12 * window_s / 60
    for end in passed:
        assert sum(end - window_s < other <= end for other in passed) <= share


@given(cost=st.integers(1, 100), spent=st.lists(st.integers(1, 100), max_size=20))
def test_whoever_waits_as_told_gets_through(cost: int, spent: list[int]):
    time = Time()
    limiter = Limiter(SimulatedLimits(tokens_per_minute=100), time)
    for tokens in spent:
        limiter.admit(tokens)
        time.now_s += 1.0

    if (first := limiter.admit(cost)).over:
        time.now_s += first.retry_after_s + 1e-6
        assert not limiter.admit(cost).over


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (1.5, "1.5s"), (59.9999, "1m0s"), (360, "6m0s")],
)
def test_reset_times_look_like_those_of_openai(seconds: float, text: str):
    assert reset_text(seconds) == text


@pytest.mark.parametrize(
    ("requests", "tokens", "window_s"), [(0, None, 60.0), (None, -1, 60.0), (None, None, 0.0)]
)
def test_limits_of_nothing_are_refused(requests: int | None, tokens: int | None, window_s: float):
    with pytest.raises(ConfigError, match="above 0"):
        SimulatedLimits(requests_per_minute=requests, tokens_per_minute=tokens, window_s=window_s)
