"""Requests a second that a teacher lets through, found by its refusals where it names no limit.

There is no limit until the first 429 or 503. Then it is what was let through lately, and from there
on it goes by a cubic curve (as TCP's CUBIC does): a refusal takes a seventh off, once per episode;
the rate comes back to where it was refused, stays near it for a while, and then grows faster and
faster. At first all of that takes a second, so that a poor guess is soon mended; with every refusal
it takes twice as long, up to ten seconds, so that a known limit is seldom run into.

Limits by the minute let many through, then none until it is over. What was let through from the
end of one such gap to the end of the next is then the rate.
"""

import math
from collections.abc import Callable

from stepdistill.annotator.teacher.online.rate_limiter import TokenBucket

_BURST_S = 0.1
_CUT = 0.15  # what a refusal takes off
_AGAIN_CUT = 0.5  # of the rate, where nothing was let through since the last cut
_FIRST_RETURN_S, _LONGEST_RETURN_S = 0.5, 10.0
_GAP_S, _LONGEST_GAP_S = 2.0, 20.0
_OVER_S = 1.0  # what counts as lately
_OVERSHOT = 1.5  # the rate may be above what passed lately by so much: it grows meanwhile
_AHEAD = 1.5  # nor is it ever further ahead of that: else a wider window would go all at once
_LOOK_AGAIN_S = 0.1


class AdaptiveRate:
    """The rate at which requests may go; None until the teacher refuses one. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
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
        past = (self._clock() - self._cut_at_s - self._return_s) / self._return_s
        curve, most = self._peak * (1 + _CUT * past**3), max(self._peak, _AHEAD * self._sent_lately)
        self._bucket.resize(60 * min(curve, most))
        wait_s = self._bucket.wait_s(1)
        self._binds = self._binds or wait_s > 0
        return min(wait_s, _LOOK_AGAIN_S)  # it may have grown by then

    def take(self) -> None:
        """A request goes now."""
        self._bucket.take(1)
        self._slot_sent += 1
        self._cycle_sent += 1

    def passed(self, started_s: float) -> None:
        """A request that was sent at started_s was let through."""
        self._since_cut += 1
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

    def refused(self, started_s: float) -> bool:
        """A request that was sent at started_s was not: whether the rate is lower for that."""
        self._refused_s = max(self._refused_s, started_s)
        self._slot_sent -= 1
        self._cycle_sent -= 1
        if started_s < self._cut_at_s:
            return False  # of the same episode
        now, rate = self._clock(), self.per_s
        if rate is None:
            self._peak = max(1.0, self._sent_lately)
        elif not self._since_cut:
            self._peak = rate * _AGAIN_CUT
        else:
            # Where something else was the limit, what was sent is what was too much.
            self._peak = min(rate, max(1.0, self._sent_lately * (_OVERSHOT if self._binds else 1)))
        # Where it was nearly there again the limit is known, and not just passed by far.
        if self._since_cut and now - self._cut_at_s >= self._return_s / 2:
            self._return_s = min(2 * self._return_s, max(self._return_s, _LONGEST_RETURN_S))
        self._begin(now)
        return True

    def forget(self) -> None:
        """The teacher was down: nothing is known about how it is now."""
        now = self._clock()
        self._bucket = TokenBucket(None, self._clock, burst_s=_BURST_S)
        self._peak, self._return_s, self._cut_at_s = 0.0, _FIRST_RETURN_S, now
        self._since_cut, self._binds = 0, False
        self._slot_s, self._slot_sent, self._before = now, 0, 0.0
        self._cycle_s, self._cycle_sent = now, 0
        self._let_in_s = self._refused_s = -math.inf  # when the last of them was sent

    def _learn(self, started_s: float, gap_s: float) -> None:
        """What was let in since the last gap is what may be."""
        self._peak = max(1, self._cycle_sent) / (started_s - self._cycle_s)
        self._return_s = max(self._return_s, min(gap_s, _LONGEST_GAP_S))
        self._cycle_s, self._cycle_sent = started_s, 1
        self._begin(self._clock())
        self._cut_at_s -= self._return_s  # it is at its peak

    def _begin(self, now: float) -> None:
        self._cut_at_s, self._since_cut, self._binds = now, 0, False
        self._bucket.resize(60 * self._peak * (1 - _CUT))
        self._bucket.drain()

    def _new_slot(self) -> None:
        now = self._clock()
        self._before = self._slot_sent / (now - self._slot_s)
        self._slot_s, self._slot_sent = now, 0

    @property
    def _sent_lately(self) -> float:
        """What was sent in a second, and not refused: in the slot before this one, or this one."""
        return max(self._before, self._slot_sent / _OVER_S)
