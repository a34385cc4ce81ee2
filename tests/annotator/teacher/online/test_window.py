"""The window on a stepped clock: it opens quickly and yields to 429s once an episode."""

from stepdistill.annotator.teacher.online.window import ConcurrencyWindow
from tests.annotator.teacher.online.test_rate_limiter import Clock


def opened(ceiling: int, clock: Clock) -> ConcurrencyWindow:
    """A window whose first request has its answer."""
    window = ConcurrencyWindow(ceiling, clock)
    window.answered(clock.now_s, was_full=False)
    return window


def answers(window: ConcurrencyWindow, clock: Clock, n: int, latency_s: float = 1.0) -> None:
    """n good answers while the window is full."""
    for _ in range(n):
        started_s = clock.now_s
        clock.now_s += latency_s / window.level
        window.answered(started_s - latency_s, was_full=True)


def test_the_first_request_goes_alone_until_its_answer_comes():
    clock = Clock()
    window = ConcurrencyWindow(512, clock)
    assert window.level == 1
    window.answered(clock.now_s, was_full=True)
    assert window.level == 64


def test_nobody_waits_long_for_the_first_answer():
    clock = Clock()
    window = ConcurrencyWindow(512, clock)
    window.refused(clock.now_s)
    assert window.level == 1, "a refusal of the first says nothing about how many may go"
    clock.now_s += 2
    assert window.level == 64


def test_slow_start_begins_where_it_is_told():
    clock = Clock()
    window = ConcurrencyWindow(512, clock, first=256)
    assert window.level == 256
    answers(window, clock, 256)
    assert window.level == 512


def test_after_an_outage_slow_start_begins_anew():
    clock = Clock()
    window = opened(512, clock)
    answers(window, clock, 64 + 128 + 256)
    window.reopen()
    assert window.level == 64
    answers(window, clock, 64)
    assert window.level == 128


def test_slow_start_doubles_to_the_ceiling():
    clock = Clock()
    window = opened(512, clock)
    answers(window, clock, 64 + 128 + 256)
    assert window.level == 512
    answers(window, clock, 5000)
    assert window.level == 512


def test_a_ceiling_below_the_start_is_kept():
    assert opened(1, Clock()).level == 1


def test_a_429_takes_a_fifth_once_per_episode():
    clock = Clock()
    window = opened(1024, clock)
    answers(window, clock, 64)
    sent_s = clock.now_s
    clock.now_s += 1
    for _ in range(50):
        window.refused(sent_s)
    assert window.level == int(128 * 0.8)
    clock.now_s += 1
    window.refused(clock.now_s - 0.5)
    assert window.level == int(128 * 0.8 * 0.8)


def test_after_a_429_it_grows_by_little():
    clock = Clock()
    window = opened(1024, clock)
    window.refused(clock.now_s)
    level = window.level
    clock.now_s += 1
    answers(window, clock, 10 * level)
    assert level < window.level <= level + 12


def test_it_never_falls_below_one():
    clock = Clock()
    window = opened(64, clock)
    for _ in range(100):
        clock.now_s += 1
        window.refused(clock.now_s)
    assert window.level == 1


def test_it_does_not_grow_while_it_is_not_full():
    clock = Clock()
    window = opened(1024, clock)
    for _ in range(1000):
        window.answered(clock.now_s - 1, was_full=False)
    assert window.level == 64


def test_a_5xx_pauses_growth_without_cutting():
    clock = Clock()
    window = opened(1024, clock)
    window.faltered()
    answers(window, clock, 64, latency_s=1)
    assert window.level == 64
    clock.now_s += 6
    answers(window, clock, 64)
    assert window.level == 128


def test_slow_start_ends_where_width_only_makes_answers_slower():
    clock = Clock()
    window = opened(1024, clock)
    for _ in range(3000):
        # A teacher that serves 50 a second, however many wait.
        answers(window, clock, 1, latency_s=window.level / 50)
    assert window.level < 200


def test_slow_down_allows_half_as_much_again_in_15_minutes():
    clock = Clock()
    window = opened(1024, clock)
    answers(window, clock, 64)
    window.refused(clock.now_s, slow_down=True)
    level = window.level
    began_s = clock.now_s
    while clock.now_s < began_s + 900:
        answers(window, clock, 1)
    assert window.level <= level * 1.5
    assert window.level > level * 1.2
