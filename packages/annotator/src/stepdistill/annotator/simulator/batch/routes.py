"""The Files and Batches endpoints: what each URL does, and what every call passes through: key,
faults, entry in the log."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import BodyPartReader, web

from stepdistill.annotator.simulator.batch.files import (
    CHUNK_BYTES,
    FileRange,
    FileStore,
    FileWriter,
    StoredFile,
    deliver_range,
    range_of,
)
from stepdistill.annotator.simulator.batch.jobs import (
    BatchJobs,
    BatchOrder,
    BatchState,
    SimulatedBatch,
)
from stepdistill.annotator.simulator.batch.log import BatchCall, CallKind, Uploaded
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.batch.wire import (
    AskedBatch,
    batch_object,
    file_object,
    list_object,
    read_creation,
    read_kept_s,
    read_page,
)
from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestLog, fingerprint
from stepdistill.annotator.simulator.reply import (
    NO_KEY,
    AnswerSource,
    SimulatedReply,
    deliver,
    fail,
    json_reply,
    refuse,
    wait_until_gone,
)
from stepdistill.annotator.simulator.wire import ErrorReply, RefusedRequest, invalid

_LATE = (Fault.LOST, Fault.TORN)  # the work is done, and then something happens


@dataclass(slots=True, kw_only=True)
class IncomingCall:
    """A call that is being served."""

    request: web.Request
    key: str  # the API key's fingerprint
    owner: str  # whose files and batches it sees; empty where all keys share one project
    target: str  # the file or batch that it is about; set by what makes one


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
        key = fingerprint(request.headers.get("Authorization", ""))
        owner = "" if self.settings.one_project else key
        target = request.match_info.get("id", "")
        call = IncomingCall(request=request, key=key, owner=owner, target=target)
        reply: CallReply = SimulatedReply()  # what is logged of a client that goes before its time
        try:
            reply = await self._serve(kind, serve, call, fault)
        finally:
            whole = isinstance(reply, FileRange) and reply.to_end and fault not in _LATE
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


_FILES_LISTED = 10_000  # by a page, at most and where nothing is asked for
_BATCHES_LISTED, _MOST_BATCHES_LISTED = 20, 100


class SimulatedBatchApi:
    """Files and batches of one simulator; they live as long as it does."""

    def __init__(
        self,
        *,
        teacher: AnswerSource,
        settings: SimulatedBatchSettings,
        models: frozenset[str],
        log: RequestLog,
        closing: asyncio.Event,
        allow_anonymous: bool,
    ) -> None:
        self._settings = settings
        self._log = log
        self._epoch_s = time.time() - log.now()  # the calendar's time when the clock was at 0
        self._files = FileStore(settings.folder, log.now)
        self._jobs = BatchJobs(
            teacher=teacher, settings=settings, models=models, files=self._files, log=log
        )
        self._calls = CallHandler(
            settings=settings, log=log, closing=closing, allow_anonymous=allow_anonymous
        )

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """What is served below this prefix."""
        files, batches, wrap = f"{prefix}/files", f"{prefix}/batches", self._calls.wrap
        return [
            web.post(files, wrap(CallKind.UPLOAD, self._upload)),
            web.get(files, wrap(CallKind.FILES, self._list_files)),
            web.get(f"{files}/{{id}}", wrap(CallKind.FILE, self._get_file)),
            web.delete(f"{files}/{{id}}", wrap(CallKind.DELETE, self._delete)),
            web.get(f"{files}/{{id}}/content", wrap(CallKind.DOWNLOAD, self._download)),
            web.post(batches, wrap(CallKind.CREATE, self._create)),
            web.get(batches, wrap(CallKind.BATCHES, self._list_batches)),
            web.get(f"{batches}/{{id}}", wrap(CallKind.BATCH, self._get_batch)),
            web.post(f"{batches}/{{id}}/cancel", wrap(CallKind.CANCEL, self._cancel)),
        ]

    async def close(self) -> None:
        """Do everything that is due by now, for the log, and throw the files away."""
        await self._jobs.settle()
        self._files.close()

    async def _upload(self, call: IncomingCall) -> SimulatedReply:
        if call.request.content_type != "multipart/form-data":
            raise invalid("Expected a multipart/form-data body with 'file' and 'purpose'.")
        writer = self._files.writer()
        try:
            file = await self._receive(call, writer)
        except BaseException:  # also of a client that breaks off, nothing is left
            writer.drop()
            raise
        call.target = file.id
        self._log.batch.record(
            Uploaded(file_id=file.id, key=call.key, sha256=file.sha256, size=file.size)
        )
        return json_reply(file_object(file, self._epoch_s))

    async def _receive(self, call: IncomingCall, writer: FileWriter) -> StoredFile:
        """Stream the form's file to disk; its other fields may stand before or behind it."""
        fields: dict[str, str] = {}
        filename = None
        # Only at the end is it known whether all fields came, and the file is in order.
        async for part in await call.request.multipart():
            if not isinstance(part, BodyPartReader):
                raise invalid("A part of the form is a form of its own.")
            if part.name == "file":
                filename = part.filename or "upload"
                await self._write(part, writer)
            else:
                fields[part.name or ""] = await part.text()
        if filename is None:
            raise invalid("Missing required parameter: 'file'.", "file")
        _check_form(fields, filename)
        kept_s = read_kept_s(_expires_after(fields), "expires_after") or self._settings.kept_s
        return self._files.keep(
            writer,
            owner=call.owner,
            purpose="batch",
            filename=filename,
            created_s=self._log.now(),
            kept_s=kept_s,
        )

    async def _write(self, part: BodyPartReader, writer: FileWriter) -> None:
        most = self._settings.limits.bytes_per_file
        while chunk := await part.read_chunk(CHUNK_BYTES):
            writer.write(chunk)
            if writer.size > most:
                message = f"File is too large: more than {most} bytes."
                raise invalid(message, "file", "file_too_large", status=413)

    async def _list_files(self, call: IncomingCall) -> SimulatedReply:
        query = call.request.query
        files = self._files.all(call.owner)
        if query.get("order", "desc") != "asc":
            files.reverse()
        wanted = [file for file in files if query.get("purpose") in (None, file.purpose)]
        found, more = read_page(wanted, query, _FILES_LISTED, _FILES_LISTED)
        objects = [file_object(file, self._epoch_s) for file in found]
        return json_reply(list_object(objects, more=more))

    async def _get_file(self, call: IncomingCall) -> SimulatedReply:
        return json_reply(file_object(self._find_file(call), self._epoch_s))

    async def _delete(self, call: IncomingCall) -> SimulatedReply:
        file = self._find_file(call)
        self._files.remove(file)
        return json_reply({"id": file.id, "object": "file", "deleted": True})

    async def _download(self, call: IncomingCall) -> FileRange:
        file = self._find_file(call)
        return range_of(call.request, file.path, ranges=self._settings.ranges)

    def _find_file(self, call: IncomingCall) -> StoredFile:
        file = self._files.find(call.target, call.owner)
        if file is None:
            raise invalid(f"No such File object: {call.target}", "id", status=404)
        return file

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        # In this order, so that nothing is scanned of what is refused anyway.
        order = self._order(read_creation(await call.request.read()), call.owner)
        if wait_s := self._jobs.wait_to_create_s(call.owner):
            message = "Too many batches were created; please try again later."
            error = ErrorReply(429, "requests", message, "rate_limit_exceeded")
            raise RefusedRequest(error, round(wait_s, 3))
        if self._settings.limits.enqueued_refused:
            over = await self._jobs.over_tokens(order, call.owner)
            if over:
                raise RefusedRequest(ErrorReply(429, "requests", over.message, over.code))
        batch = self._jobs.create(order, call.owner, call.key)
        call.target = batch.id
        return self._shown(batch, await self._jobs.state(batch))

    def _order(self, asked: AskedBatch, owner: str) -> BatchOrder:
        file = self._files.find(asked.input_file_id, owner)
        if file is not None and file.purpose != "batch":
            message = f"Invalid purpose of the input file: '{file.purpose}', expected 'batch'."
            raise invalid(message, "input_file_id")
        found = file is not None and self._log.now() >= file.created_s + self._settings.hidden_s
        if file is None or not (found or self._settings.hidden_fails):
            raise invalid(f"Cannot find file {asked.input_file_id}.", "input_file_id")
        return BatchOrder(
            input=file,
            metadata=asked.metadata,
            kept_s=asked.output_kept_s or self._settings.kept_s,
            found=found,
        )

    async def _list_batches(self, call: IncomingCall) -> SimulatedReply:
        newest_first = self._jobs.all(call.owner)[::-1]
        limits = _BATCHES_LISTED, _MOST_BATCHES_LISTED
        found, more = read_page(newest_first, call.request.query, *limits)
        objects = [
            batch_object(batch, await self._jobs.state(batch), self._epoch_s) for batch in found
        ]
        return json_reply(list_object(objects, more=more))

    async def _get_batch(self, call: IncomingCall) -> SimulatedReply:
        batch = self._find_batch(call)
        return self._shown(batch, await self._jobs.state(batch))

    async def _cancel(self, call: IncomingCall) -> SimulatedReply:
        batch = self._find_batch(call)
        state = await self._jobs.cancel(batch)
        if state is None:
            status = (await self._jobs.state(batch)).status
            raise invalid(f"Cannot cancel a batch with status '{status}'.")
        return self._shown(batch, state)

    def _find_batch(self, call: IncomingCall) -> SimulatedBatch:
        batch = self._jobs.find(call.target, call.owner)
        if batch is None:
            raise invalid(f"No batch found with id '{call.target}'.", status=404)
        return batch

    def _shown(self, batch: SimulatedBatch, state: BatchState) -> SimulatedReply:
        return json_reply(batch_object(batch, state, self._epoch_s))


def _check_form(fields: dict[str, str], filename: str) -> None:
    purpose = fields.get("purpose")
    if purpose is None:
        raise invalid("Missing required parameter: 'purpose'.", "purpose")
    if purpose != "batch":
        message = f"Invalid value: '{purpose}'. The simulator keeps files for 'batch' alone."
        raise invalid(message, "purpose", "invalid_value")
    if not filename.endswith(".jsonl"):
        raise invalid("Invalid file format for Batch API. Must be .jsonl", "file")


def _expires_after(fields: dict[str, str]) -> dict[str, object] | None:
    """The object that a form's fields of this name stand for; None where there are none."""
    seconds = fields.get("expires_after[seconds]")
    if seconds is None:
        return None
    return {
        "anchor": fields.get("expires_after[anchor]"),
        "seconds": int(seconds) if seconds.isdecimal() else seconds,
    }
