"""The online teacher: as many requests in flight as window and limits allow, until all are done.

    agenda      what to ask next: new requests, and those whose wait for another try is over
    window      how many may be in flight: found by itself, or capped
    limits      when the next may go, by requests and tokens per minute
    transport   one request out, one answer or error back
    committer   the outcome into the store; only then it counts

A pool of workers as large as the window draws from one agenda, so memory holds what is in flight
and not the dataset. A failed try goes back to the agenda with a time before which it is not drawn,
so no slot is held by waiting.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Self

from annotator.errors import Final, RateLimited, RunStopped, TeacherDown, Transient
from annotator.events import EventLog
from annotator.request.agenda import Agenda, Ticket
from annotator.request.answer import Answer, Failure
from annotator.request.committer import Committer
from annotator.request.key import Request
from annotator.request.limits import Limits
from annotator.request.progress import Progress
from annotator.request.retry import RetryPolicy
from annotator.request.transport import Door, Transport
from annotator.request.window import Window

_DOWN_AFTER = 5
_CHARACTERS_PER_TOKEN = 4


class OnlineTeacher:
    """Use as an async context manager; `ask_all` returns when every request is settled."""

    def __init__(
        self,
        door: Door,
        committer: Committer,
        progress: Progress,
        *,
        retry: RetryPolicy | None = None,
        events: EventLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door, self._committer, self._progress = door, committer, progress
        self._retry, self._clock = retry or RetryPolicy(), clock
        self._events = events or EventLog(None)
        self._window = Window(door.concurrency, clock)
        self._limits = Limits(door.limits, clock)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stopped = False
        self._error: BaseException | None = None
        self._given_up_in_a_row = 0

    async def __aenter__(self) -> Self:
        self._transport = await Transport(self._door).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    def stop(self) -> None:
        """Start no other request; those in flight still land in the store."""
        self._stopped = True
        self._changed.set()

    async def ask_all(self, requests: AsyncIterator[Request]) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ..."""
        self._agenda = Agenda(requests, self._weigh, self._clock)
        async with asyncio.TaskGroup() as self._workers:
            self._n_workers = 0
            self._hire()
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
                ticket = await self._next()
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

    async def _next(self) -> Ticket | None:
        """The next ticket, when window and limits let it go; None when nothing is left to do."""
        async with self._turn:
            while not self._stopped:
                self._changed.clear()
                ticket = await self._agenda.draw()
                if ticket is not None:
                    return await self._admitted(ticket)
                if self._agenda.next_in_s is None and not self._progress.in_flight:
                    return None
                await self._pause(self._agenda.next_in_s)
            return None

    async def _admitted(self, ticket: Ticket) -> Ticket | None:
        while (wait_s := self._limits.wait_s(ticket.tokens)) and not self._stopped:
            self._changed.clear()
            await self._pause(wait_s)
        if self._stopped:
            return None
        self._limits.take(ticket.tokens)
        self._progress.in_flight += 1
        return ticket

    async def _pause(self, seconds: float | None) -> None:
        """Wait for a time, or until something changes."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    async def _try(self, ticket: Ticket) -> None:
        started_s = self._clock()
        outcome: Answer | Failure | None = None
        try:
            outcome, headers = await self._transport.ask(ticket.request)
            full = self._progress.in_flight >= self._window.level
            self._limits.heed(headers)
            self._limits.settle(ticket.tokens, max(self._door.max_tokens, outcome.usage.prompt))
            self._window.answered(started_s, was_full=full)
            self._given_up_in_a_row = 0
            self._hire()
        except Transient as error:
            outcome = self._put_off(ticket, error, started_s)
        except RunStopped:
            raise
        except Final as error:
            outcome = Failure(reason=error.reason, detail=str(error))
        finally:
            self._progress.in_flight -= 1
            self._changed.set()
        if outcome is not None:
            await self._keep(ticket, outcome)

    async def _keep(self, ticket: Ticket, outcome: Answer | Failure) -> None:
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

    def _put_off(self, ticket: Ticket, error: Transient, started_s: float) -> Failure | None:
        """Another try later, or, when the tries are used up, the failure that is left."""
        if isinstance(error, RateLimited):
            self._window.refused(started_s, slow_down=error.slow_down)
        else:
            self._window.faltered()
        wait_s = self._retry.wait_s(ticket.attempt, ticket.waited_s, error)
        if wait_s is not None:
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
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row >= _DOWN_AFTER:
            url = self._door.base_url
            raise TeacherDown(f"{url} keeps failing ({error}): run this again later")
        return Failure(reason=error.reason, detail=str(error))

    def _weigh(self, request: Request) -> int:
        """Tokens as the teacher counts them toward its limit: the larger of answer and estimate."""
        characters = sum(len(message["content"]) for message in request.messages)
        return max(self._door.max_tokens, -(-characters // _CHARACTERS_PER_TOKEN))
