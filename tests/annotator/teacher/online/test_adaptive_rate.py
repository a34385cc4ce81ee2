"""The rate on a stepped clock, before limiters that name nothing: close below, seldom refused."""

import heapq
import random
from collections import deque
from collections.abc import Callable
from itertools import count

import pytest

from stepdistill.annotator.teacher.online.adaptive_rate import AdaptiveRate, Refusal
from tests.annotator.teacher.online.test_rate_limiter import Clock

Limiter = Callable[[float], bool]  # the time -> whether a request may pass
REFUSAL_S = 0.001


def leaky(per_s: float, burst: int) -> Limiter:
    """As nginx's limit_req with nodelay."""
    free_s = 0.0

    def passes(now: float) -> bool:
        nonlocal free_s
        free_s = max(free_s, now)
        if (free_s - now) * per_s > burst:
            return False
        free_s += 1 / per_s
        return True

    return passes


def sliding(n: int, window_s: float) -> Limiter:
    """At most n in any window."""
    passed_s: deque[float] = deque()

    def passes(now: float) -> bool:
        while passed_s and passed_s[0] <= now - window_s:
            passed_s.popleft()
        if len(passed_s) >= n:
            return False
        passed_s.append(now)
        return True

    return passes


class Sender:
    """As many requests as the rate allows, for ever, at most 64 in flight."""

    def __init__(self, limiter: Limiter, answer_s: float = 0.002) -> None:
        self.limiter, self.answer_s, self.clock = limiter, answer_s, Clock()
        self.rate = AdaptiveRate(self.clock)
        self.passed = self.refused = 0
        self._events: list[tuple[float, int, float, bool]] = []
        self._order = count()

    def go_on(self, seconds: float) -> float:
        """Send for so long; what passed a second."""
        end_s, before = self.clock.now_s + seconds, self.passed
        while self.clock.now_s < end_s:
            self._hear()
            wait_s = self.rate.wait_s() if len(self._events) < 64 else 1.0
            if not wait_s:
                self._send()
            else:
                next_s = self._events[0][0] if self._events else end_s
                self.clock.now_s = min(self.clock.now_s + wait_s, max(next_s, self.clock.now_s))
        return (self.passed - before) / seconds

    def _send(self) -> None:
        self.rate.take()
        now, passes = self.clock.now_s, self.limiter(self.clock.now_s)
        done_s = now + (self.answer_s if passes else REFUSAL_S)
        heapq.heappush(self._events, (done_s, next(self._order), now, passes))

    def _hear(self) -> None:
        while self._events and self._events[0][0] <= self.clock.now_s:
            _, _, started_s, passed = heapq.heappop(self._events)
            if passed:
                self.passed += 1
                self.rate.passed(started_s)
            else:
                self.refused += 1
                self.rate.refused(started_s)


@pytest.mark.parametrize("answer_s", [0.002, 0.3, 2.0])
@pytest.mark.parametrize(
    ("limiter", "per_s"),
    [
        (lambda: leaky(20, 5), 20),
        (lambda: leaky(300, 20), 300),
        (lambda: leaky(1, 2), 1),
        (lambda: sliding(25, 1), 25),
        (lambda: sliding(50, 5), 10),
    ],
)
def test_a_limit_that_nobody_names_is_found_and_hardly_ever_run_into(
    limiter: Callable[[], Limiter], per_s: float, answer_s: float
):
    sender = Sender(limiter(), answer_s)
    sender.go_on(20)
    refused = sender.refused
    assert sender.go_on(60) >= 0.93 * min(per_s, 64 / answer_s)
    assert sender.refused - refused <= 15
    assert refused <= 64 + 20, "what went before the first refusal, and a little more"
    assert sender.rate.background.share == 0


def at_random(share: float, seed: int, others: Limiter = lambda now: True) -> Limiter:
    """A gateway that refuses a share of the requests at any rate; the others meet a limit."""
    chance = random.Random(seed)
    return lambda now: chance.random() >= share and others(now)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.4])
@pytest.mark.parametrize("answer_s", [0.1, 0.3])
def test_what_is_refused_at_any_rate_does_not_slow_it_down(share: float, answer_s: float):
    passed = 0.0
    for seed in range(4):
        sender = Sender(at_random(share, seed), answer_s)
        sender.go_on(15)
        least = sender.go_on(15) * answer_s / 64
        passed += sender.passed * answer_s / 64 / 30 / 4
        assert least >= 0.9
        assert sender.rate.background.share <= share + 0.1
    assert passed >= 0.7, "of what 64 in flight allow, the first seconds included"


