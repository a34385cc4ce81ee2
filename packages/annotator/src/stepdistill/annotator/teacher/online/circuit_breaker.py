"""The circuit breaker: where every request fails, one probe now and then is enough.

    closed   requests go; nothing but failures for a while, and many of them, open it
    open     none goes until a pause is over: it doubles with every probe in vain
    probing  one request is on its way: an answer closes the breaker, a failure opens it again

How many failures are many depends on what they say (`errors.Trouble`): five where nobody listens or
nobody is let in; else as many as the window is wide. Answers that came too late count only where
none came meanwhile: else too many were asked for at once, which is the window's affair. Whoever
answers at all, a refusal of one row included, is there.

The run ends after a time without an answer, or when a number of probes were in vain. Before a run's
first answer the first failure opens it, pauses are short, and the run ends sooner: the address is
probably wrong, or a minute's limit is spent, and then a little more than a minute is waited.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from stepdistill.annotator.errors import TeacherDown, Transient, Trouble

# Where nobody is let in, or others are there, the pause: an eighth of the time it took already.
_OF_SILENCE = 0.125
_FAILED_BESIDE_OTHERS = 10  # in a row
_USUAL = 0.1  # weight of one answer in how long answers usually take


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerPolicy:
    """When it opens, how long pauses are, and when a run is given up. Where one request in ten is
    answered it stays closed."""

    opens_after: int = 20  # failures in a row, or as many as the window is wide if that is more
    opens_after_unheard: int = 5  # likewise, refused or without a connection
    opens_after_s: float = 5.0  # without an answer, at the least
    first_s: float = 1.0  # the first pause; it doubles
    cap_s: float = 60.0  # the longest pause
    probes: int = 60  # in vain: the run ends
    longest_s: float = 900.0  # without an answer: the run ends
    # Before a run's first answer, in place of these:
    early_first_s: float = 0.25
    early_cap_s: float = 2.0
    early_longest_s: float = 10.0
    early_refused_cap_s: float = 8.0  # where a teacher is there, and lets nobody in or is late
    early_refused_longest_s: float = 65.0


class CircuitBreaker:
    """Whether the teacher is there. where: its URL, for the error. clock: seconds, monotonic.
    has_others: a probe costs little, as others do the work meanwhile."""

    def __init__(
        self,
        policy: CircuitBreakerPolicy,
        where: str,
        clock: Callable[[], float],
        *,
        has_others: bool = False,
    ) -> None:
        self._policy, self._where, self._clock = policy, where, clock
        self._has_others = has_others
        self._ever_answered = False
        self.answered_at_s = clock()  # the last time, or when it was made
        self._usual_s = 0.0  # how long answers take
        self._in_a_row = 0  # failures since the last answer
        self._open_until_s: float | None = None  # None: closed
        self._is_probing = False
        self.probes = 0  # in vain, since it opened

    @property
    def is_open(self) -> bool:
        """Whether the run is paused, a probe on its way included."""
        return self._open_until_s is not None

    def wait_s(self) -> float:
        """Seconds until a request may go: 0 for now, infinite while a probe is on its way."""
        if self._open_until_s is None:
            return 0.0
        return math.inf if self._is_probing else max(0.0, self._open_until_s - self._clock())

    def sent(self) -> None:
        """A request goes; while the breaker is open it is the probe."""
        self._is_probing = self._open_until_s is not None

    def answered(self, latency_s: float = 0.0) -> None:
        """The teacher is there. latency_s: how long this answer took."""
        self._ever_answered = True
        self.answered_at_s = self._clock()
        self._usual_s += _USUAL * (latency_s - self._usual_s)
        if self._in_a_row:
            self._in_a_row = self.probes = 0
            self._open_until_s, self._is_probing = None, False

    def failed(self, error: Transient, started_s: float, width: int) -> bool:
        """A request that was sent at started_s failed: whether a pause begins with that. width: of
        the window. Raises TeacherDown when a budget is spent."""
        if self._open_until_s is None:
            if error.trouble is Trouble.LATE and started_s <= self.answered_at_s:
                return False  # others were answered meanwhile
            self._in_a_row += 1
            if not self._is_outage(error.trouble, width):
                return False
        elif started_s < self._open_until_s:  # sent before the pause began
            return False
        else:
            self._in_a_row += 1
            self.probes += 1
            self._check_budgets(error)
        self._open(error)
        return True

    def leave_open(self, started_s: float, least_s: float, *, for_good: bool) -> None:
        """What would end a run came of a request that was sent at started_s, and others are there:
        probes go on, after least_s, or not where it is for_good."""
        if self._open_until_s is not None and started_s < self._open_until_s:
            return  # sent before the pause began
        self._in_a_row += 1
        self.probes += 1
        pause_s = math.inf if for_good else max(self._pause_of_silence_s, least_s)
        self._open_until_s, self._is_probing = self._clock() + pause_s, False

    def _is_outage(self, trouble: Trouble, width: int) -> bool:
        if not self._ever_answered:
            return True
        policy = self._policy
        few = min(policy.opens_after, policy.opens_after_unheard)
        if trouble is Trouble.UNREACHED:
            return self._in_a_row >= few
        if trouble is Trouble.LATE:
            return self._in_a_row >= width
        if self._has_others and trouble is Trouble.FAILED:
            return self._in_a_row >= _FAILED_BESIDE_OTHERS  # who fails quickly would get all rows
        many = few if trouble is Trouble.REFUSED else max(policy.opens_after, width)
        # Answers that take long are not missed for as long.
        return self._in_a_row >= many and self._silent_s >= max(
            policy.opens_after_s, 2 * self._usual_s
        )

    @property
    def _silent_s(self) -> float:
        return self._clock() - self.answered_at_s

    def _open(self, error: Transient) -> None:
        policy, is_refused = self._policy, error.trouble is Trouble.REFUSED
        first_s, cap_s = policy.first_s, policy.cap_s
        if not self._ever_answered:
            first_s = min(first_s, policy.early_first_s)
            cap_s = min(cap_s, policy.early_refused_cap_s if is_refused else policy.early_cap_s)
        pause_s = min(cap_s, first_s * 2 ** min(self.probes, 32))
        if self._has_others or (is_refused and self._ever_answered):
            pause_s = self._pause_of_silence_s
        pause_s = max(pause_s * random.uniform(0.75, 1.0), error.retry_after_s or 0.0)
        self._open_until_s, self._is_probing = self._clock() + pause_s, False

    @property
    def _pause_of_silence_s(self) -> float:
        policy = self._policy
        return min(policy.cap_s, max(policy.first_s, _OF_SILENCE * self._silent_s))

    def _check_budgets(self, error: Transient) -> None:
        policy, silent_s = self._policy, self._silent_s
        probes, longest_s, since = policy.probes, policy.longest_s, f"since {silent_s:,.0f} s"
        if not self._ever_answered:
            is_there = error.trouble in (Trouble.REFUSED, Trouble.LATE)
            longest_s = policy.early_refused_longest_s if is_there else policy.early_longest_s
            since = "at all"
        if self.probes >= probes or silent_s >= longest_s:
            raise TeacherDown(
                f"{self._where} does not answer {since} ({error}); {self.probes} probes were in "
                "vain: see to it, then run this again"
            )
