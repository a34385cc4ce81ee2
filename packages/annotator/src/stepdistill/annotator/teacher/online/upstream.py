"""An upstream: one address of the teacher, and how it fares. Most teachers have one.

Each has limits, a rate, a window and a breaker of its own, so that a slow one is sent less by
itself. Where there are others, one whose breaker is open is out of service: what was under way
there goes to another at once, and one request now and then looks whether it is back. What ends a
run at the only address takes one of several out of service, too; the run ends with the last.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from stepdistill.annotator.errors import (
    AgainLater,
    NotAuthorised,
    QuotaSpent,
    RateLimited,
    RequestsRefused,
    RunStopped,
    TeacherError,
    TimedOut,
    Transient,
    Trouble,
)
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.http.transport import Transport
from stepdistill.annotator.teacher.online.adaptive_rate import AdaptiveRate, Refusal
from stepdistill.annotator.teacher.online.circuit_breaker import (
    CircuitBreaker,
    CircuitBreakerPolicy,
)
from stepdistill.annotator.teacher.online.queue import PendingRequest
from stepdistill.annotator.teacher.online.rate_limiter import RateLimiter
from stepdistill.annotator.teacher.online.window import ConcurrencyWindow
from stepdistill.annotator.teacher.progress import AddressProgress
from stepdistill.annotator.teacher.refusals import Refusals
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.urls import without_secrets

_ALIKE = 20  # refusals, before any answer
_USUAL = 0.1  # weight of one answer in how long answers take
# A look whether one of several is back takes no longer than this, or a few usual answers; each
# that was in vain lets the next take twice as long.
_LOOK_S, _LOOK_ANSWERS = 5.0, 4.0
# One of several from which nothing has come for this part of the time-out, and as many usual
# answers, is gone: a machine that loses its power closes no connection.
_SILENT, _SILENT_ANSWERS = 0.25, 10.0


class Upstream:
    """One address. told: what is shown of it, None where it is the only one."""

    transport: Transport

    def __init__(
        self,
        teacher: TeacherSpec,
        context: AskContext,
        policy: CircuitBreakerPolicy,
        *,
        place: int = 0,
        has_others: bool = False,
    ) -> None:
        """place: among all of them."""
        clock = time.monotonic
        self.place = place
        self.teacher, self._clock = teacher, clock
        self._events: EventLog = context.events
        self.window = ConcurrencyWindow(
            teacher.concurrency,
            clock,
            timeout_s=teacher.timeout_s,
            first=teacher.first_concurrency,
        )
        self.limiter, self.rate = RateLimiter(teacher.rate_limits, clock), AdaptiveRate(clock)
        where = without_secrets(teacher.base_url)
        self.breaker = CircuitBreaker(policy, where, clock, has_others=has_others)
        self.refusals = Refusals(teacher, context.answered_before)
        self.in_flight = 0  # sent there, and nothing heard yet
        self.stop: RunStopped | None = None  # what would have ended the run, were it the only one
        self.has_answered = False  # in this run
        self.told = AddressProgress(address=self.name) if has_others else None
        self._under_way: dict[asyncio.Timeout, float] = {}  # when each was sent
        self._doubted = 0  # refusals that another was asked after
        self.usual_s = 0.0  # how long answers take
        self._was_refused = False  # the last failure was a 429
        self._since_s = clock()
        self._out_since_s: float | None = None

    @property
    def name(self) -> str:
        """Host and port, for a person."""
        return self.teacher.address

    @property
    def where(self) -> dict[str, str]:
        """The same, for an event: nothing where there is no other."""
        return {} if self.told is None else {"address": self.name}

    @property
    def is_out(self) -> bool:
        """Whether nothing goes there but a look whether it is back."""
        return self.breaker.is_open

    @property
    def is_out_for_good(self) -> bool:
        """Whether nobody looks again: the key is refused, or there is no money left."""
        return isinstance(self.stop, NotAuthorised | QuotaSpent)

    @property
    def has_room(self) -> bool:
        """Whether its window has room for another."""
        return self.in_flight < self.window.level

    @property
    def load(self) -> float:
        """How long another request would take there, relative to others: the least goes first.
        Whether one that is out is back is looked at before all else."""
        if self.is_out:
            return -1.0
        return (self.in_flight + 1) / self.window.level * self.usual_s

    def wait_s(self, tokens: int) -> float:
        """Seconds until a request of this many tokens may go, infinite until a reply comes. Raises
        ConfigError if it never may."""
        if wait_s := self.breaker.wait_s():
            return wait_s
        if self.breaker.is_open:  # a probe is not paced
            return self.limiter.wait_s(tokens)
        return max(self.rate.wait_s(), self.window.wait_s(), self.limiter.wait_s(tokens))

    def let_go(self, pending: PendingRequest) -> None:
        """This request goes there now."""
        self.limiter.take(pending.tokens)
        self.rate.take()
        self.window.sent()
        self.breaker.sent()
        self.in_flight += 1
        pending.in_flight = self.in_flight

    def ask(self, pending: PendingRequest) -> Coroutine[Any, Any, tuple[Answer, Mapping[str, str]]]:
        """The answer and the reply's headers. Raises TeacherError."""
        # As nearly always; a coroutine within another costs each request a microsecond.
        return self.transport.ask(pending.request) if self.told is None else self._ask(pending)

    async def _ask(self, pending: PendingRequest) -> tuple[Answer, Mapping[str, str]]:
        # Whether one is back is seen soon or not at all: the row has others to go to.
        look_s = max(_LOOK_S, _LOOK_ANSWERS * self.usual_s) * 2 ** min(self.breaker.probes, 8)
        sent_s, limit = self._clock(), asyncio.timeout(look_s if self.is_out else None)
        self._under_way[limit] = sent_s
        try:
            async with limit:
                return await self.transport.ask(pending.request)
        except TimeoutError:
            waited_s = self._clock() - sent_s
            raise TimedOut(f"no answer from {self.name} within {waited_s:.0f} s") from None
        finally:
            del self._under_way[limit]

    def silence(self, usual_s: float) -> TimedOut | None:
        """That nothing has come from there for so long that it is taken for gone, as others are
        there. usual_s: how long answers take elsewhere."""
        since_s = max(self.breaker.answered_at_s, min(self._under_way.values(), default=math.inf))
        silent_s, usual_s = self._clock() - since_s, self.usual_s or usual_s
        if silent_s < max(_SILENT * self.teacher.timeout_s, _SILENT_ANSWERS * usual_s):
            return None
        return TimedOut(f"nothing has come from there for {silent_s:.0f} s")

    def end_look(self) -> None:
        """The others have nothing else to do than to wait for a look: the row goes to them."""
        if self._clock() - min(self._under_way.values(), default=math.inf) > _LOOK_S:
            self.give_up()

    def give_up(self) -> None:
        """What is under way there goes to another."""
        self.breaker.leave_open(self._clock(), 0.0, for_good=False)
        now = asyncio.get_running_loop().time()
        for each in self._under_way:
            each.reschedule(now)

    def answered(self, pending: PendingRequest, started_s: float) -> None:
        """An answer has come."""
        was_full = self.in_flight >= self.window.level
        self.window.answered(started_s, pending.in_flight, was_full=was_full)
        took_s = self._clock() - started_s
        weight = _USUAL if self.has_answered else 1.0
        self.usual_s += weight * (took_s - self.usual_s)
        self.has_answered = True
        if self.told is not None:
            self.told.answers += 1
            self.told.answers_s += took_s

    def heard(self, started_s: float) -> bool:
        """The teacher has let a request through, so it is there; whether it was paused."""
        was_paused, in_vain = self.breaker.is_open, self.breaker.probes
        self.breaker.answered(self._clock() - started_s)
        # Where no probe was in vain, many that went at once were refused: nobody was down.
        if was_paused and in_vain and not self._was_refused:
            self.rate.forget()
        self.rate.passed(started_s)
        if was_paused:
            self.window.reopen()
            self.stop = None
            self._came_back()
        return was_paused

    def failed(self, pending: PendingRequest, error: Transient, started_s: float) -> bool:
        """Tell window, rate and breaker; whether a pause begins with that. Raises TeacherDown: the
        teacher is given up."""
        self._was_refused = isinstance(error, RateLimited)
        if self.told is not None:
            self.told.refused += error.trouble is Trouble.REFUSED
            self.told.failed += error.trouble is not Trouble.REFUSED
        if error.trouble is Trouble.REFUSED:
            self._refused(pending, error, started_s)
        elif error.trouble is Trouble.LATE:
            self.window.late(started_s)
        else:
            self.window.faltered()
        return self.breaker.failed(error, started_s, self.window.level)

    def leave_out(self, error: TeacherError, started_s: float) -> bool:
        """Nothing goes there for a while, or never again where the key is refused: others are
        there. Whether that is new."""
        is_new = self._out_since_s is None
        if isinstance(error, RunStopped):
            self.stop = error
            wait_s = error.wait_s if isinstance(error, AgainLater) else 0.0
            self.breaker.leave_open(started_s, wait_s, for_good=self.is_out_for_good)
        if is_new:
            self._out_since_s = self._clock()
        if self.told is not None:
            self.told.last_error = str(error)
            self.told.outages += is_new
        return is_new

    def doubt(self, error: TeacherError) -> None:
        """A row is refused where nobody was ever answered: another is asked. Raises
        RequestsRefused: it is all that is asked there."""
        self._doubted += 1
        if self._doubted >= _ALIKE:
            n = f"its first {self._doubted} requests"
            raise RequestsRefused(f"{n} were refused, and none was answered ({error})")

    def count_time(self) -> None:
        """Count the time of the run, and the time out of service, so far."""
        if self.told is not None:
            now = self._clock()
            self.told.asked_s += now - self._since_s
            if self._out_since_s is not None:
                self.told.out_s += now - self._out_since_s
                self._out_since_s = now
            self._since_s = now

    def _came_back(self) -> None:
        self.count_time()
        self._out_since_s = None

    def _refused(self, pending: PendingRequest, error: Transient, started_s: float) -> None:
        """Which was too much: what is in flight, or what goes in a second? Or neither."""
        in_flight, rate = pending.in_flight, self.rate
        self.window.not_let_in(in_flight)
        refusal = rate.refused(started_s, is_beyond=self.window.is_beyond(started_s, in_flight))
        if refusal not in (Refusal.USUAL, Refusal.FOUND):
            slow_down = isinstance(error, RateLimited) and error.slow_down
            self.window.refused(started_s, in_flight, slow_down=slow_down)
        if refusal is Refusal.FOUND:
            self._events.emit("refused_at_any_rate", share=rate.background.share, per_s=rate.per_s)
        elif refusal is Refusal.CUT:
            self._events.emit("rate", per_s=rate.per_s, message=str(error))
        if refusal in (Refusal.FOUND, Refusal.CUT):
            self.window.grow_anew()
