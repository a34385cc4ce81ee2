"""The circuit breaker: where every request fails, one probe now and then is enough.

    closed   requests go; nothing but failures for a while, and many of them, open it
    open     none goes until a pause is over: it doubles with every probe in vain
    probing  one request is on its way: an answer closes the breaker, a failure opens it again

429s count too, where nothing else comes. Whoever answers at all, a refusal of one row included, is
there. The run ends when a number of probes were in vain, or after a time without an answer; for a
teacher that has not answered once in this run it ends sooner: its address is probably wrong.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from stepdistill.annotator.errors import TeacherDown, Transient


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerPolicy:
    """When it opens, how long pauses are, and when a run is given up. Where one request in ten is
    answered it stays closed."""

    opens_after: int = 20  # failures in a row, or as many as the window is wide if that is more
    opens_after_s: float = 5.0  # without an answer, at the least
    first_s: float = 1.0  # the first pause; it doubles
    cap_s: float = 60.0  # the longest pause
    probes: int = 20  # in vain: the run ends
    longest_s: float = 900.0  # without an answer: the run ends
    first_probes: int = 3  # instead of probes, before a run's first answer


class CircuitBreaker:
    """Whether the teacher is there. where: its URL, for the error. clock: seconds, monotonic."""

    def __init__(
        self, policy: CircuitBreakerPolicy, where: str, clock: Callable[[], float]
    ) -> None:
        self._policy, self._where, self._clock = policy, where, clock
        self._ever_answered = False
        self._answered_at_s = clock()
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

    def answered(self) -> None:
        """The teacher is there."""
        self._ever_answered = True
        self._answered_at_s = self._clock()
        if self._in_a_row:
            self._in_a_row = self.probes = 0
            self._open_until_s, self._is_probing = None, False

    def failed(self, error: Transient, started_s: float, width: int) -> bool:
        """A request that was sent at started_s failed: whether a pause begins with that. width: of
        the window. Raises TeacherDown when a budget is spent."""
        self._in_a_row += 1
        if self._open_until_s is None:
            silent_s = self._clock() - self._answered_at_s
            many = self._in_a_row >= max(self._policy.opens_after, width)
            if not many or silent_s < self._policy.opens_after_s:
                return False
        elif started_s < self._open_until_s:  # sent before the pause began
            return False
        else:
            self.probes += 1
            self._check_budgets(error)
        self._open(error)
        return True

    def _open(self, error: Transient) -> None:
        pause_s = min(self._policy.cap_s, self._policy.first_s * 2**self.probes)
        pause_s = max(pause_s * random.uniform(0.75, 1.0), error.retry_after_s or 0.0)
        self._open_until_s, self._is_probing = self._clock() + pause_s, False

    def _check_budgets(self, error: Transient) -> None:
        silent_s = self._clock() - self._answered_at_s
        probes = self._policy.probes if self._ever_answered else self._policy.first_probes
        if self.probes >= probes or silent_s >= self._policy.longest_s:
            since = f"since {silent_s:,.0f} s" if self._ever_answered else "at all"
            raise TeacherDown(
                f"{self._where} does not answer {since} ({error}); {self.probes} probes were in "
                "vain: see to it, then run this again"
            )
