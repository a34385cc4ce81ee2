"""The online teacher: as many requests in flight as window and limits allow, until all are done.

    agenda      what to ask next: new requests, and those whose wait for another try is over
    gate        whether it may go now: requests and tokens per minute, the circuit breaker
    purse       whether it can be afforded, where a ceiling is set
    window      how many may be in flight: found by itself, or capped
    transport   one request out, one answer or error back
    committer   the outcome into the store; only then it counts

A pool of workers as large as the window draws from one agenda, so memory holds what is in flight
and not the dataset. A failed try goes back to the agenda with a time before which it is not drawn,
so no slot is held by waiting.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Self

from stepdistill.annotator.errors import Final, RateLimited, RunStopped, Transient
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.teacher.http.transport import Transport, open_transport
from stepdistill.annotator.teacher.online.circuit_breaker import CircuitBreakerPolicy
from stepdistill.annotator.teacher.online.gate import AdmissionControl
from stepdistill.annotator.teacher.online.queue import Groups, PendingRequest, RequestQueue
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from stepdistill.annotator.teacher.online.window import SCOUT_S, ConcurrencyWindow
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.reservations import OnlineReservations
from stepdistill.annotator.teacher.spec import TeacherSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePolicy:
    """With one request, and with the teacher as a whole."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: CircuitBreakerPolicy = field(default_factory=CircuitBreakerPolicy)


class OnlineTeacher:
    """Use as an async context manager; `ask_all` returns when every request is settled."""

    def __init__(  # budget: the parts that it is made of; each is real in its tests
        self,
        door: TeacherSpec,
        committer: GroupCommit,
        progress: Progress,
        *,
        patience: FailurePolicy | None = None,
        events: EventLog | None = None,
        transport: Callable[[TeacherSpec], AbstractAsyncContextManager[Transport]] = open_transport,
        purse: OnlineReservations | None = None,
    ) -> None:
        self._door, self._committer, self._progress = door, committer, progress
        patience = patience or FailurePolicy()
        self._retry, self._clock = patience.retry, time.monotonic
        self._events = events or EventLog(None)
        self._window = ConcurrencyWindow(door.concurrency, self._clock, door.first)
        self._gate = AdmissionControl(door, patience.breaker, progress, self._events, self._clock)
        self._opened = transport(door)
        self._purse = purse
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._held: PendingRequest | None = None
        self._stopped = False
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        self._transport = await self._opened.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.__aexit__(None, None, None)

    def stop(self) -> None:
        """Start no other request; those in flight still land in the store."""
        self._stopped = True
        self._changed.set()

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ..."""
        self._agenda = RequestQueue(groups, self._door.weigh, self._clock)
        async with asyncio.TaskGroup() as self._workers:
            self._n_workers = 0
            self._hire()
            scout = asyncio.get_running_loop().call_later(SCOUT_S, self._hire)
        scout.cancel()
        await self._committer.flush()
        if self._error is not None:
            raise self._error

    def _hire(self) -> None:
        """As many workers as the window is wide."""
        while self._n_workers < self._window.level and not self._stopped:
            self._n_workers += 1
            self._workers.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._n_workers <= self._window.level:
                ticket = self._ready() or await self._next()
                if ticket is None:
                    break
                await self._try(ticket)
        except Exception as error:  # noqa: BLE001  # raised by ask_all, once what is in flight has landed
            self._fail(error)
        finally:
            self._n_workers -= 1

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self.stop()

    def _ready(self) -> PendingRequest | None:
        """The next ticket, if one is at hand and may go now. It keeps its place until it may."""
        if self._stopped:
            return None
        ticket = self._held or self._agenda.draw()
        if ticket is not None and self._gate.wait_s(ticket.tokens):
            self._held, ticket = ticket, None
        elif ticket is not None:
            if self._purse is not None and not self._purse.reserve(ticket.request):
                self._held = ticket
                return None
            self._held = None
            self._gate.let_through(ticket.tokens)
        return ticket

    async def _next(self) -> PendingRequest | None:
        """The next ticket, once there is one that may go; None when nothing is left to do.

        One worker waits at a time, the others behind it.
        """
        async with self._turn:
            while not self._stopped:
                self._changed.clear()
                ticket = self._ready()
                if ticket is not None:
                    return ticket
                if self._held is not None:
                    await self._clear(self._held)
                elif not await self._agenda.refill():
                    if self._agenda.next_in_s is None and not self._progress.in_flight:
                        return None
                    await self._pause(self._agenda.next_in_s)
            return None

    async def _clear(self, ticket: PendingRequest) -> None:
        """Until gate or purse may have changed their mind about a ticket."""
        wait_s = self._gate.wait_s(ticket.tokens)
        if wait_s or self._purse is None:
            await self._pause(wait_s)
        elif not await self._purse.make_room(ticket.request):
            await self._pause(None)

    async def _pause(self, seconds: float | None) -> None:
        """Wait for a time, or until something changes."""
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _try(self, ticket: PendingRequest) -> None:
        started_s = self._clock()
        outcome: Answer | Failure | None = None
        try:
            outcome, headers = await self._transport.ask(ticket.request)
            full = self._progress.in_flight >= self._window.level
            self._window.answered(started_s, was_full=full)
            self._gate.settle(ticket.tokens, outcome.usage, headers)
            self._heard()
        except Transient as error:
            outcome = self._put_off(ticket, error, started_s)
        except RunStopped:
            raise
        except Final as error:
            self._heard()
            outcome = Failure(reason=error.reason, detail=str(error))
        finally:
            self._progress.in_flight -= 1
            self._changed.set()
        if outcome is not None:
            await self._keep(ticket, outcome)

    def _heard(self) -> None:
        """The teacher said something, so it is there."""
        if self._gate.answered():
            self._window.reopen()
        self._hire()

    async def _keep(self, ticket: PendingRequest, outcome: Answer | Failure) -> None:
        def landed(error: BaseException | None) -> None:
            self._agenda.settle(ticket)
            if error is None:
                self._progress.count(outcome)
                if isinstance(outcome, Failure):
                    key, detail = ticket.request.key.hex(), outcome.detail
                    self._events.emit("failed", key=key, reason=outcome.reason, detail=detail)
            else:
                self._fail(error)

        await self._committer.submit(ticket.request.key, outcome, landed)

    def _put_off(
        self, ticket: PendingRequest, error: Transient, started_s: float
    ) -> Failure | None:
        """Another try later, or, when the tries are used up, the failure that is left."""
        if isinstance(error, RateLimited):
            self._window.refused(started_s, slow_down=error.slow_down)
        else:
            self._window.faltered()
        self._gate.failed(error, started_s, self._window.level)
        wait_s = self._retry.wait_s(ticket.attempt, ticket.waited_s, error)
        if wait_s is None:
            return Failure(reason=error.reason, detail=str(error))
        cause = type(error).__name__
        self._progress.retry(cause)
        self._events.emit(
            "retry",
            key=ticket.request.key.hex(),
            cause=cause,
            attempt=ticket.attempt,
            wait_s=round(wait_s, 3),
            window=self._window.level,
            message=str(error),
        )
        self._agenda.put_off(ticket, wait_s)
        return None
