"""Limits on a stepped clock: kept on every window, in order, and nothing waits for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.teacher.online.rate_limiter import RateLimiter
from stepdistill.annotator.teacher.spec import RateLimits
from stepdistill.common.errors import ConfigError


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def sent_at(limits: RateLimiter, clock: Clock, demands: list[int]) -> list[float]:
    """When each demand goes, if every one is sent as soon as it may."""
    times: list[float] = []
    for tokens in demands:
        while wait_s := limits.wait_s(tokens):
            clock.now_s += wait_s
        limits.take(tokens)
        times.append(clock.now_s - 1000.0)
    return times


def limited(clock: Clock, rpm: float | None = None, tpm: float | None = None) -> RateLimiter:
    return RateLimiter(RateLimits(requests_per_minute=rpm, tokens_per_minute=tpm), clock)


def test_requests_are_spread_evenly_and_reach_97_percent_of_the_limit():
    clock = Clock()
    times = sent_at(limited(clock, rpm=600), clock, [1] * 1200)
    for start in range(0, 1200 - 600):
        assert times[start + 600] - times[start] >= 60
    assert 1200 / times[-1] * 60 >= 0.97 * 600
    assert sum(at <= 1 for at in times) <= 11


@given(st.lists(st.integers(1, 2_000), min_size=50, max_size=200))
def test_tokens_of_mixed_lengths_keep_the_limit_but_for_one_demand_in_any_minute(
    demands: list[int],
):
    clock = Clock()
    times = sent_at(limited(clock, tpm=10_000), clock, demands)
    for first, start in enumerate(times):
        within = [
            tokens for at, tokens in zip(times, demands, strict=True) if start < at < start + 60
        ]
        assert sum(within) <= 10_000 + max(demands)
        assert times[first:] == sorted(times[first:])


def test_a_demand_above_a_short_window_goes_and_is_paid_back():
    clock = Clock()
    times = sent_at(limited(clock, tpm=6_000), clock, [3_000, 60, 3_000, 60])
    assert times[1] - times[0] >= 29
    assert times[3] - times[1] >= 29


def test_after_idle_time_there_is_no_burst():
    clock = Clock()
    limits = limited(clock, rpm=600)
    clock.now_s += 3600
    times = sent_at(limits, clock, [1] * 100)
    assert sum(at - times[0] < 1 for at in times) <= 16


def test_a_request_larger_than_the_limit_is_an_error_at_once():
    with pytest.raises(ConfigError, match=r"20,000 tokens and the limit is 10,000.*--max-tokens"):
        limited(Clock(), tpm=10_000).wait_s(20_000)


def test_headers_lower_a_limit_and_set_one_where_there_was_none():
    clock = Clock()
    limits = limited(clock, rpm=600)
    named = {"x-ratelimit-limit-requests": "60", "x-ratelimit-limit-tokens": "9000"}
    assert limits.heed(named)
    assert not limits.heed(named), "nothing new"
    assert (limits.requests.per_minute, limits.tokens.per_minute) == (60, 9000)
    limits.heed({"x-ratelimit-limit-requests": "6000"})
    assert limits.requests.per_minute == 600, "the user's own limit stays the upper one"
    limits.heed({"x-ratelimit-limit-requests": "many"})
    assert limits.requests.per_minute == 600


@pytest.mark.parametrize(
    "named",
    [
        {"anthropic-ratelimit-requests-limit": "60", "anthropic-ratelimit-tokens-limit": "9000"},
        {
            "anthropic-ratelimit-requests-limit": "60",
            "anthropic-ratelimit-input-tokens-limit": "9000",
            "anthropic-ratelimit-output-tokens-limit": "2000",
        },
        {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-limit-tokens-minute": "9000"},
    ],
)
def test_limits_are_taken_by_each_vendors_names(named: dict[str, str]):
    limits = limited(Clock())
    assert limits.heed(named)
    assert (limits.requests.per_minute, limits.tokens.per_minute) == (60, 9000)


def test_what_an_answer_used_beyond_its_reserve_is_paid_back():
    clock = Clock()
    limits = limited(clock, tpm=6_000)
    sent_at(limits, clock, [100])
    limits.settle(reserved=100, used=1_100)
    assert limits.wait_s(10) >= 9


def test_without_limits_nothing_waits():
    assert limited(Clock()).wait_s(10**9) == 0
