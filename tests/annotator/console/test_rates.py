"""What a run says of its rates, on a stepped clock."""

import pytest

from stepdistill.annotator.console.rates import ProgressRates, duration, short
from stepdistill.annotator.teacher.progress import Pause, Progress
from tests.annotator.made import an_answer
from tests.annotator.teacher.online.test_rate_limiter import Clock


def a_minute_of(progress: Progress, clock: Clock, rates: ProgressRates, *, per_s: int) -> None:
    """Requests of 100 tokens, each counted as 150 toward the limit."""
    for _ in range(60):
        clock.now_s += 1
        for _ in range(per_s):
            progress.sent += 1
            progress.sent_tokens += 150
            progress.count(an_answer(usage=an_answer().usage._replace(prompt=80, completion=20)))
        rates.look()


def test_rates_stand_beside_their_limits():
    clock, progress = Clock(), Progress(total=1_000, in_flight=12)
    progress.requests_limit, progress.tokens_limit = 600.0, 100_000.0
    rates = ProgressRates(progress, lambda progress: None, clock)
    a_minute_of(progress, clock, rates, per_s=10)
    assert rates.speed() == [
        "10 answers/s",
        "600 of 600 requests/min",
        "90k of 100k tokens/min",
        "12 in flight",
    ]
    assert rates.left() == ["40 s left"]


def test_without_limits_there_are_rates_alone():
    clock, progress = Clock(), Progress()
    rates = ProgressRates(progress, lambda progress: None, clock)
    a_minute_of(progress, clock, rates, per_s=20)
    assert rates.speed() == ["20 answers/s", "120k tokens/min", "0 in flight"]
    assert rates.left() == [] == rates.money()
    assert rates.line().startswith("1,200 requests, 20 answers/s")


def test_it_forgets_how_fast_it_was_half_a_minute_ago():
    clock, progress = Clock(), Progress()
    rates = ProgressRates(progress, lambda progress: None, clock)
    a_minute_of(progress, clock, rates, per_s=50)
    a_minute_of(progress, clock, rates, per_s=2)
    assert rates.speed()[0] == "2 answers/s"


def test_what_is_sent_in_vain_is_no_speed():
    """Of one request in two seconds, tried again over and over."""
    clock, progress = Clock(), Progress(total=30)
    rates = ProgressRates(progress, lambda progress: None, clock)
    for second in range(60):
        clock.now_s += 1
        progress.sent += 40
        if second % 2:
            progress.count(an_answer())
        rates.look()
    assert rates.speed()[0] == "30 answers/min"


def test_money_is_what_was_spent_and_what_all_will_cost():
    progress = Progress(total=400, asked=100, cached=100)
    rates = ProgressRates(progress, lambda progress: 0.5, Clock())
    assert rates.money() == ["0.5000 USD of about 1.5000"]
    progress.total = None
    assert rates.money() == ["0.5000 USD"]


def test_outcomes_name_every_cause_of_another_try():
    progress = Progress(cached=1_234, failed=2)
    progress.retry("RateLimited")
    progress.retry("ConnectionLost")
    progress.retry("RateLimited")
    told = ProgressRates(progress, lambda progress: None, Clock()).outcomes()
    assert told == [
        "1,234 stored before",
        "2 failed",
        "tried again: 1 x ConnectionLost, 2 x RateLimited",
    ]


def test_a_pause_says_why_and_for_how_long():
    clock, progress = Clock(), Progress()
    rates = ProgressRates(progress, lambda progress: None, clock)
    assert rates.trouble() == []
    progress.pause = Pause(seconds=8.0, probes=2, cause="503 overloaded")
    rates.look()
    clock.now_s += 3
    rates.look()
    (line,) = rates.trouble()
    assert line == "PAUSED: the teacher fails (503 overloaded): one probe in 5 s, 2 in vain"
    clock.now_s += 6
    assert "one probe is on its way" in rates.trouble()[0]
    progress.pause = None
    rates.look()
    assert rates.trouble() == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (9_999, "9,999"), (10_000, "10k"), (58_249, "58.2k"), (3e7, "30M")],
)
def test_numbers_are_short(number: float, text: str):
    assert short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (8.4, "8 s"), (750, "12 min 30 s"), (11_100, "3 h 05 min")]
)
def test_times_are_written_as_people_say_them(seconds: float, text: str):
    assert duration(seconds) == text
