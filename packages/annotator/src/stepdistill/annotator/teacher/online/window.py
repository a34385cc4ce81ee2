"""How many requests to keep in flight: found by itself, from what the teacher does.

Until the first answer one request at a time is enough: it hears the teacher's limits, and whether
anybody is there. Where that answer names limits the window begins at 64, else at 4 to 8, for there
may be two slots behind it. Each round of answers then tries a wider window, twice as wide at first,
and what comes of the trial decides:

    more answers a second       it is kept, and the next is tried
    as many, only later         back to where it was: the server was busy before
    refused (429, 503)          as many as others were let in with, one less than were too many
    too late (a time-out, 504)  half as many, once per episode
    a 5xx, a lost connection    no growth for a moment; where they go on, only a window that has
                                clearly more of them was tried in vain

What a wider window lets go does not go all at once, but over half the time of an answer: a limiter
of requests a second would take it for too many, whatever their number in flight.

After a trial in vain the steps are smaller, and in time twice as many rounds pass before each. No
window is tried in which an answer would wait for longer than half the time-out. The window grows
only while it is full; answers to what was sent before it changed say nothing about it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

_NAMED_FIRST = 64  # with a teacher that names its limits: many share it
_FIRST, _FEWEST_FIRST = 8, 4  # else
# However long the first answer takes, the others do not wait longer than this for it; less where a
# person has named a number, but long enough to hear that nobody is there.
_PROBE_S, _NAMED_PROBE_S = 2.0, 0.1
_STEP, _LEAST_STEP = 2.0, 1.25
_MOST_PATIENCE = 32  # rounds
_GAIN = 0.15  # the least share of what a wider window could bring that it has to bring
_REMEMBERED = 4  # requests of each number in flight
_SHORT_S = 0.05  # answers as quick as this say nothing about queues
_PACE, _AT_ONCE = 2.0, 3.0  # windows in the time of an answer; requests that go together, at least
_AT_ONCE_SHARE = 1 / 8  # of the window
_QUEUED = 1.5  # times as long as the quickest round: answers wait for each other
_PAUSE_S = 5.0  # without growth after a 5xx, and then at least as long with it
_MORE = 0.2  # of all replies are 5xx in a wider window: that is for it being wider
_SLOW_DOWN_S = 15 * 60.0
_SLOW_DOWN_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class _Round:
    """A window's answers, on average: how many were in flight when each was asked for, and how long
    it took."""

    level: float
    in_flight: float
    latency_s: float


class ConcurrencyWindow:
    """How many requests may be in flight, at most `ceiling`. clock: seconds, monotonic. timeout_s:
    for one answer. first: where growth begins, None: found by the first answer."""

    def __init__(
        self,
        ceiling: int,
        clock: Callable[[], float],
        *,
        timeout_s: float = 120.0,
        first: int | None = None,
    ) -> None:
        self._ceiling, self._clock, self._half_s = ceiling, clock, timeout_s / 2
        self._is_told = first is not None
        self._is_paced, self._due_s = first is None, 0.0  # when the last sent would have gone
        self._first = self._level = float(min(first or _FEWEST_FIRST, ceiling))
        self.probe_s = _NAMED_PROBE_S if self._is_told else _PROBE_S  # at the longest
        self._alone_until_s = clock() + self.probe_s  # inf: until the first answer
        self._is_open = False  # by an answer
        # By how many were in flight: requests let in less those refused, as far as is remembered.
        self._let_in: dict[int, int] = {}
        self._quickest_s = math.inf  # a round's answers, or the first one
        self._answered_from_s = -math.inf  # when the last that was answered was sent
        self._cut_at_s = self._paused_until_s = -math.inf
        self._slow_from: tuple[float, float] | None = None  # when `slow_down` came, the level
        self._begin_anew()

    @property
    def level(self) -> int:
        """Requests that may be in flight now."""
        if not self._is_open and self._clock() < self._alone_until_s:
            return 1
        return max(1, int(self._level))

    def wait_s(self) -> float:
        """Seconds until another may go, so that few go at once."""
        if not self._is_paced or not _SHORT_S < self._quickest_s < math.inf:
            return 0.0
        ahead_s = self._due_s - self._clock()
        at_once = max(_AT_ONCE, self._level * _AT_ONCE_SHARE)
        wait_s = ahead_s - (at_once - 1) * self._gap_s
        return wait_s if wait_s > 1e-6 else 0.0  # less is the float's own error

    def sent(self) -> None:
        """A request goes now."""
        if self._is_paced and self._quickest_s < math.inf:
            self._due_s = max(self._due_s, self._clock()) + self._gap_s

    def limits_named(self) -> None:
        """The teacher has named its limits."""
        self._is_paced = False  # by the limits
        if not self._is_told:
            self._first = float(min(_NAMED_FIRST, self._ceiling))
            if self._is_open:
                self._level = max(self._level, self._first)

    def answered(self, started_s: float, in_flight: int, *, was_full: bool) -> None:
        """A good answer came to a request that was sent at started_s, as the last of in_flight."""
        now = self._clock()
        if not self._is_open:
            return self._open(now - started_s)
        self._let_in[in_flight] = min(self._let_in.get(in_flight, 0) + 1, _REMEMBERED)
        self._answered_from_s = max(self._answered_from_s, started_s)
        if not was_full or started_s < self._round_from_s or now < self._paused_until_s:
            return None
        self._round_latency_s += now - started_s
        self._round_in_flight += in_flight
        self._round_answers += 1
        if self._round_answers >= max(self._level / 2, min(self._level, _FIRST)):
            self._end_round(now)
        return None

    def not_let_in(self, in_flight: int) -> None:
        """A request was refused that was sent as the last of in_flight; why is not known yet."""
        self._let_in[in_flight] = max(self._let_in.get(in_flight, 0) - 1, -_REMEMBERED)

    def is_beyond(self, started_s: float, in_flight: int) -> bool:
        """Whether a refused request was one too many: with as many in flight others are refused
        too, and with fewer they are let in. Not once more where none was answered since the last
        cut: then it was in vain."""
        has_helped = self._answered_from_s >= self._cut_at_s or started_s < self._cut_at_s
        return in_flight > self._borne > 0 and has_helped

    @property
    def _borne(self) -> int:
        """The most in flight with which requests are let in: the number that best parts these from
        the refused ones. One let in with more says little, for it may have come before another that
        was sent earlier, or when one that we count in flight had left the server."""
        borne = most = let_in = 0
        for n in sorted(self._let_in):
            let_in += self._let_in[n]
            if let_in > most:
                borne, most = n, let_in
        return borne

    def grow_anew(self) -> None:
        """What was refused was not for what is in flight: it may grow from here as at first."""
        self._begin_anew()

    def refused(self, started_s: float, in_flight: int, *, slow_down: bool = False) -> None:
        """A 429 or 503 came to a request that was sent at started_s, as the last of in_flight."""
        if not self._is_open:
            return self._stay_alone()
        if slow_down and started_s >= self._cut_at_s:
            self._slow_from = (self._clock(), self._level)
        # Others were let in with as many: that it was refused is the rate's doing.
        if in_flight > self._borne and in_flight <= self._level:
            self._cut(started_s, max(self._borne, in_flight - 1), is_known=self._borne > 0)
        return None

    def late(self, started_s: float) -> None:
        """No answer came in time to a request that was sent at started_s."""
        if not self._is_open:
            return self._stay_alone()
        if started_s >= self._cut_at_s:  # else of the same episode
            self._let_in.clear()
            self._cut(started_s, self._level / 2)
        return None

    def faltered(self) -> None:
        """A 5xx, a lost connection: not the window's fault, but no time to grow."""
        if not self._is_open:
            return self._stay_alone()
        now = self._clock()
        if now >= self._paused_until_s + _PAUSE_S:
            self._paused_until_s = now + _PAUSE_S
        elif now >= self._paused_until_s:
            self._round_faltered += 1
        return None

    def reopen(self) -> None:
        """The teacher is back after an outage: it gets the many by and by."""
        self._level = min(self._level, self._first)
        self._paused_until_s = -math.inf
        self._begin_anew()

    @property
    def _gap_s(self) -> float:
        return self._quickest_s / (_PACE * self._level)

    def _open(self, latency_s: float) -> None:
        """The first answer came, after so long: of one slot, each would wait for all the others."""
        self._is_open, self._quickest_s = True, latency_s
        if not self._is_told and self._first < _NAMED_FIRST:
            fitting = self._half_s / max(latency_s, 1e-9)
            self._first = min(max(_FEWEST_FIRST, min(_FIRST, fitting)), self._ceiling)
        self._level = self._first
        self._new_round()

    def _stay_alone(self) -> None:
        """Nothing was ever answered, and now something has failed."""
        self._alone_until_s = math.inf

    def _begin_anew(self) -> None:
        self._step, self._patience, self._rounds = _STEP, 1, 0
        self._least_faltered = 1.0  # of the rounds so far, the least share of replies with a 5xx
        self._kept: _Round | None = None
        self._new_round()

    def _new_round(self) -> None:
        self._round_from_s = self._clock()
        self._round_latency_s, self._round_in_flight = 0.0, 0
        self._round_answers = self._round_faltered = 0

    def _end_round(self, now: float) -> None:
        n, kept = self._round_answers, self._kept
        faltered = self._round_faltered / (n + self._round_faltered)
        here = _Round(self._level, self._round_in_flight / n, self._round_latency_s / n)
        self._rounds += 1
        if kept is not None and here.level > kept.level:
            # Who names a number has it, unless something is refused or comes too late.
            has_more = faltered > self._least_faltered + _MORE
            if not self._is_told and (has_more or _is_in_vain(here, kept)):
                self._level = kept.level
                return self._failed()
            self._patience, self._step = 1, min(_STEP, 2 * self._step - 1)
        self._kept = here
        self._least_faltered = min(self._least_faltered, faltered)
        self._quickest_s = min(self._quickest_s, here.latency_s)
        level = here.level
        if self._rounds >= self._patience:
            level = max(level * self._step, level + 1)
        if here.latency_s > _QUEUED * self._quickest_s:
            level = min(level, here.in_flight * self._half_s / here.latency_s)
        level = max(1.0, min(level, self._ceiling, self._allowed_after_slow_down(now)))
        if int(level) != int(here.level):
            self._level, self._rounds = level, 0
        return self._new_round()

    def _failed(self) -> None:
        """A wider window was tried in vain: the next comes later, and is not as wide."""
        if self._step < _STEP:  # not the first time
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self._step = max(_LEAST_STEP, 1 + (self._step - 1) / 2)
        self._rounds = 0
        self._new_round()

    def _cut(self, started_s: float, level: float, *, is_known: bool = True) -> None:
        """is_known: fewer were answered; else it may have been the rate, and it grows on."""
        is_new = started_s >= self._cut_at_s
        self._level, self._kept = max(1.0, level), None
        if is_new:
            self._cut_at_s = self._clock()
        if is_new and is_known:
            self._failed()

    def _allowed_after_slow_down(self, now: float) -> float:
        """`slow_down` wants growth of at most a half per 15 minutes from where it came."""
        if self._slow_from is None:
            return math.inf
        at_s, level = self._slow_from
        return level * _SLOW_DOWN_GROWTH ** ((now - at_s) / _SLOW_DOWN_S)


def _is_in_vain(wider: _Round, kept: _Round) -> bool:
    """Whether a wider window gave hardly more answers a second: in flight / time of an answer."""
    width = wider.in_flight / kept.in_flight
    slower = wider.latency_s / max(kept.latency_s, 1e-9)
    is_slower = wider.latency_s > _SHORT_S and width / slower < 1 + _GAIN * (width - 1)
    return width > 1 and is_slower
