"""What is refused at any rate, told from what a limit refuses: by trials at lower rates."""

from collections.abc import Callable

import pytest

from stepdistill.annotator.teacher.online.background_refusals import BackgroundRefusals

SHARE = 0.25
Shares = Callable[[float], float]  # requests a second -> the share that is refused


def tried(
    background: BackgroundRefusals, shares: Shares, rates: list[float], *, n: int = 40
) -> bool:
    """Whether it is found in trials of n requests at each of these rates, and one cut more."""
    now, found = 0.0, False
    for per_s in rates:
        found = found or background.cut(now, now + n / per_s)
        refused = round(n * shares(per_s))
        for i in range(n):
            background.sent(now)
            if i * refused // n < (i + 1) * refused // n:
                background.refused(now)
            now += 1 / per_s
    return found or background.cut(now, now + 1)


FALLING = [100 * 0.85**n for n in range(8)]


def test_where_as_many_are_refused_at_any_rate_they_are_the_background():
    background = BackgroundRefusals()
    assert tried(background, lambda _: SHARE, FALLING)
    assert SHARE <= background.share < 2 * SHARE


@pytest.mark.parametrize("per_s", [90, 60, 40, 10])
def test_where_a_limit_refuses_them_they_are_not(per_s: float):
    background = BackgroundRefusals()
    assert not tried(background, lambda rate: max(0.0, 1 - per_s / rate), FALLING)
    assert background.share == 0


def test_a_gap_in_which_none_gets_through_says_nothing():
    background = BackgroundRefusals()
    assert not tried(background, lambda rate: 1.0 if rate < 60 else 0.0, FALLING)


def test_a_limit_that_was_lowered_is_one_however_many_got_through_before():
    background = BackgroundRefusals()
    assert not tried(background, lambda _: 0.0, [200.0], n=800)
    assert not tried(background, lambda rate: max(0.0, 1 - 20 / rate), FALLING, n=4)


def test_once_it_is_known_more_than_that_is_noticed_and_no_less():
    background = BackgroundRefusals()
    assert tried(background, lambda _: SHARE, FALLING)
    usual: list[bool] = []
    for i in range(400):
        background.sent(100.0)
        if i % 4 == 0:
            usual.append(not background.refused(100.0))
    assert all(usual)
    assert any(background.refused(100.0) for _ in range(60))


def test_it_is_taken_back_where_fewer_are_refused():
    background = BackgroundRefusals()
    assert tried(background, lambda _: SHARE, FALLING)
    for _ in range(5000):
        background.sent(100.0)
    assert background.share == 0
    assert background.refused(100.0)
