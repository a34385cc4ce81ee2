"""The URLs of the Files and Batches endpoints: what comes in is served, and written down."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aiohttp import web

from stepdistill.annotator.simulator.batch.books import BatchBooks, BatchCall, CallKind
from stepdistill.annotator.simulator.batch.file_delivery import Stretch, send_cut, send_stretch
from stepdistill.annotator.simulator.batch.plan import SimulatedBatchSettings
from stepdistill.annotator.simulator.delivery import deliver, wait_until_gone
from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestOutcome, fingerprint
from stepdistill.annotator.simulator.refusals import NO_KEY
from stepdistill.annotator.simulator.reply import RefusedRequest, SimulatedReply, fail, refuse

_LATE = (Fault.LOST, Fault.TORN)  # the work is done, and then something happens


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a call came to; target: the file or batch that it was about."""

    target: str
    reply: SimulatedReply | Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the fingerprint of the key, and whose files and batches are seen by it."""

    key: str
    owner: str


Serve = Callable[[web.Request, Caller], Awaitable[Served]]


class BatchRoutes:
    """Wraps what serves a call: keys are wanted, faults have their say, the books their entry."""

    def __init__(
        self,
        *,
        settings: SimulatedBatchSettings,
        books: BatchBooks,
        clock: Callable[[], float],
        closing: asyncio.Event,
        allow_anonymous: bool,
    ) -> None:
        self._settings = settings
        self._books = books
        self._clock = clock
        self._closing = closing
        self._allow_anonymous = allow_anonymous
        self._arrived: Counter[CallKind] = Counter()

    def handler(
        self, kind: CallKind, serve: Serve
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler for aiohttp's router."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(kind, serve, request)

        return handle

    async def _handle(
        self, kind: CallKind, serve: Serve, request: web.Request
    ) -> web.StreamResponse:
        ordinal, start_s = self._arrived[kind], self._clock()
        self._arrived[kind] += 1
        fault = self._settings.fault(kind, ordinal)
        key = fingerprint(request.headers.get("Authorization", ""))
        served = Served(target="", reply=SimulatedReply(outcome=RequestOutcome()))
        try:
            served = await self._serve(request, key, fault, serve, kind)
        finally:
            self._books.record(
                BatchCall(
                    kind=kind,
                    ordinal=ordinal,
                    target=served.target,
                    key=key,
                    start_s=start_s,
                    end_s=self._clock(),
                    status=_status(served.reply),
                    fault=fault,
                    to_end=_to_end(served.reply) and fault not in (Fault.LOST, Fault.TORN),
                )
            )
        return await self._deliver(request, served.reply, fault)

    async def _serve(
        self, request: web.Request, key: str, fault: Fault | None, serve: Serve, kind: CallKind
    ) -> Served:
        target = request.match_info.get("id", "")
        if not key and not self._allow_anonymous:
            return Served(target=target, reply=refuse(NO_KEY))
        if fault is Fault.NEVER:
            await wait_until_gone(request, self._closing)
        if fault and fault not in _LATE:
            failed = fail(fault, self._settings.calls[kind].retry_after_s)
            return Served(
                target=target, reply=failed or SimulatedReply(outcome=RequestOutcome(fault=fault))
            )
        caller = Caller(key=key, owner="" if self._settings.one_project else key)
        try:
            return await serve(request, caller)
        except RefusedRequest as refused:
            reply = refuse(refused.error, retry_after_s=refused.retry_after_s)
            return Served(target=target, reply=reply)

    async def _deliver(
        self, request: web.Request, reply: SimulatedReply | Stretch, fault: Fault | None
    ) -> web.StreamResponse:
        if isinstance(reply, SimulatedReply):
            spoiled = replace(reply, outcome=replace(reply.outcome, fault=fault))
            return await deliver(request, spoiled, drip_s=0)
        if fault is Fault.LOST:
            return await deliver(
                request, SimulatedReply(outcome=RequestOutcome(fault=fault)), drip_s=0
            )
        if fault is Fault.TORN:
            return await send_cut(request, reply, silent=self._settings.silent_cut)
        return await send_stretch(request, reply)


def _status(reply: SimulatedReply | Stretch) -> int:
    return reply.outcome.status if isinstance(reply, SimulatedReply) else reply.status


def _to_end(reply: SimulatedReply | Stretch) -> bool:
    return isinstance(reply, Stretch) and reply.end == reply.size and reply.status != 416