def test_beside_it_a_limit_is_found_all_the_same():
    for seed in range(4):
        sender = Sender(at_random(0.1, seed, leaky(100, 5)), 0.1)
        sender.go_on(30)
        assert sender.go_on(30) >= 80
        assert sender.refused <= 0.35 * (sender.refused + sender.passed)


def test_where_it_ends_the_limit_is_hardly_run_into_again():
    limits = [at_random(0.25, 1)]
    sender = Sender(lambda now: limits[0](now), 0.3)
    sender.go_on(30)
    limits[0] = leaky(20, 5)
    sender.go_on(60)
    refused = sender.refused
    assert sender.go_on(60) >= 18
    assert sender.refused - refused <= 60
    assert sender.rate.background.share == 0


def test_a_burst_that_is_spent_is_not_taken_for_it_for_long():
    sender = Sender(leaky(20, 100), 2.0)
    sender.go_on(60)
    refused = sender.refused
    assert sender.go_on(60) >= 19
    assert sender.refused - refused <= 90


def test_there_is_no_limit_before_the_first_refusal():
    sender = Sender(lambda now: True)
    assert sender.go_on(1) > 5000
    assert sender.rate.per_s is None


def test_nor_while_there_are_few_and_for_a_moment_only():
    clock = Clock()
    rate = AdaptiveRate(clock)
    let_in(rate, clock, 30)
    for _ in range(3):
        refuse(rate, clock)
        clock.now_s += 0.2
    assert rate.per_s is None
    clock.now_s += 0.5
    refuse(rate, clock)
    assert rate.per_s is not None


def test_what_the_window_is_to_blame_for_spreads_requests_and_does_not_slow_them_down():
    clock = Clock()
    rate = AdaptiveRate(clock)
    let_in(rate, clock, 20)
    rate.take()
    assert rate.refused(clock.now_s, is_beyond=True) is Refusal.BORNE
    assert rate.per_s == pytest.approx(20, rel=0.1)
    clock.now_s += 0.5
    assert rate.wait_s() == 0
    assert rate.per_s == pytest.approx(40, rel=0.1)


def test_a_limit_that_was_lifted_is_noticed_soon():
    limits = [leaky(20, 5)]
    sender = Sender(lambda now: limits[0](now))
    sender.go_on(60)
    limits[0] = leaky(200, 5)
    sender.go_on(40)
    assert sender.go_on(20) >= 180


def test_one_that_was_lowered_too_and_few_are_refused():
    limits = [leaky(200, 5)]
    sender = Sender(lambda now: limits[0](now))
    sender.go_on(60)
    limits[0], refused = leaky(20, 5), sender.refused
    sender.go_on(5)
    assert sender.go_on(20) >= 18
    assert sender.refused - refused <= 60


def let_in(rate: AdaptiveRate, clock: Clock, n: int) -> None:
    for _ in range(n):
        rate.take()
        rate.passed(clock.now_s)


def refuse(rate: AdaptiveRate, clock: Clock) -> None:
    rate.take()
    rate.refused(clock.now_s)


def test_after_a_gap_in_which_all_was_refused_it_is_what_passed_from_gap_to_gap():
    clock = Clock()
    rate = AdaptiveRate(clock)
    for _ in range(2):
        let_in(rate, clock, 30)
        for _ in range(6):
            clock.now_s += 10
            refuse(rate, clock)
        clock.now_s += 0.1
    let_in(rate, clock, 1)
    assert rate.per_s == pytest.approx(0.5, rel=0.2)


def test_what_was_spent_before_the_first_answer_is_not_held_against_it():
    clock = Clock()
    rate = AdaptiveRate(clock)
    for _ in range(8):
        refuse(rate, clock)
        clock.now_s += 5
    sender_since_s = clock.now_s
    let_in(rate, clock, 1)
    while rate.wait_s():
        clock.now_s += 0.01
    assert clock.now_s - sender_since_s < 1


def test_after_an_outage_nothing_is_known():
    clock = Clock()
    rate = AdaptiveRate(clock)
    for _ in range(12):
        refuse(rate, clock)
    assert rate.per_s is not None
    clock.now_s += 60
    rate.forget()
    assert rate.per_s is None
    assert rate.wait_s() == 0
