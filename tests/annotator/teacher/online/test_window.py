"""The window on a stepped clock, before servers of several kinds that answer when they would."""

import heapq
from collections.abc import Callable
from itertools import count

import pytest

from stepdistill.annotator.teacher.online.window import ConcurrencyWindow
from tests.annotator.teacher.online.test_rate_limiter import Clock

Server = Callable[[float], float | None]  # the time -> how long an answer takes, None: refused
_REFUSAL_S = 0.001


def slots(n: int, answer_s: float) -> Server:
    """A server that works on n requests together, in order; it works off what was given up."""
    free_s = [0.0] * n

    def answer(now: float) -> float:
        done_s = max(heapq.heappop(free_s), now) + answer_s
        heapq.heappush(free_s, done_s)
        return done_s - now

    return answer


def at_most(n: int, answer_s: float) -> Server:
    """A server that lets n in together, and refuses the next."""
    busy_until_s: list[float] = []

    def answer(now: float) -> float | None:
        busy_until_s[:] = [at_s for at_s in busy_until_s if at_s > now + 1e-9]
        if len(busy_until_s) >= n:
            return None
        busy_until_s.append(now + answer_s)
        return answer_s

    return answer


class Crowd:
    """As many requests as the window allows, for ever."""

    def __init__(self, server: Server, window: ConcurrencyWindow, clock: Clock, timeout_s: float):
        self.server, self.window, self.clock, self.timeout_s = server, window, clock, timeout_s
        self.answered = self.refused = self.late = self.most = 0
        self._events: list[tuple[float, int, float, int, str]] = []
        self._order = count()

    def go_on(self, seconds: float) -> float:
        """Ask for so long; the answers a second."""
        end_s, before = self.clock.now_s + seconds, self.answered
        self._send()
        while self._events and self._events[0][0] <= end_s:
            self.clock.now_s, _, started_s, in_flight, what = heapq.heappop(self._events)
            if what == "answered":
                was_full = len(self._events) + 1 >= self.window.level
                self.answered += 1
                self.window.answered(started_s, in_flight, was_full=was_full)
            elif what == "refused":
                self.refused += 1
                self.window.not_let_in(in_flight)
                self.window.refused(started_s, in_flight)
            else:
                self.late += 1
                self.window.late(started_s)
            self._send()
        self.clock.now_s = end_s
        return (self.answered - before) / seconds

    def _send(self) -> None:
        while len(self._events) < self.window.level:
            now, in_flight = self.clock.now_s, len(self._events) + 1
            self.most = max(self.most, in_flight)
            seconds = self.server(now)
            what = "answered" if seconds is not None else "refused"
            seconds = _REFUSAL_S if seconds is None else seconds
            if seconds > self.timeout_s:
                what, seconds = "late", self.timeout_s
            event = (now + seconds, next(self._order), now, in_flight, what)
            heapq.heappush(self._events, event)


def a_crowd(
    server: Server, *, ceiling: int = 1024, first: int | None = None, timeout_s: float = 120.0
) -> Crowd:
    clock = Clock()
    window = ConcurrencyWindow(ceiling, clock, timeout_s=timeout_s, first=first)
    return Crowd(server, window, clock, timeout_s)


def opened(clock: Clock, ceiling: int = 1024, *, first: int | None = None) -> ConcurrencyWindow:
    """A window whose first request has its answer."""
    window = ConcurrencyWindow(ceiling, clock, first=first)
    window.answered(clock.now_s - 0.1, 1, was_full=True)
    return window


def test_the_first_request_goes_alone_and_then_eight():
    crowd = a_crowd(slots(10_000, 0.3))
    assert crowd.window.level == 1
    crowd.go_on(0.3)
    assert (crowd.answered, crowd.window.level) == (1, 8)


def test_where_the_teacher_names_limits_64():
    clock = Clock()
    window = ConcurrencyWindow(512, clock)
    window.limits_named()
    assert window.level == 1
    window.answered(clock.now_s, 1, was_full=True)
    assert window.level == 64


