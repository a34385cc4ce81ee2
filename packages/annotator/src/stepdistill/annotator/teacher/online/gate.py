"""Whether the next request may go now: the teacher's limits, and whether the teacher is there."""

from collections.abc import Callable, Mapping

from stepdistill.annotator.errors import Transient
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.teacher.online.circuit_breaker import (
    CircuitBreaker,
    CircuitBreakerPolicy,
)
from stepdistill.annotator.teacher.online.rate_limiter import RateLimiter
from stepdistill.annotator.teacher.progress import Pause, Progress
from stepdistill.annotator.teacher.spec import TeacherSpec


class AdmissionControl:
    """Asked before each request, told of each reply; keeps progress and log up to date."""

    def __init__(
        self,
        door: TeacherSpec,
        policy: CircuitBreakerPolicy,
        progress: Progress,
        events: EventLog,
        clock: Callable[[], float],
    ) -> None:
        self._door, self._progress, self._events = door, progress, events
        self._limits = RateLimiter(door.limits, clock)
        self._breaker = CircuitBreaker(policy, door.base_url, clock)
        self._name_limits()

    def wait_s(self, tokens: int) -> float:
        """Seconds until a request of so many tokens may go, 0 for now, infinite until a reply.

        Raises ConfigError if it never may.
        """
        return self._breaker.wait_s() or self._limits.wait_s(tokens)

    def let_through(self, tokens: int) -> None:
        """A request goes now."""
        self._limits.take(tokens)
        self._breaker.sent()
        self._progress.in_flight += 1
        self._progress.sent += 1
        self._progress.sent_tokens += tokens

    def settle(self, tokens: int, usage: Usage, headers: Mapping[str, str]) -> None:
        """An answer came to a request of so many tokens: what it used, and what limits it names."""
        counted = max(self._door.max_tokens, usage.prompt)
        if counted > tokens:
            self._limits.settle(tokens, counted)
            self._progress.sent_tokens += counted - tokens
        if self._limits.heed(headers):
            self._name_limits()

    def answered(self) -> bool:
        """The teacher is there. True when this ended a pause."""
        was_paused = self._breaker.is_open
        self._breaker.answered()
        if was_paused:
            self._progress.pause = None
            self._events.emit("resumed")
        return was_paused

    def failed(self, error: Transient, started_s: float, width: int) -> None:
        """A request that was sent at started_s failed. Raises TeacherDown: it is given up."""
        if not self._breaker.failed(error, started_s, width):
            return
        wait_s, probes = self._breaker.wait_s(), self._breaker.probes
        self._progress.pause = Pause(seconds=wait_s, probes=probes, cause=str(error))
        self._events.emit("paused", wait_s=round(wait_s, 3), probes=probes, message=str(error))

    def _name_limits(self) -> None:
        progress, limits = self._progress, self._limits
        progress.requests_limit = limits.requests.per_minute
        progress.tokens_limit = limits.tokens.per_minute
