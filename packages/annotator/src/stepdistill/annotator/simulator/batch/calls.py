"""What every call about files and batches passes through: key, faults, entry in the log."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from stepdistill.annotator.simulator.batch.files import FileRange, deliver_range
from stepdistill.annotator.simulator.batch.log import BatchCall, CallKind
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.dialects.spoken import key_of
from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestLog
from stepdistill.annotator.simulator.reply import (
    NO_KEY,
    SimulatedReply,
    deliver,
    fail,
    refuse,
    wait_until_gone,
)
from stepdistill.annotator.simulator.wire import RefusedRequest

_LATE = (Fault.LOST, Fault.TORN)  # the work is done, and then something happens


@dataclass(slots=True, kw_only=True)
class IncomingCall:
    """A call that is being served."""

    request: web.Request
    key: str  # the API key's fingerprint
    owner: str  # whose files and batches it sees; empty where all keys share one project
    target: str  # the file or batch that it is about; set by what makes one
    to_end: bool = False  # it was given the last of some results; set by what gives them


CallReply = SimulatedReply | FileRange
Serve = Callable[[IncomingCall], Awaitable[CallReply]]


@dataclass(slots=True, kw_only=True)
class CallHandler:
    """The wrapper of whatever serves a call: it wants a key, plays faults, and writes the log."""

    settings: SimulatedBatchSettings
    log: RequestLog
    closing: asyncio.Event  # set once the simulator closes
    allow_anonymous: bool
    _arrived: Counter[CallKind] = field(default_factory=Counter[CallKind])

    def wrap(
        self, kind: CallKind, serve: Serve
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler for aiohttp's router."""
        return partial(self._handle, kind, serve)

    async def _handle(
        self, kind: CallKind, serve: Serve, request: web.Request
    ) -> web.StreamResponse:
        ordinal, start_s = self._arrived[kind], self.log.now()
        self._arrived[kind] += 1
        fault = self.settings.fault(kind, ordinal)
        key = key_of(request)
        owner = "" if self.settings.one_project else key
        target = request.match_info.get("id", "")
        call = IncomingCall(request=request, key=key, owner=owner, target=target)
        reply: CallReply = SimulatedReply()  # what is logged of a client that goes before its time
        try:
            reply = await self._serve(kind, serve, call, fault)
        finally:
            is_last = isinstance(reply, FileRange) and reply.to_end
            whole = (is_last or call.to_end) and fault not in _LATE
            self.log.batch.record(
                BatchCall(
                    kind=kind,
                    ordinal=ordinal,
                    target=call.target,
                    key=key,
                    start_s=start_s,
                    end_s=self.log.now(),
                    status=reply.status,
                    fault=fault,
                    to_end=whole,
                )
            )
        if isinstance(reply, FileRange):
            cut = self.settings.silent_cut
            return await deliver_range(request, reply, fault, silent_cut=cut)
        return await deliver(request, reply, fault)

    async def _serve(
        self, kind: CallKind, serve: Serve, call: IncomingCall, fault: Fault | None
    ) -> CallReply:
        if not call.key and not self.allow_anonymous:
            return refuse(NO_KEY)
        if fault is Fault.NEVER:
            await wait_until_gone(call.request, self.closing)
        if fault and fault not in _LATE:
            return fail(fault, self.settings.calls[kind].retry_after_s) or SimulatedReply()
        try:
            return await serve(call)
        except RefusedRequest as refused:
            return refuse(refused.error, refused.retry_after_s)