def test_where_the_first_answer_took_long_four_for_there_may_be_one_slot():
    clock = Clock()
    window = ConcurrencyWindow(512, clock, timeout_s=60)
    clock.now_s += 12
    window.answered(clock.now_s - 12, 1, was_full=True)
    assert window.level == 4


def test_nobody_waits_long_for_the_first_answer():
    clock = Clock()
    window = ConcurrencyWindow(512, clock)
    clock.now_s += 2
    assert window.level == 4


@pytest.mark.parametrize("fail", ["refused", "late", "faltered"])
def test_but_where_the_first_request_failed_the_others_wait_for_an_answer(fail: str):
    clock = Clock()
    window = ConcurrencyWindow(512, clock, first=256)
    if fail == "refused":
        window.refused(clock.now_s, 1)
    elif fail == "late":
        window.late(clock.now_s)
    else:
        window.faltered()
    clock.now_s += 3600
    assert window.level == 1
    window.answered(clock.now_s, 1, was_full=True)
    assert window.level == 256


def test_a_person_s_number_begins_at_once_and_is_never_passed():
    crowd = a_crowd(slots(10_000, 0.3), ceiling=256, first=128)
    crowd.clock.now_s += 0.1
    assert crowd.window.level == 128
    crowd.go_on(2)
    assert (crowd.window.level, crowd.most) == (256, 256)
    assert a_crowd(slots(1, 1), ceiling=1).window.level == 1


def test_before_a_wide_server_it_doubles_with_every_round():
    crowd = a_crowd(slots(10_000, 0.3))
    crowd.go_on(0.3 * 9)
    assert crowd.window.level == 1024


@pytest.mark.parametrize(
    ("n", "answer_s", "timeout_s"), [(2, 0.4, 6), (2, 1, 20), (1, 1, 6), (2, 6, 120)]
)
def test_a_few_slots_are_kept_busy_and_nothing_comes_late(
    n: int, answer_s: float, timeout_s: float
):
    crowd = a_crowd(slots(n, answer_s), timeout_s=timeout_s)
    assert crowd.go_on(120 * answer_s) >= 0.97 * n / answer_s
    assert crowd.late == 0
    assert crowd.most * answer_s / n <= 0.7 * timeout_s


def test_nor_does_a_person_s_number_flood_them():
    crowd = a_crowd(slots(2, 1), ceiling=64, first=32, timeout_s=20)
    assert crowd.go_on(120) >= 0.95 * 2
    assert crowd.late == 0


def test_of_many_slots_all_are_found():
    crowd = a_crowd(slots(40, 1))
    crowd.go_on(20)
    assert crowd.go_on(60) >= 0.97 * 40
    assert crowd.window.level <= 160


def test_answers_that_come_too_late_halve_it_once_per_episode():
    clock = Clock()
    window = opened(clock, first=64)
    clock.now_s += 10
    for _ in range(30):
        window.late(clock.now_s - 5)
    assert window.level == 32
    clock.now_s += 10
    window.late(clock.now_s - 15)
    assert window.level == 32, "sent before it was halved"
    window.late(clock.now_s - 5)
    assert window.level == 16


def test_it_never_falls_below_one():
    clock = Clock()
    window = opened(clock)
    for _ in range(20):
        clock.now_s += 1
        window.late(clock.now_s)
        window.refused(clock.now_s, 1)
    assert window.level == 1


def test_of_those_let_in_together_the_number_is_found_and_hardly_any_is_refused():
    crowd = a_crowd(at_most(5, 0.5))
    assert crowd.go_on(120) >= 0.97 * 10
    assert crowd.refused <= 30
    assert crowd.window.level in (5, 6)


def test_a_refusal_with_as_many_as_others_were_let_in_with_is_not_the_window_s():
    clock = Clock()
    window = opened(clock, first=64)
    window.answered(clock.now_s, 40, was_full=False)
    window.refused(clock.now_s, 40)
    assert window.level == 64
    window.refused(clock.now_s, 50)
    assert window.level == 49


