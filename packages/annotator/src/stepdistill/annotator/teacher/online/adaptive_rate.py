"""Requests a second that a teacher lets through, found by its refusals where it names no limit.

There is no limit until a 429 or 503, and a second or a dozen more of them, so that it is known what
was let through. That is the rate then, and from there on it goes by a cubic curve (as TCP's CUBIC
does): a refusal takes a seventh off, once per episode; the rate comes back to where it was refused,
stays near it for a while, and then grows faster and faster. At first all of that takes a second, so
that a poor guess is soon mended; with every refusal it takes twice as long, up to ten seconds, so
that a known limit is seldom run into. The first guess is the poorest, for it may be no more than a
burst: it doubles until it is refused.

What is refused at any rate (`background_refusals.py`) is no reason for a lower one. Once that share
is known, only more than that is; now and then less is asked for, to see whether it is still so.

Limits by the minute let many through, then none until it is over. What was let through from the
end of one such gap to the end of the next is then the rate.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from enum import Enum, auto

from stepdistill.annotator.teacher.online.background_refusals import (
    ENOUGH,
    BackgroundRefusals,
)
from stepdistill.annotator.teacher.online.rate_limiter import TokenBucket

_BURST_S = 0.1
_CUT = 0.15  # what a refusal takes off
_AGAIN_CUT = 0.5  # of the rate, where nothing was let through since the last cut
_TRIED, _SOME = 10, 3  # requests since a cut that say whether it helped; refusals that do
_FIRST_RETURN_S, _LONGEST_RETURN_S = 0.5, 10.0
_GAP_S, _LONGEST_GAP_S = 2.0, 20.0
_OVER_S = 1.0  # what counts as lately
_OVERSHOT = 1.5  # the rate may be above what passed lately by so much: it grows meanwhile
_AHEAD = 1.5  # nor is it ever further ahead of that: else a wider window would go all at once
_LOOK_AGAIN_S = 0.1
_DOUBLED_S = 0.5  # a first guess doubles in as long, until it is refused
_LOWER = 0.4  # of the time of return: the rate is clearly lower than it was
_TRY_AFTER = 16  # times of return: is as much still refused at a lower rate?
_MANY = 12  # refusals that are not few


class Refusal(Enum):
    """What the rate makes of a refusal."""

    USUAL = auto()  # as many are refused at any rate
    FOUND = auto()  # likewise, and that is known since now
    BORNE = auto()  # it is no reason for a lower rate, or not yet
    CUT = auto()  # the rate is lower for it


class AdaptiveRate:
    """The rate at which requests may go; None until the teacher refuses some. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.background = BackgroundRefusals()
        self._try_at_s = self._try_after_s = 0.0
        self.forget()

    @property
    def per_s(self) -> float | None:
        """Requests a second, None for no limit."""
        per_minute = self._bucket.per_minute
        return None if per_minute is None else per_minute / 60

    def wait_s(self) -> float:
        """Seconds until a request may go; 0 if it may go now."""
        if self.per_s is None:
            return 0.0
        if self._clock() - self._slot_s >= _OVER_S:
            self._new_slot()
        self._bucket.resize(60 * self._curve())
        wait_s = self._bucket.wait_s(1)
        self._binds = self._binds or wait_s > 0
        return min(wait_s, _LOOK_AGAIN_S)  # it may have grown by then

    def _curve(self) -> float:
        """The rate as it is at this time after the last cut."""
        cut_s = self._clock() - self._low_at_s
        lately = self._sent_lately / (1 - self.background.share)
        if self._is_guess:
            doubled = 2 ** min(cut_s / _DOUBLED_S, 60)
            return min((1 - _CUT) * self._peak * doubled, max(self._peak, 4 * lately))
        past = (cut_s - self._return_s) / self._return_s
        curve = min(self._peak * (1 + _CUT * past**3), max(self._peak, _AHEAD * lately))
        # Less was only asked for to see whether as many are refused, and so it was.
        is_borne_out = self.background.share and cut_s >= _LOWER * self._return_s
        return max(curve, self._resume_per_s) if is_borne_out else curve

    def take(self) -> None:
        """A request goes now."""
        self._bucket.take(1)
        now = self._clock()
        self.background.sent(now)
        if len(self._first_s) < _TRIED:
            self._first_s.append(now)
        self._slot_sent += 1
        self._cycle_sent += 1

    def passed(self, started_s: float) -> None:
        """A request that was sent at started_s was let through."""
        if started_s - self._slot_s >= _OVER_S:
            self._new_slot()
        last_s, self._let_in_s = self._let_in_s, max(self._let_in_s, started_s)
        if not last_s <= self._refused_s < started_s:
            return
        if last_s == -math.inf:  # none was let in before: somebody else had spent it all
            self.forget()
            self._let_in_s = started_s
        elif started_s - last_s > _GAP_S:
            self._learn(started_s, started_s - last_s)

    def refused(self, started_s: float, *, is_beyond: bool = False) -> Refusal:
        """A request that was sent at started_s was not. is_beyond: more were in flight then than
        ever while one was let in, and that will be the reason."""
        self._refused_s = max(self._refused_s, started_s)
        self._slot_sent -= 1
        self._cycle_sent -= 1
        if is_beyond and not self.background.share:
            if self.per_s is None or self._is_guess:
                self._spread()
            return Refusal.BORNE
        if not self.background.refused(started_s):
            return Refusal.USUAL
        if is_beyond or started_s < self._cut_at_s:  # of the same episode
            return Refusal.BORNE
        now, rate = self._clock(), self.per_s
        self._n_refused += 1
        if self.background.share:
            self._try_less(now)
            return Refusal.CUT
        if self._may_be_few(now) if rate is None else self._is_too_soon(started_s):
            return Refusal.BORNE
        return self._lower(now, rate, self._n_refused == bisect_right(self._first_s, started_s))

    def _lower(self, now: float, rate: float | None, in_vain: bool) -> Refusal:
        """Cut the rate. in_vain: none was let in since the last cut."""
        self._is_guess = rate is None
        if rate is None:
            self._peak = max(1.0, self._sent_lately)
        elif in_vain:
            self._peak = rate * _AGAIN_CUT
        else:
            # Where something else was the limit, what was sent is what was too much.
            self._peak = min(rate, max(1.0, self._sent_lately * (_OVERSHOT if self._binds else 1)))
        # Where it was nearly there again the limit is known, and not just passed by far.
        if not in_vain and now - self._cut_at_s >= self._return_s / 2:
            self._return_s = min(2 * self._return_s, max(self._return_s, _LONGEST_RETURN_S))
        self._begin(now)
        if not self.background.cut(now, now + _LOWER * self._return_s):
            return Refusal.CUT
        # The cuts were in vain: back to where they began, and on from there.
        self._peak, self._is_guess = self.background.tried_per_s / (1 - _CUT), True
        self._return_s, self._try_at_s = _FIRST_RETURN_S, now + _TRY_AFTER * _FIRST_RETURN_S
        return Refusal.FOUND

    def _spread(self) -> None:
        """Let requests go one after another, as many a second as lately: of many that went at once
        nobody can tell whether their number was too much, or their rate."""
        self._peak, self._is_guess = max(1.0, self._sent_lately) / (1 - _CUT), True
        self._begin(self._clock())

    def _may_be_few(self, now: float) -> bool:
        """Before there is a rate: whether only few are refused, and for how long is not known."""
        self._first_refused_s = min(self._first_refused_s, now)
        return self._n_refused < _MANY and now - self._first_refused_s < _OVER_S

    def _try_less(self, now: float, resume_per_s: float = 0.0) -> None:
        """Let go as many as are let in: is as large a share of them refused? resume_per_s: the rate
        after that, if so."""
        self._peak = max(1.0, min(self.per_s or math.inf, self._sent_lately))
        long_enough_s = ENOUGH / (self._peak * (1 - _CUT) * _LOWER)
        self._return_s = min(max(_FIRST_RETURN_S, long_enough_s), _LONGEST_RETURN_S)
        self._try_after_s = min(2 * max(self._try_after_s, _TRY_AFTER * self._return_s), 600)
        self._try_at_s, self._is_guess = now + self._try_after_s, False
        self._begin(now)
        self._resume_per_s = resume_per_s
        self.background.cut(now, now + _LOWER * self._return_s)

    def _is_too_soon(self, started_s: float) -> bool:
        """Whether too few have gone since the last cut to say that it was too small: then the rate
        stays as low as it was then."""
        n = bisect_right(self._first_s, started_s)
        if self.background.share or n >= _TRIED or self._n_refused >= max(_SOME, n / 2):
            return False
        self._low_at_s = self._clock()
        self.background.go_on(self._low_at_s + _LOWER * self._return_s)
        return True

    def forget(self) -> None:
        """The teacher was down: nothing is known about how it is now."""
        now = self._clock()
        self._bucket = TokenBucket(None, self._clock, burst_s=_BURST_S)
        self._is_guess, self._first_refused_s, self._n_refused = False, math.inf, 0
        self._peak, self._return_s, self._cut_at_s = 0.0, _FIRST_RETURN_S, now
        self._low_at_s, self._resume_per_s, self._binds = now, 0.0, False
        self._first_s: list[float] = []  # when the first after a cut were sent
        self._slot_s, self._slot_sent, self._before = now, 0, 0.0
        self._cycle_s, self._cycle_sent = now, 0
        self._let_in_s = self._refused_s = -math.inf  # when the last of them was sent

    def _learn(self, started_s: float, gap_s: float) -> None:
        """What was let in since the last gap is what may be."""
        self._peak = max(1, self._cycle_sent) / (started_s - self._cycle_s)
        self._return_s = max(self._return_s, min(gap_s, _LONGEST_GAP_S))
        self._cycle_s, self._cycle_sent = started_s, 1
        self._begin(self._clock())
        self._low_at_s -= self._return_s  # it is at its peak

    def _begin(self, now: float) -> None:
        self._cut_at_s, self._low_at_s, self._resume_per_s = now, now, 0.0
        self._first_s, self._n_refused, self._binds = [], 0, False
        self._bucket.resize(60 * self._peak * (1 - _CUT))
        self._bucket.drain()

    def _new_slot(self) -> None:
        now = self._clock()
        self._before = self._slot_sent / (now - self._slot_s)
        self._slot_s, self._slot_sent = now, 0
        if self.background.share and self.per_s is not None and now >= self._try_at_s:
            self._try_less(now, self.per_s)

    @property
    def _sent_lately(self) -> float:
        """What was sent in a second, and not refused: in the slot before this one, or this one."""
        return max(self._before, self._slot_sent / _OVER_S)
