"""How many requests to keep in flight: found by itself, from what the teacher does.

Unless it is told where to begin, the first request goes alone: it hears the teacher's limits, and
whether anybody is there. Slow start then doubles the window with every round of good answers; the
first 429 ends it, and from then on a round adds a little. A 429 takes a fifth off, once per
episode: those of requests sent before the last cut say nothing new. 5xx and time-outs pause growth
without cutting. The window grows only while it is full, and not while a wider window only made
answers slower.
"""

import math
from collections.abc import Callable

_FIRST = 64
# However long the first answer takes, the others do not wait longer than this for it.
FIRST_PROBE_S = 2.0
_CUT = 0.8  # what a 429 leaves of the window
_PAUSE_S = 5.0  # without growth after a 5xx
_SLOW_DOWN_S = 15 * 60.0
_SLOW_DOWN_GROWTH = 1.5
# Where an answer takes longer by what the window gained in width, width gains nothing.
_USELESS = 0.9


class ConcurrencyWindow:
    """How many requests may be in flight, at most `ceiling`. clock: seconds, monotonic. first:
    where slow start begins; None: with one first probe, and at 64 once that has its answer."""

    def __init__(self, ceiling: int, clock: Callable[[], float], first: int | None = None) -> None:
        self._ceiling, self._first = ceiling, min(first or _FIRST, ceiling)
        self._clock = clock
        self._level = float(self._first)
        self._probe_until_s = clock() + FIRST_PROBE_S if first is None else 0.0
        self._slow_start = True
        self._cut_at_s = -math.inf
        self._paused_until_s = -math.inf
        self._slow_from: tuple[float, float] | None = None  # when `slow_down` came, the level
        self._last_round: tuple[float, float] | None = None  # its level, its mean latency
        self._new_round()

    @property
    def level(self) -> int:
        """Requests that may be in flight now."""
        return 1 if self._is_probing() else max(1, int(self._level))

    def answered(self, started_s: float, *, was_full: bool) -> None:
        """A good answer came to a request that was sent at started_s."""
        self._probe_until_s = 0.0
        now = self._clock()
        self._round_latency_s += now - started_s
        self._round_answers += 1
        if not was_full or self._level >= self._ceiling or now < self._paused_until_s:
            return
        self._round_left -= 1
        if self._round_left <= 0:
            self._end_round(now)

    def refused(self, started_s: float, *, slow_down: bool = False) -> None:
        """A 429 came to a request that was sent at started_s."""
        if started_s < self._cut_at_s or self._is_probing():
            return  # of the same episode; or the probe's, which says nothing about how many may go
        now = self._clock()
        self._slow_start = False
        self._cut_at_s = now
        self._level = max(1.0, self._level * _CUT)
        if slow_down:
            self._slow_from = (now, self._level)
        self._new_round()

    def faltered(self) -> None:
        """A 5xx, a lost connection or a time-out: not the window's fault, but no time to grow."""
        self._paused_until_s = self._clock() + _PAUSE_S

    def reopen(self) -> None:
        """The teacher is back after an outage: it gets the many by and by."""
        self._level = min(self._level, float(self._first))
        self._slow_start = self._slow_from is None
        self._paused_until_s, self._last_round = -math.inf, None
        self._new_round()

    def _is_probing(self) -> bool:
        return self._probe_until_s > 0 and self._clock() < self._probe_until_s

    def _end_round(self, now: float) -> None:
        latency_s = self._round_latency_s / self._round_answers
        if self._last_round is not None and self._slow_start:
            level, before_s = self._last_round
            wider, slower = self._level / level, latency_s / max(before_s, 1e-9)
            # Twice the width at twice the latency is the same rate: the teacher is saturated.
            if wider > 1 and slower > _USELESS * wider and latency_s > 0.05:
                self._slow_start = False
        self._last_round = (self._level, latency_s)
        grown = self._level * 2 if self._slow_start else self._level + max(1.0, self._level * 0.02)
        self._level = min(grown, self._ceiling, self._allowed_after_slow_down(now))
        self._new_round()

    def _allowed_after_slow_down(self, now: float) -> float:
        """`slow_down` wants growth of at most a half per 15 minutes from where it came."""
        if self._slow_from is None:
            return math.inf
        at_s, level = self._slow_from
        return level * _SLOW_DOWN_GROWTH ** ((now - at_s) / _SLOW_DOWN_S)

    def _new_round(self) -> None:
        self._round_left = self._level
        self._round_latency_s = 0.0
        self._round_answers = 0
