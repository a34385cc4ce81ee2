"""The online teacher: as many requests in flight as window and limits allow, until all are done.

    queue         what to ask next: new requests, and those whose wait for another try is over
    limiter       whether it may go now, by requests and tokens per minute
    rate          likewise, where the teacher names no limit and refuses some
    breaker       whether it may go at all: not while the teacher fails
    reservations  whether it can be afforded, where a ceiling is set
    window        how many may be in flight: found by itself, or capped
    transport     one request out, one answer or error back
    group commit  the outcome into the store; only then it counts

A pool of workers as large as the window draws from one queue, so memory holds what is in flight
and not the dataset. A failed try goes back to the queue with a time before which it is not drawn,
so no slot is held by waiting. All of these decide; only the engine waits.
"""

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from stepdistill.annotator.errors import (
    FormatRefused,
    ModelGone,
    PageInstead,
    RateLimited,
    RunStopped,
    TeacherError,
    TooLong,
    Transient,
    Trouble,
)
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.http.transport import OpenTransport, open_transport
from stepdistill.annotator.teacher.online.adaptive_rate import AdaptiveRate, Refusal
from stepdistill.annotator.teacher.online.circuit_breaker import (
    CircuitBreaker,
    CircuitBreakerPolicy,
)
from stepdistill.annotator.teacher.online.queue import Groups, PendingRequest, RequestQueue
from stepdistill.annotator.teacher.online.rate_limiter import RateLimiter
from stepdistill.annotator.teacher.online.retry import RetryPolicy, is_spared
from stepdistill.annotator.teacher.online.window import ConcurrencyWindow
from stepdistill.annotator.teacher.progress import Pause
from stepdistill.annotator.teacher.refusals import Refusals, again_later
from stepdistill.common.urls import without_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePolicy:
    """What is done where one request fails, and where all of them do."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: CircuitBreakerPolicy = field(default_factory=CircuitBreakerPolicy)


class OnlineTeacher:
    """The online teacher, an async context manager; `ask_all` returns when every request is
    settled."""

    def __init__(
        self,
        context: AskContext,
        *,
        failures: FailurePolicy | None = None,
        transport: OpenTransport = open_transport,
    ) -> None:
        failures, teacher, clock = failures or FailurePolicy(), context.teacher, time.monotonic
        self._teacher, self._progress, self._events = teacher, context.progress, context.events
        self._group_commit, self._reservations = context.group_commit, context.reservations
        self._retry, self._clock, self._told = failures.retry, clock, context.heard
        self._window = ConcurrencyWindow(
            teacher.concurrency,
            clock,
            timeout_s=teacher.timeout_s,
            first=teacher.first_concurrency,
        )
        self._limiter, self._rate = RateLimiter(teacher.rate_limits, clock), AdaptiveRate(clock)
        self._refusals = Refusals(teacher, context.answered_before)
        self._breaker = CircuitBreaker(failures.breaker, without_secrets(teacher.base_url), clock)
        self._opened = transport(teacher)
        self._turn = asyncio.Lock()  # one worker waits for the next request, the others behind it
        self._changed = asyncio.Event()  # what somebody waits for may have come
        self._held: PendingRequest | None = None  # drawn, and may not go yet: it keeps its place
        self._in_flight = 0  # sent, and nothing heard yet
        self._was_refused = False  # the last failure was a 429
        self._stopped = False
        self._error: BaseException | None = None
        self._show_limits()

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
        self._queue = RequestQueue(groups, self._teacher.weigh, self._clock)
        async with asyncio.TaskGroup() as self._workers:
            self._n_workers = 0
            self._hire()
            # Where the first probe is not answered by then, the others go without it.
            loop, probe_s = asyncio.get_running_loop(), self._window.probe_s
            without_probe = loop.call_later(probe_s + 0.001, self._hire)
        without_probe.cancel()
        await self._group_commit.flush()
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
                pending = self._ready() or await self._next()
                if pending is None:
                    break
                if pending.failure is not None:
                    await self._keep(pending, pending.failure)
                else:
                    await self._try(pending)
        except Exception as error:  # noqa: BLE001  # raised by ask_all, once what is in flight has landed
            self._fail(error)
        finally:
            self._n_workers -= 1

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self.stop()

    def _ready(self) -> PendingRequest | None:
        """The next request, if one is at hand and may go now, or never; else it is held."""
        if self._stopped:
            return None
        pending = self._held or self._queue.draw()
        if pending is None:
            return None
        self._held = pending
        pending.failure = self._beyond_limit(pending.tokens)
        if pending.failure is not None:
            self._held = None
            return pending
        if self._wait_s(pending.tokens):
            return None
        if self._reservations is not None and not self._reservations.reserve(pending.request):
            return None
        self._held = None
        self._let_go(pending)
        return pending

    def _beyond_limit(self, tokens: int) -> Failure | None:
        """What is left of a request whose prompt alone is more than may be sent in a minute."""
        limit = self._limiter.tokens.per_minute
        # Where the longest answer is too much, no request may go: the limiter refuses the run.
        if limit is None or tokens <= limit or self._teacher.max_tokens > limit:
            return None
        detail = f"it counts about {tokens:,} tokens, and {limit:,.0f} may be sent in a minute"
        return Failure(reason=TooLong.reason, detail=detail)

    def _wait_s(self, tokens: int) -> float:
        """Seconds until a request of this many tokens may go, infinite until a reply comes. Raises
        ConfigError if it never may."""
        if wait_s := self._breaker.wait_s():
            return wait_s
        if self._breaker.is_open:  # a probe is not paced
            return self._limiter.wait_s(tokens)
        return max(self._rate.wait_s(), self._window.wait_s(), self._limiter.wait_s(tokens))

    def _let_go(self, pending: PendingRequest) -> None:
        self._limiter.take(pending.tokens)
        self._rate.take()
        self._window.sent()
        self._breaker.sent()
        self._in_flight += 1
        pending.in_flight = self._in_flight
        progress = self._progress
        progress.in_flight = self._in_flight
        progress.sent += 1
        progress.sent_tokens += pending.tokens

    async def _next(self) -> PendingRequest | None:
        """The next request, once there is one that may go; None when nothing is left to do, or
        there are others enough to do it."""
        async with self._turn:
            # Where the window has become narrower meanwhile, some who waited go instead.
            while not self._stopped and self._n_workers <= self._window.level:
                self._changed.clear()
                pending = self._ready()
                if pending is not None:
                    return pending
                if self._held is not None:
                    await self._wait_for(self._held)
                elif not await self._queue.refill():
                    if self._queue.next_in_s is None and not self._in_flight:
                        return None
                    await self._pause(self._queue.next_in_s)
            return None

    async def _wait_for(self, pending: PendingRequest) -> None:
        """Until limits, breaker or reservations may have changed their mind about a request."""
        wait_s = self._wait_s(pending.tokens)
        if wait_s or self._reservations is None:
            await self._pause(wait_s)
        elif not await self._reservations.make_room(pending.request):
            await self._pause(None)

    async def _pause(self, seconds: float | None) -> None:
        """Wait for a time, or until something changes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()

    async def _try(self, pending: PendingRequest) -> None:
        started_s = self._clock()
        outcome: Answer | Failure | None = None
        try:
            outcome, headers = await self._transport.ask(pending.request)
            if self._reservations is not None:
                self._reservations.answered(pending.request, outcome)
            was_full = self._in_flight >= self._window.level
            self._window.answered(started_s, pending.in_flight, was_full=was_full)
            if (used := outcome.usage.prompt) > pending.tokens:  # longer than was estimated
                self._limiter.settle(pending.tokens, used)
                self._progress.sent_tokens += used - pending.tokens
            if self._limiter.heed(headers):
                self._show_limits()
                if self._limiter.is_named:
                    self._window.limits_named()
            self._heard(started_s)
            self._refusals.answered(pending.request.form)
            if self._told is not None:
                self._told(pending.request, outcome)
        except TeacherError as error:
            if self._reservations is not None:
                self._reservations.failed(pending.request, error)
            outcome = self._failed(pending, error, started_s)
        finally:
            self._in_flight -= 1
            self._progress.in_flight = self._in_flight
            self._changed.set()
        if outcome is not None:
            await self._keep(pending, outcome)

    def _heard(self, started_s: float) -> None:
        """The teacher has let a request through, so it is there."""
        was_paused, in_vain = self._breaker.is_open, self._breaker.probes
        self._breaker.answered(self._clock() - started_s)
        # Where no probe was in vain, many that went at once were refused: nobody was down.
        if was_paused and in_vain and not self._was_refused:
            self._rate.forget()
        self._rate.passed(started_s)
        if was_paused:
            self._window.reopen()
            self._progress.pause = None
            self._events.emit("resumed")
        self._hire()

    async def _keep(self, pending: PendingRequest, outcome: Answer | Failure) -> None:
        def landed(error: BaseException | None) -> None:
            self._queue.settle(pending)
            if error is not None:
                return self._fail(error)
            self._progress.count(outcome)
            if isinstance(outcome, Failure):
                key, detail = pending.request.key.hex(), outcome.detail
                self._events.emit("failed", key=key, reason=outcome.reason, detail=detail)
            return None

        await self._group_commit.submit(pending.request.key, outcome, landed)

    def _failed(
        self, pending: PendingRequest, error: TeacherError, started_s: float
    ) -> Failure | None:
        """Another try later, or, where there is none, the failure that is left."""
        if isinstance(error, FormatRefused) and pending.request.form.is_structured:
            # All that are asked so would be refused: who planned them plans them anew.
            error.response_format = pending.request.form.fields["response_format"]
            raise error
        if isinstance(error, RunStopped):
            raise error
        wait_s = None
        if isinstance(error, Transient):
            self._check_wait(error)
            self._slow_down(pending, error, started_s)
            wait_s = self._wait_before_retry(pending, error)
            if error.most_replies is not None:
                pending.no_answers += 1
                wait_s = wait_s if pending.no_answers < error.most_replies else None
        else:
            self._heard(started_s)
        if wait_s is None:
            return self._given_up(pending, error)
        cause = type(error).__name__
        self._progress.retry(cause)
        self._events.emit(
            "retry",
            key=pending.request.key.hex(),
            cause=cause,
            attempt=pending.attempt,
            wait_s=round(wait_s, 3),
            window=self._window.level,
            message=str(error),
        )
        self._queue.put_off(pending, wait_s)
        return None

    def _check_wait(self, error: Transient) -> None:
        """Raises AgainLater: the teacher names a time that no request waits for."""
        wait_s = error.retry_after_s
        if wait_s is not None and wait_s > self._retry.longest_s:
            raise again_later(error, wait_s)

    def _given_up(self, pending: PendingRequest, error: TeacherError) -> Failure:
        """The failure that is left of a request. Raises what ends the run with it."""
        if isinstance(error, PageInstead) and not self._refusals.knows_us:
            raise ModelGone(
                f"no teacher is there ({error}): check --base-url (does it end in /v1?)"
            )
        # Where nothing whole came back, the breaker decides.
        if not isinstance(error, Transient) or error.most_replies is not None:
            stop = self._refusals.refused(error, pending.request.form)
            if stop is not None:
                raise stop
        return Failure(reason=error.reason, detail=str(error))

    def _wait_before_retry(self, pending: PendingRequest, error: Transient) -> float | None:
        """Seconds until another try, None where there is none."""
        pending.spared += is_spared(error)
        # While nobody gets through, the breaker decides how long that is borne.
        waited_s = pending.waited_s if self._breaker.answered_at_s > pending.failed_at_s else 0.0
        pending.failed_at_s = self._clock()
        is_usual, spared = self._rate.background.share > 0, pending.spared
        wait_s = self._retry.wait_s(
            pending.attempt, waited_s, error, spared=spared, is_usual=is_usual
        )
        pending.waited_s += wait_s or 0.0
        return wait_s

    def _slow_down(self, pending: PendingRequest, error: Transient, started_s: float) -> None:
        """Tell window, rate and breaker. Raises TeacherDown: the teacher is given up."""
        self._was_refused = isinstance(error, RateLimited)
        if error.trouble is Trouble.REFUSED:
            self._refused(pending, error, started_s)
        elif error.trouble is Trouble.LATE:
            self._window.late(started_s)
        else:
            self._window.faltered()
        if self._breaker.failed(error, started_s, self._window.level):
            wait_s, probes = self._breaker.wait_s(), self._breaker.probes
            self._progress.pause = Pause(seconds=wait_s, probes=probes, cause=str(error))
            self._events.emit("paused", wait_s=round(wait_s, 3), probes=probes, message=str(error))

    def _refused(self, pending: PendingRequest, error: Transient, started_s: float) -> None:
        """Which was too much: what is in flight, or what goes in a second? Or neither."""
        in_flight, rate = pending.in_flight, self._rate
        self._window.not_let_in(in_flight)
        refusal = rate.refused(started_s, is_beyond=self._window.is_beyond(started_s, in_flight))
        if refusal not in (Refusal.USUAL, Refusal.FOUND):
            slow_down = isinstance(error, RateLimited) and error.slow_down
            self._window.refused(started_s, in_flight, slow_down=slow_down)
        if refusal is Refusal.FOUND:
            self._events.emit("refused_at_any_rate", share=rate.background.share, per_s=rate.per_s)
        elif refusal is Refusal.CUT:
            self._events.emit("rate", per_s=rate.per_s, message=str(error))
        if refusal in (Refusal.FOUND, Refusal.CUT):
            self._window.grow_anew()

    def _show_limits(self) -> None:
        self._progress.requests_limit = self._limiter.requests.per_minute
        self._progress.tokens_limit = self._limiter.tokens.per_minute
