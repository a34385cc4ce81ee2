"""The online teacher: as many requests in flight as window and limits allow, until all are done.

    queue         what to ask next: new requests, and those whose wait for another try is over
    upstreams     the address that it goes to: the one with the least load, of several. Each has
      limiter       whether it may go now, by requests and tokens per minute
      rate          likewise, where the teacher names no limit and refuses some
      breaker       whether it may go at all: not while the teacher fails
      window        how many may be in flight: found by itself, or capped
      transport     one request out, one answer or error back
    reservations  whether it can be afforded, where a ceiling is set
    group commit  the outcome into the store; only then it counts

A pool of workers as large as the window draws from one queue, so memory holds what is in flight
and not the dataset. A failed try goes back to the queue with a time before which it is not drawn,
so no slot is held by waiting. All of these decide; only the engine waits.
"""

import asyncio
import math
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Self

from stepdistill.annotator.errors import (
    FormatRefused,
    ModelGone,
    PageInstead,
    RunStopped,
    TeacherError,
    TooLong,
    Transient,
)
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.http.transport import OpenTransport, open_transport
from stepdistill.annotator.teacher.online.circuit_breaker import CircuitBreakerPolicy
from stepdistill.annotator.teacher.online.queue import Groups, PendingRequest, RequestQueue
from stepdistill.annotator.teacher.online.retry import RetryPolicy, is_spared
from stepdistill.annotator.teacher.online.upstream import Upstream
from stepdistill.annotator.teacher.online.upstreams import Upstreams
from stepdistill.annotator.teacher.progress import Pause
from stepdistill.annotator.teacher.refusals import again_later


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
        failures, teacher = failures or FailurePolicy(), context.teacher
        self._teacher, self._progress, self._events = teacher, context.progress, context.events
        self._group_commit, self._reservations = context.group_commit, context.reservations
        self._retry, self._clock = failures.retry, time.monotonic
        self._told, self._warn, self._open = context.heard, context.warn, transport
        each = teacher.each_address
        self._upstreams = Upstreams(
            Upstream(one, context, failures.breaker, place=place, has_others=len(each) > 1)
            for place, one in enumerate(each)
        )
        self._progress.addresses = [up.told for up in self._upstreams.all if up.told is not None]
        self._opened = AsyncExitStack()
        self._turn = asyncio.Lock()  # one worker waits for the next request, the others behind it
        self._changed = asyncio.Event()  # what somebody waits for may have come
        self._held: PendingRequest | None = None  # drawn, and may not go yet: it keeps its place
        self._in_flight = 0  # sent, and nothing heard yet
        self._stopped = False
        self._error: BaseException | None = None
        self._show_limits()

    async def __aenter__(self) -> Self:
        for each in self._upstreams.all:
            each.transport = await self._opened.enter_async_context(self._open(each.teacher))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def stop(self) -> None:
        """Start no other request; those in flight still land in the store."""
        self._stopped = True
        self._changed.set()

    def take_share(self, share: float) -> None:
        """Ask under another part of the limits from now on: > 0, and 1 for all of them."""
        for each in self._upstreams.all:
            each.limiter.take_share(share)
        self._show_limits()
        self._changed.set()

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ..."""
        self._queue = RequestQueue(groups, self._teacher.weigh, self._clock)
        async with asyncio.TaskGroup() as self._workers:
            self._n_workers = 0
            self._hire()
            # Where the first probe is not answered by then, the others go without it.
            loop, probe_s = asyncio.get_running_loop(), self._upstreams.all[0].window.probe_s
            without_probe = loop.call_later(probe_s + 0.001, self._hire)
            watch = loop.create_task(self._upstreams.watch(self._leave_out))
        without_probe.cancel()
        watch.cancel()
        for each in self._upstreams.all:
            each.count_time()
        await self._group_commit.flush()
        if self._error is not None:
            raise self._error

    def _hire(self) -> None:
        """As many workers as the windows are wide."""
        while self._n_workers < self._upstreams.level and not self._stopped:
            self._n_workers += 1
            self._workers.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._n_workers <= self._upstreams.level:
                pending = self._ready() or await self._next()
                if pending is None:
                    break
                if pending.failure is not None:
                    await self._keep(pending, pending.failure)
                else:
                    await self._try(pending, self._upstreams.all[pending.goes_to])
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
        upstream = self._upstreams.free_for(pending)
        if upstream is None:
            return None
        if self._reservations is not None and not self._reservations.reserve(pending.request):
            return None
        self._held = None
        self._let_go(pending, upstream)
        return pending

    def _beyond_limit(self, tokens: int) -> Failure | None:
        """What is left of a request whose prompt alone is more than may be sent in a minute."""
        limit = self._upstreams.tokens_limit
        # Where the longest answer is too much, no request may go: the limiter refuses the run.
        if limit is None or tokens <= limit or self._teacher.max_tokens > limit:
            return None
        detail = f"it counts about {tokens:,} tokens, and {limit:,.0f} may be sent in a minute"
        return Failure(reason=TooLong.reason, detail=detail)

    def _let_go(self, pending: PendingRequest, upstream: Upstream) -> None:
        upstream.let_go(pending)
        pending.goes_to = upstream.place
        self._in_flight += 1
        progress = self._progress
        progress.in_flight = self._in_flight
        progress.sent += 1
        progress.sent_tokens += pending.tokens

    async def _next(self) -> PendingRequest | None:
        """The next request, once there is one that may go; None when nothing is left to do, or
        there are others enough to do it."""
        async with self._turn:
            # Where the window has become narrower meanwhile, some who waited go instead.
            while not self._stopped and self._n_workers <= self._upstreams.level:
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
        wait_s = self._upstreams.wait_s(pending)
        if wait_s or self._reservations is None:
            await self._pause(wait_s)
        elif not await self._reservations.make_room(pending.request) and self._in_flight:
            await self._pause(None)  # with nothing in flight nobody would end it

    async def _pause(self, seconds: float | None) -> None:
        """Wait for a time, or until something changes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()

    async def _try(self, pending: PendingRequest, upstream: Upstream) -> None:
        started_s = self._clock()
        outcome: Answer | Failure | None = None
        try:
            outcome, headers = await upstream.ask(pending)
            if self._reservations is not None:
                self._reservations.answered(pending.request, outcome)
            upstream.answered(pending, started_s)
            if (used := outcome.usage.prompt) > pending.tokens:  # longer than was estimated
                upstream.limiter.settle(pending.tokens, used)
                self._progress.sent_tokens += used - pending.tokens
            if upstream.limiter.heed(headers):
                self._show_limits()
                if upstream.limiter.is_named:
                    upstream.window.limits_named()
            self._heard(upstream, started_s)
            upstream.refusals.answered(pending.request.form)
            if self._told is not None:
                self._told(pending.request, outcome)
        except TeacherError as error:
            if self._reservations is not None:
                self._reservations.failed(pending.request, error)
            outcome = self._failed(pending, upstream, error, started_s)
        finally:
            upstream.in_flight -= 1
            self._in_flight -= 1
            self._progress.in_flight = self._in_flight
            self._changed.set()
        if outcome is not None:
            await self._keep(pending, outcome)

    def _heard(self, upstream: Upstream, started_s: float) -> None:
        """The teacher has let a request through, so it is there."""
        if upstream.heard(started_s):
            self._progress.pause = None
            self._events.emit("resumed", **upstream.where)
            if upstream.told is not None and upstream.told.outages == 1:
                self._warn(f"{upstream.name} answers again")
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
        self, pending: PendingRequest, upstream: Upstream, error: TeacherError, started_s: float
    ) -> Failure | None:
        """Another try later, or elsewhere, or, where there is none, the failure that is left."""
        if isinstance(error, FormatRefused) and pending.request.form.is_structured:
            # All that are asked so would be refused: who planned them plans them anew.
            error.response_format = pending.request.form.fields["response_format"]
            raise error
        wait_s, is_first = None, pending.failed_at is None
        try:
            if isinstance(error, RunStopped):
                raise error
            if isinstance(error, Transient):
                self._check_wait(error)
                self._slow_down(pending, upstream, error, started_s)
                wait_s = self._wait_before_retry(pending, upstream, error)
                if error.most_replies is not None:
                    pending.no_answers += 1
                    wait_s = wait_s if pending.no_answers < error.most_replies else None
            failure = None if wait_s is not None else self._given_up(pending, upstream, error)
            is_doubted = is_first and self._upstreams.doubts(upstream)
            if failure is not None and is_doubted:
                upstream.doubt(error)
            if not isinstance(error, Transient):
                self._heard(upstream, started_s)
            if failure is not None and not is_doubted:
                return failure
        except RunStopped as stop:
            if not self._upstreams.can_do_without(upstream):
                if (n := len(self._upstreams.all)) > 1:
                    stop.args = (f"none of {n} addresses is left; the last one: {stop}",)
                raise
            self._leave_out(upstream, stop, started_s)
            pending.spared += 1
        # Whoever else is there is asked at once, but once: where all of them fail, all wait.
        at_once = is_first and self._upstreams.has_others(upstream)
        pending.failed_at = upstream.place
        self._again(pending, upstream, error, 0.0 if at_once or wait_s is None else wait_s)
        return None

    def _again(
        self, pending: PendingRequest, upstream: Upstream, error: TeacherError, wait_s: float
    ) -> None:
        cause = type(error).__name__
        self._progress.retry(cause)
        self._events.emit(
            "retry",
            key=pending.request.key.hex(),
            cause=cause,
            attempt=pending.attempt,
            wait_s=round(wait_s, 3),
            window=upstream.window.level,
            message=str(error),
            **upstream.where,
        )
        self._queue.put_off(pending, wait_s)

    def _check_wait(self, error: Transient) -> None:
        """Raises AgainLater: the teacher names a time that no request waits for."""
        wait_s = error.retry_after_s
        if wait_s is not None and wait_s > self._retry.longest_s:
            raise again_later(error, wait_s)

    def _given_up(
        self, pending: PendingRequest, upstream: Upstream, error: TeacherError
    ) -> Failure:
        """The failure that is left of a request. Raises what ends the run with it."""
        if isinstance(error, PageInstead) and not upstream.refusals.knows_us:
            raise ModelGone(
                f"no teacher is there ({error}): check --base-url (does it end in /v1?)"
            )
        # Where nothing whole came back, the breaker decides.
        if not isinstance(error, Transient) or error.most_replies is not None:
            stop = upstream.refusals.refused(error, pending.request.form)
            if stop is not None:
                raise stop
        return Failure(reason=error.reason, detail=str(error))

    def _wait_before_retry(
        self, pending: PendingRequest, upstream: Upstream, error: Transient
    ) -> float | None:
        """Seconds until another try, None where there is none."""
        pending.spared += is_spared(error)
        # While nobody gets through, the breaker decides how long that is borne.
        is_heard = self._upstreams.answered_at_s > pending.failed_at_s
        waited_s = pending.waited_s if is_heard else 0.0
        pending.failed_at_s = self._clock()
        is_usual, spared = upstream.rate.background.share > 0, pending.spared
        wait_s = self._retry.wait_s(
            pending.attempt, waited_s, error, spared=spared, is_usual=is_usual
        )
        pending.waited_s += wait_s or 0.0
        return wait_s

    def _slow_down(
        self, pending: PendingRequest, upstream: Upstream, error: Transient, started_s: float
    ) -> None:
        """Tell the address. Raises TeacherDown: it is given up."""
        if not upstream.failed(pending, error, started_s):
            return
        wait_s, probes = upstream.breaker.wait_s(), upstream.breaker.probes
        told = {"wait_s": round(wait_s, 3), "probes": probes, "message": str(error)}
        self._events.emit("paused", **told, **upstream.where)
        if self._upstreams.are_all_out:
            self._progress.pause = Pause(seconds=wait_s, probes=probes, cause=str(error))
        self._leave_out(upstream, error, started_s)

    def _leave_out(self, upstream: Upstream, error: TeacherError, started_s: float) -> None:
        """Say once of an address that it is out of service, and why."""
        if upstream.leave_out(error, started_s) and upstream.told is not None:
            self._events.emit("left_out", message=str(error), **upstream.where)
            if upstream.told.outages == 1:
                until = "of this run" if upstream.is_out_for_good else "until it answers"
                self._warn(f"{upstream.name} is left out {until}: {error}")

    def _show_limits(self) -> None:
        limiters = [each.limiter for each in self._upstreams.all]
        requests = [each.requests.per_minute for each in limiters]
        tokens = [each.tokens.per_minute for each in limiters]
        self._progress.requests_limit = None if None in requests else sum(filter(None, requests))
        self._progress.tokens_limit = None if None in tokens else sum(filter(None, tokens))
