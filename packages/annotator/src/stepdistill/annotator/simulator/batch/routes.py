"""The Files and Batches endpoints of OpenAI: what each URL does."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from aiohttp import BodyPartReader, web

from stepdistill.annotator.simulator.batch.calls import IncomingCall
from stepdistill.annotator.simulator.batch.desk import BatchDesk, lines_in
from stepdistill.annotator.simulator.batch.files import (
    CHUNK_BYTES,
    FileRange,
    FileWriter,
    StoredFile,
    range_of,
)
from stepdistill.annotator.simulator.batch.jobs import (
    BatchOrder,
    BatchState,
    SimulatedBatch,
)
from stepdistill.annotator.simulator.batch.log import CallKind, Uploaded
from stepdistill.annotator.simulator.batch.rows import ENDPOINT, RESPONSES
from stepdistill.annotator.simulator.batch.wire import (
    AskedBatch,
    batch_object,
    file_object,
    list_object,
    read_creation,
    read_kept_s,
    read_page,
)
from stepdistill.annotator.simulator.dialects.responses import SpokenResponses
from stepdistill.annotator.simulator.reply import (
    SimulatedReply,
    json_reply,
)
from stepdistill.annotator.simulator.wire import invalid

_FILES_LISTED = 10_000  # by a page, at most and where nothing is asked for
_BATCHES_LISTED, _MOST_BATCHES_LISTED = 20, 100


class SimulatedBatchApi(BatchDesk):
    """Files and batches as OpenAI has them."""

    _purpose: ClassVar[str] = "batch"  # that files are sent for
    _name: ClassVar[str] = "batches"  # of what is created, in its address

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """What is served below this prefix."""
        files, batches, wrap = f"{prefix}/files", f"{prefix}/{self._name}", self._calls.wrap
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
        return json_reply(self._file_object(file))

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
        _check_form(fields, filename, self._purpose)
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
        objects = [self._file_object(file) for file in found]
        return json_reply(list_object(objects, more=more))

    async def _get_file(self, call: IncomingCall) -> SimulatedReply:
        return json_reply(self._file_object(self._find_file(call)))

    async def _delete(self, call: IncomingCall) -> SimulatedReply:
        file = self._find_file(call)
        self._files.remove(file)
        return json_reply({"id": file.id, "object": "file", "deleted": True})

    async def _download(self, call: IncomingCall) -> FileRange:
        file = self._find_file(call)
        return range_of(call.request, file.path, ranges=self._settings.ranges)

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        # In this order, so that nothing is scanned of what is refused anyway.
        order = self._read_order(read_creation(await call.request.read()), call.owner)
        batch = await self._order(order, call)
        return self._shown(batch, await self._jobs.state(batch))

    def _read_order(self, asked: AskedBatch, owner: str) -> BatchOrder:
        file, found = self._input(asked.input_file_id, owner)
        kept_s = asked.output_kept_s or self._settings.kept_s
        order = BatchOrder(input=file, metadata=asked.metadata, kept_s=kept_s, found=found)
        if asked.endpoint != RESPONSES:
            return order
        spoken = SpokenResponses()
        return replace(order, input=self._translated(_in_chat(file, spoken), file), spoken=spoken)

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

    def _file_object(self, file: StoredFile) -> Mapping[str, object]:
        return file_object(file, self._epoch_s)

    def _shown(self, batch: SimulatedBatch, state: BatchState) -> SimulatedReply:
        return json_reply(batch_object(batch, state, self._epoch_s))


def _in_chat(file: StoredFile, spoken: SpokenResponses) -> Iterator[Mapping[str, object]]:
    """Lines for Responses as those of chat; raises RefusedRequest."""
    for line in lines_in(file):
        if line.get("url") != RESPONSES or not isinstance(line.get("body"), dict):
            raise invalid("The URL provided does not match the batch's endpoint.", "url")
        yield {**line, "url": ENDPOINT, "body": spoken.chat_of(line["body"])}


def _check_form(fields: dict[str, str], filename: str, wanted: str) -> None:
    purpose = fields.get("purpose")
    if purpose is None:
        raise invalid("Missing required parameter: 'purpose'.", "purpose")
    if purpose != wanted:
        message = f"Invalid value: '{purpose}'. The simulator keeps files for '{wanted}' alone."
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
