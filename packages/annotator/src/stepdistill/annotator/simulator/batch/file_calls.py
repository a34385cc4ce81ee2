"""Serving the Files endpoints."""

from collections.abc import Callable

import orjson
from aiohttp import BodyPartReader, web

from stepdistill.annotator.simulator.batch.books import BatchBooks, CallKind, Uploaded
from stepdistill.annotator.simulator.batch.door import BatchRoutes, Caller, Served
from stepdistill.annotator.simulator.batch.file_delivery import stretch
from stepdistill.annotator.simulator.batch.file_shelf import FileStore, Sink, StoredFile
from stepdistill.annotator.simulator.batch.plan import SimulatedBatchSettings
from stepdistill.annotator.simulator.batch.wire import (
    ToUnix,
    file_object,
    invalid,
    list_object,
    page,
    read_kept_s,
    read_limit,
)
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.reply import SimulatedReply

_CHUNK_BYTES = 1 << 18
_MOST_LISTED = 10_000


class FileCalls:
    """What `POST /files`, `GET /files` and the rest do."""

    def __init__(
        self,
        *,
        settings: SimulatedBatchSettings,
        shelf: FileStore,
        books: BatchBooks,
        clock: Callable[[], float],
        unix: ToUnix,
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._books = books
        self._clock = clock
        self._unix = unix

    def add_routes(self, router: web.UrlDispatcher, prefix: str, door: BatchRoutes) -> None:
        """Serve below this prefix."""
        router.add_post(f"{prefix}/files", door.handler(CallKind.UPLOAD, self._upload))
        router.add_get(f"{prefix}/files", door.handler(CallKind.FILES, self._list))
        router.add_get(f"{prefix}/files/{{id}}", door.handler(CallKind.FILE, self._get))
        router.add_delete(f"{prefix}/files/{{id}}", door.handler(CallKind.DELETE, self._delete))
        content = f"{prefix}/files/{{id}}/content"
        router.add_get(content, door.handler(CallKind.DOWNLOAD, self._download))

    async def _upload(self, request: web.Request, caller: Caller) -> Served:
        if request.content_type != "multipart/form-data":
            raise invalid("Expected a multipart/form-data body with 'file' and 'purpose'.")
        sink = self._shelf.sink()
        try:
            file = await self._receive(request, caller, sink)
        except BaseException:
            sink.drop()
            raise
        self._books.record(
            Uploaded(file_id=file.id, key=caller.key, sha256=file.sha256, size=file.size)
        )
        return Served(target=file.id, reply=_json(file_object(file, self._unix)))

    async def _receive(self, request: web.Request, caller: Caller, sink: Sink) -> StoredFile:
        """Stream the form's file to disk; its other fields may stand before or behind it."""
        fields: dict[str, str] = {}
        filename = None
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise invalid("A part of the form is a form of its own.")
            if part.name == "file":
                filename = part.filename or "upload"
                await self._write(part, sink)
            else:
                fields[part.name or ""] = await part.text()
        if filename is None:
            raise invalid("Missing required parameter: 'file'.", "file")
        _check_form(fields, filename)
        kept_s = read_kept_s(_expires_after(fields), "expires_after") or self._settings.kept_s
        return self._shelf.keep(
            sink,
            owner=caller.owner,
            purpose="batch",
            filename=filename,
            created_s=self._clock(),
            kept_s=kept_s,
        )

    async def _write(self, part: BodyPartReader, sink: Sink) -> None:
        most = self._settings.limits.bytes_per_file
        while chunk := await part.read_chunk(_CHUNK_BYTES):
            sink.write(chunk)
            if sink.size > most:
                message = f"File is too large: more than {most} bytes."
                raise invalid(message, "file", "file_too_large", status=413)

    async def _list(self, request: web.Request, caller: Caller) -> Served:
        limit = read_limit(request.query, _MOST_LISTED, _MOST_LISTED)
        files = self._shelf.all(caller.owner)
        if request.query.get("order", "desc") != "asc":
            files.reverse()
        purpose = request.query.get("purpose")
        wanted = [file for file in files if purpose in (None, file.purpose)]
        found = page(wanted, [file.id for file in wanted], request.query, limit)
        objects = [file_object(file, self._unix) for file in found[:limit]]
        body = list_object(objects, more=len(found) > limit)
        return Served(
            target="", reply=SimulatedReply(outcome=RequestOutcome(status=200), body=body)
        )

    async def _get(self, request: web.Request, caller: Caller) -> Served:
        file = self._find(request, caller)
        return Served(target=file.id, reply=_json(file_object(file, self._unix)))

    async def _delete(self, request: web.Request, caller: Caller) -> Served:
        file = self._find(request, caller)
        self._shelf.remove(file)
        reply = _json({"id": file.id, "object": "file", "deleted": True})
        return Served(target=file.id, reply=reply)

    async def _download(self, request: web.Request, caller: Caller) -> Served:
        file = self._find(request, caller)
        part = stretch(request, file.path, ranges=self._settings.ranges)
        return Served(target=file.id, reply=part)

    def _find(self, request: web.Request, caller: Caller) -> StoredFile:
        name = request.match_info["id"]
        file = self._shelf.find(name, caller.owner)
        if file is None:
            raise invalid(f"No such File object: {name}", "id", status=404)
        return file


def _json(fields: dict[str, object]) -> SimulatedReply:
    return SimulatedReply(outcome=RequestOutcome(status=200), body=orjson.dumps(fields))


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
    seconds = fields.get("expires_after[seconds]")
    if seconds is None:
        return None
    return {
        "anchor": fields.get("expires_after[anchor]"),
        "seconds": int(seconds) if seconds.isdecimal() else seconds,
    }