def test_that_one_more_was_let_in_by_chance_is_no_proof_that_they_always_are():
    clock = Clock()
    window = opened(clock)
    for _ in range(9):
        window.answered(clock.now_s, 4, was_full=False)
    window.answered(clock.now_s, 5, was_full=False)
    window.not_let_in(5)
    assert window.is_beyond(clock.now_s, 5)
    window.refused(clock.now_s, 5)
    assert window.level == 4
    for _ in range(9):  # what is always let in is another matter
        window.answered(clock.now_s, 5, was_full=False)
    window.not_let_in(5)
    assert not window.is_beyond(clock.now_s, 5)


def test_nor_are_two_of_many_that_came_in_another_order_than_they_were_sent():
    clock = Clock()
    window = opened(clock)
    for n in range(1, 257):
        window.answered(clock.now_s, n, was_full=False)
    for n in range(257, 401):  # 144 more went at once, and all but the last two were refused
        window.not_let_in(n) if n < 399 else window.answered(clock.now_s, n, was_full=False)
    assert window.is_beyond(clock.now_s, 257) and not window.is_beyond(clock.now_s, 256)


def sent_at_once(window: ConcurrencyWindow) -> int:
    for n in range(1000):
        if window.wait_s():
            return n
        window.sent()
    return 1000


def test_what_a_wide_window_lets_go_goes_over_half_the_time_of_an_answer():
    clock = Clock()
    window = opened(clock)  # whose answer took 0.1 s
    assert sent_at_once(window) == 3
    n = 3
    for _ in range(10):
        clock.now_s += 0.005
        n += sent_at_once(window)
    assert window.level <= n <= window.level + 3
    clock.now_s += 1
    assert sent_at_once(window) == 3


@pytest.mark.parametrize("named", [True, False])
def test_but_all_at_once_where_a_limit_or_a_person_says_how_many(named: bool):
    clock = Clock()
    window = opened(clock, first=None if named else 256)
    if named:
        window.limits_named()
    assert sent_at_once(window) == 1000


def test_it_does_not_grow_while_it_is_not_full():
    clock = Clock()
    window = opened(clock)
    for _ in range(1000):
        window.answered(clock.now_s, 3, was_full=False)
    assert window.level == 8


def test_a_5xx_pauses_growth_without_cutting():
    crowd = a_crowd(slots(10_000, 0.3))
    crowd.go_on(0.4)
    crowd.window.faltered()
    crowd.go_on(4.5)
    assert crowd.window.level == 8
    crowd.go_on(2)
    assert crowd.window.level > 8


def test_but_where_they_come_at_any_time_it_grows_all_the_same():
    crowd = a_crowd(slots(10_000, 0.3))
    for _ in range(40):
        crowd.go_on(0.5)
        crowd.window.faltered()
    assert crowd.window.level == 1024


def test_where_a_wider_window_has_more_of_them_it_stays_as_it_was():
    crowd = a_crowd(slots(10_000, 0.3))
    for _ in range(400):
        crowd.go_on(0.1)
        for _ in range(max(0, crowd.window.level - 64) // 4):
            crowd.window.faltered()
    assert 32 <= crowd.window.level <= 160


def test_after_an_outage_growth_begins_anew():
    crowd = a_crowd(slots(10_000, 0.3))
    crowd.go_on(5)
    crowd.window.reopen()
    assert crowd.window.level == 8
    crowd.go_on(1)
    assert crowd.window.level >= 16


def test_slow_down_allows_half_as_much_again_in_15_minutes():
    crowd = a_crowd(slots(10_000, 1), first=128)
    crowd.go_on(1)
    level = crowd.window.level
    crowd.window.refused(crowd.clock.now_s, 1, slow_down=True)
    crowd.go_on(900)
    assert 1.2 * level < crowd.window.level <= 1.5 * level
