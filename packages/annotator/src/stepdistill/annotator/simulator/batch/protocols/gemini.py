"""Gemini's batches: operations over requests in the creation or in a file, and files of its own."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.batch.calls import CallReply, IncomingCall
from stepdistill.annotator.simulator.batch.desk import BatchDesk, lines_in
from stepdistill.annotator.simulator.batch.files import CHUNK_BYTES, StoredFile, range_of
from stepdistill.annotator.simulator.batch.jobs import BatchOrder, SimulatedBatch, Status
from stepdistill.annotator.simulator.batch.log import CallKind, Uploaded
from stepdistill.annotator.simulator.dialects.gemini import SpokenGemini
from stepdistill.annotator.simulator.reply import SimulatedReply, json_reply
from stepdistill.annotator.simulator.wire import invalid, missing, read_object

_ROOT, _PER_PAGE = "/v1beta", 50
_STATES: Mapping[Status, str] = {"validating": "PENDING", "completed": "SUCCEEDED"}
_RUNNING = frozenset(("in_progress", "finalizing", "cancelling"))
_SPOKEN = SpokenGemini()
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14}


class SimulatedGemini(BatchDesk):
    """A file goes up in two calls; results stand in a file where the requests did."""

    @cached_property
    def _begun(self) -> dict[str, IncomingCall]:
        """Uploads that were begun, by what their addresses end with."""
        return {}

    def routes(self, prefix: str) -> list[web.RouteDef]:
        wrap = self._calls.wrap
        batches, files, models = f"{_ROOT}/batches", f"{_ROOT}/files", f"{_ROOT}/models"
        create = wrap(CallKind.CREATE, self._create)
        return [
            web.post(f"/upload{files}", wrap(CallKind.START, self._start)),
            web.post(f"/upload{files}/{{name}}", wrap(CallKind.UPLOAD, self._upload)),
            web.get(files, wrap(CallKind.FILES, self._list_files)),
            web.get(f"{files}/{{name}}:download", wrap(CallKind.DOWNLOAD, self._download)),
            web.get(f"{files}/{{name}}", wrap(CallKind.FILE, self._get_file)),
            web.delete(f"{files}/{{name}}", wrap(CallKind.DELETE, self._delete)),
            web.post(f"{models}/{{model}}:batchGenerateContent", create),
            web.get(batches, wrap(CallKind.BATCHES, self._list_batches)),
            web.get(f"{batches}/{{name}}", wrap(CallKind.BATCH, self._get_batch)),
            web.post(f"{batches}/{{name}}:cancel", wrap(CallKind.CANCEL, self._cancel)),
        ]

    async def _start(self, call: IncomingCall) -> SimulatedReply:
        file = read_object(await call.request.read()).get("file")
        fields = cast("dict[str, Any]", file) if isinstance(file, dict) else {}
        name = fields.get("displayName") or fields.get("display_name") or "file"
        # Whoever has the address needs no key for it.
        ticket = uuid.uuid4().hex
        self._begun[ticket] = replace(call, target=str(name))
        reply = json_reply({})
        reply.headers["X-Goog-Upload-URL"] = str(call.request.url.with_query(None) / ticket)
        reply.headers["X-Goog-Upload-Status"] = "active"
        return reply

    async def _upload(self, call: IncomingCall) -> SimulatedReply:
        begun = self._begun.get(call.request.match_info["name"])
        if begun is None:
            raise invalid("Upload not found.", status=404)
        call.key, call.owner = begun.key, begun.owner
        command = call.request.headers.get("X-Goog-Upload-Command", "")
        if "finalize" not in command:
            raise invalid(f"The simulator takes a file in one call, not by '{command}'.")
        writer = self._files.writer()
        try:
            async for chunk in call.request.content.iter_chunked(CHUNK_BYTES):
                writer.write(chunk)
        except BaseException:
            writer.drop()
            raise
        file = self._files.keep(
            writer,
            owner=call.owner,
            purpose="batch",
            filename=begun.target,
            created_s=self._log.now(),
            kept_s=self._settings.kept_s,
        )
        call.target = file.id
        self._log.batch.record(
            Uploaded(file_id=file.id, key=call.key, sha256=file.sha256, size=file.size)
        )
        reply = json_reply({"file": self._file_object(file)})
        reply.headers["X-Goog-Upload-Status"] = "final"
        return reply

    async def _list_files(self, call: IncomingCall) -> SimulatedReply:
        found, more = _page(self._files.all(call.owner)[::-1], call)
        return json_reply({"files": [self._file_object(file) for file in found], **more})

    async def _get_file(self, call: IncomingCall) -> SimulatedReply:
        return json_reply(self._file_object(self._named_file(call)))

    async def _delete(self, call: IncomingCall) -> SimulatedReply:
        self._files.remove(self._named_file(call))
        return json_reply({})

    async def _download(self, call: IncomingCall) -> CallReply:
        file = self._named_file(call)
        path = _results_of(file) if file.purpose == "batch_output" else file.path
        return range_of(call.request, path, ranges=self._settings.ranges)

    def _named_file(self, call: IncomingCall) -> StoredFile:
        call.target = call.request.match_info["name"]
        file = self._files.find(call.target, call.owner)
        if file is None:
            message = (
                f"You do not have permission to access the File {call.target} or it may not exist."
            )
            raise invalid(message, status=403)
        return file

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        model = call.request.match_info["model"]
        batch = read_object(await call.request.content.read()).get("batch")
        fields = cast("dict[str, Any]", batch) if isinstance(batch, dict) else {}
        config: dict[str, Any] = fields.get("inputConfig") or {}
        requests: dict[str, Any] = config.get("requests") or {}
        name, inline = config.get("fileName"), requests.get("requests")
        if isinstance(name, str):
            call.request.match_info["name"] = name.removeprefix("files/")
            file = self._named_file(call)
            asked = self._translated(_lines(lines_in(file), model), file)
        elif inline:
            asked = self._translated(_lines(inline, model))
        else:
            raise missing("batch.inputConfig")
        about = {"displayName": str(fields.get("displayName", "")), "inline": str(not name)}
        order = BatchOrder(input=asked, metadata=about, kept_s=self._settings.kept_s, one_file=True)
        return json_reply(await self._operation(await self._order(order, call)))

    async def _list_batches(self, call: IncomingCall) -> SimulatedReply:
        found, more = _page(self._jobs.all(call.owner)[::-1], call)
        shown = [await self._operation(batch) for batch in found]
        return json_reply({"operations": shown, **more})

    async def _get_batch(self, call: IncomingCall) -> SimulatedReply:
        batch = self._named_batch(call)
        shown = await self._operation(batch)
        call.to_end = _is_inline(batch) and "response" in shown
        if call.to_end:
            self._results(batch, call)
        return json_reply(shown)

    async def _cancel(self, call: IncomingCall) -> SimulatedReply:
        if await self._jobs.cancel(self._named_batch(call)) is None:
            raise invalid("The batch has ended and cannot be cancelled.")
        return json_reply({})

    def _named_batch(self, call: IncomingCall) -> SimulatedBatch:
        call.target = call.request.match_info["name"]
        return self._find_batch(call)

    def _file_object(self, file: StoredFile) -> Mapping[str, object]:
        return {
            "name": f"files/{file.id}",
            "displayName": file.filename,
            "mimeType": "application/jsonl",
            "sizeBytes": str(file.size),
            "createTime": self._time(file.created_s),
            "expirationTime": self._time(file.expires_s),
            "state": "ACTIVE",
            "source": "UPLOADED" if file.purpose == "batch" else "GENERATED",
        }

    async def _operation(self, batch: SimulatedBatch) -> Mapping[str, object]:
        state, rows = await self._jobs.state(batch), batch.rows
        n = sum(1 for _ in lines_in(batch.order.input))
        done, failed = (rows.completed, rows.failed) if rows else (0, 0)
        word = "RUNNING" if state.status in _RUNNING else _STATES.get(state.status)
        metadata: dict[str, object] = {
            "model": f"models/{next(lines_in(batch.order.input))['body']['model']}",
            "displayName": (batch.order.metadata or {})["displayName"],
            "state": f"BATCH_STATE_{word or state.status.upper()}",
            "createTime": self._time(batch.timeline.created_s),
            "batchStats": {
                "requestCount": str(n),
                **({"successfulRequestCount": str(done)} if done else {}),
                **({"failedRequestCount": str(failed)} if failed else {}),
                **({"pendingRequestCount": str(n - done - failed)} if not state.over else {}),
            },
        }
        shown: dict[str, object] = {"name": f"batches/{batch.id}", "metadata": metadata}
        if state.over:
            shown["done"] = True
        if state.status == "failed":
            message = "; ".join(error.message for error in batch.errors or ())
            shown["error"] = {"code": 3, "message": message}
        elif state.over and batch.output:
            shown["response"] = metadata["output"] = _output(batch, batch.output)
        return shown


def _is_inline(batch: SimulatedBatch) -> bool:
    return (batch.order.metadata or {}).get("inline") == "True"


def _output(batch: SimulatedBatch, file: StoredFile) -> Mapping[str, object]:
    if not _is_inline(batch):
        return {"responsesFile": f"files/{file.id}"}
    turn = {line["custom_id"]: n for n, line in enumerate(lines_in(batch.order.input))}
    # Within a batch they come in the order of the requests, which need no names.
    found = sorted(lines_in(file), key=lambda line: turn.get(line["custom_id"], len(turn)))
    lines = [_result(line, is_inline=True) for line in found]
    return {"inlinedResponses": {"inlinedResponses": lines}}


def _lines(items: Iterator[Any] | list[Any], model: str) -> Iterator[Mapping[str, object]]:
    for number, item in enumerate(items):
        metadata: dict[str, Any] = item.get("metadata") or {}
        key = item.get("key") or metadata.get("key") or str(number)
        if not isinstance(item.get("request"), dict):
            raise invalid("Each line needs a 'request'.", "request")
        yield {"custom_id": key, "body": _SPOKEN.chat_of(item["request"], model)}


def _results_of(file: StoredFile) -> Path:
    """A file of results as it is sent; made once."""
    path = file.path.with_suffix(".results")
    if not path.exists():
        lines = (
            orjson.dumps(_result(line), option=orjson.OPT_APPEND_NEWLINE) for line in lines_in(file)
        )
        path.write_bytes(b"".join(lines))
    return path


def _result(line: Mapping[str, Any], *, is_inline: bool = False) -> Mapping[str, object]:
    key, response = line["custom_id"], line["response"]
    name: dict[str, object] = {"metadata": {"key": key}} if is_inline else {"key": key}
    if response is None:
        code = {"batch_expired": 4, "batch_cancelled": 1}.get(line["error"]["code"], 13)
        return {**name, "error": {"code": code, "message": line["error"]["message"]}}
    if response["status_code"] == 200:
        return {**name, "response": _SPOKEN.answer(response["body"], {})}
    message, code = response["body"]["error"]["message"], _CODES.get(response["status_code"], 13)
    return {**name, "error": {"code": code, "message": message}}


def _page(items: list[Any], call: IncomingCall) -> tuple[list[Any], Mapping[str, object]]:
    """A page of items, and what says where the next one begins."""
    query = call.request.query
    start = int(query.get("pageToken") or 0)
    end = start + int(query.get("pageSize") or _PER_PAGE)
    return items[start:end], {"nextPageToken": str(end)} if end < len(items) else {}
