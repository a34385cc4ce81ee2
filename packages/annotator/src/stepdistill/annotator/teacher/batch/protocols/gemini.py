"""Gemini's batches: an operation over a file of requests, found again by its display name."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stepdistill.annotator.errors import BadRequest, NotAuthorised, NotFound, Overloaded
from stepdistill.annotator.teacher.batch.http import download_lines, valid
from stepdistill.annotator.teacher.batch.part import BatchPart, RemoteBatch, RemoteFile
from stepdistill.annotator.teacher.batch.protocols.protocol import (
    BatchFileApi,
    Tell,
    an_object,
    objects_of,
    seconds,
    spooled,
    state_of,
)
from stepdistill.annotator.teacher.body import object_in

# Behind BATCH_STATE_ or JOB_STATE_.
_STATES = {
    "UNSPECIFIED": "validating",
    "QUEUED": "validating",
    "PENDING": "validating",
    "PAUSED": "in_progress",
    "RUNNING": "in_progress",
    "UPDATING": "in_progress",
    "SUCCEEDED": "completed",
    "PARTIALLY_SUCCEEDED": "completed",
    "FAILED": "failed",
    "CANCELLING": "cancelling",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}
# The HTTP statuses that Google's codes stand for.
_STATUSES = {
    **{1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409},
    **{11: 400, 12: 501, 13: 500, 14: 503, 15: 500, 16: 401},
}
_CANCELLED = 1
_FILE = re.compile(r"\bfiles?\b", re.IGNORECASE)
_INLINE = "batches/"  # an id of results that come with their batch


class GeminiBatches(BatchFileApi):
    """Files are kept for 48 hours, and so are results."""

    async def upload(self, part: BatchPart, path: Path) -> RemoteFile:
        lines = self._lines(part, path, lambda key, body: {"key": key, "request": body})
        async with spooled(lines, path.parent) as file:
            size = file.seek(0, 2)
            file.seek(0)
            address = await self._begin(part.remote_name, size)
            ends = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
            sent = await self._http.json("POST", address, data=file, headers=ends)
        return _file(an_object(sent, "an upload").get("file"))

    async def _begin(self, name: str, size: int) -> str:
        """The address that a file is sent to."""
        begins = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        }
        named = {"file": {"displayName": name, "mimeType": "application/jsonl"}}
        where = urlsplit(self._teacher.url_of("/files"))
        uploads = where._replace(path=f"/upload{where.path}").geturl()
        async with self._http.reply("POST", uploads, json=named, headers=begins) as reply:
            await reply.read()
            address = reply.headers.get("X-Goog-Upload-URL")
        if not address:
            raise Overloaded("the teacher names no address to send a file to")
        return address

    async def files(self) -> AsyncIterator[RemoteFile]:
        async for item in self._tokened("/files", "files"):
            yield _file(item)

    async def delete_file(self, file_id: str) -> None:
        with suppress(NotFound), _gone_is_not_found():
            await self._http.json("DELETE", f"/{file_id}")

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        batch = {"displayName": part.label, "inputConfig": {"fileName": part.file_id}}
        model = part.model.removeprefix("models/")
        call = f"/models/{model}:batchGenerateContent"
        try:
            with _gone_is_not_found():
                return _read(await self._http.json("POST", call, json={"batch": batch}))
        except NotFound as error:
            if _FILE.search(str(error)):
                raise
            raise BadRequest(str(error)) from None  # the model is not there, or takes no batches

    async def batch(self, batch_id: str) -> RemoteBatch:
        return _read(await self._http.json("GET", f"/{batch_id}"))

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        async for item in self._tokened("/batches", "operations"):
            yield _read(item)

    async def cancel(self, batch_id: str) -> bool:
        return await self._ask_to_cancel(f"/{batch_id}:cancel")

    async def lines(self, file_id: str, tell: Tell) -> AsyncGenerator[bytes]:
        if file_id.startswith(_INLINE):
            found = an_object(await self._http.json("GET", f"/{file_id}"), file_id)
            inlined = object_in(_output(found).get("inlinedResponses")) or {}
            for item in objects_of(inlined.get("inlinedResponses")):
                yield json.dumps(item).encode()
            return
        path, query = f"/{file_id}:download", {"alt": "media"}
        with _gone_is_not_found():
            async for line in download_lines(self._http, path, file_id, None, tell, query):
                yield line

    def is_of(self, batch: RemoteBatch, part: BatchPart) -> bool | None:
        return batch.label == part.label

    def as_openai(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of {"key": "...", "response": {...}}, or with an error in its place."""
        name = line.get("key") or (object_in(line.get("metadata")) or {}).get("key")
        error = object_in(line.get("error")) or object_in(line.get("status"))
        if error is None:
            reply = {"status_code": 200, "body": line.get("response")}
            return {"custom_id": name, "response": reply}
        code = error.get("code")
        if code == _CANCELLED:
            return {"custom_id": name, "error": {"code": "batch_cancelled", **error}}
        status = _STATUSES.get(code, code) if isinstance(code, int) else 500
        return {"custom_id": name, "response": {"status_code": status, "body": {"error": error}}}

    async def _tokened(self, path: str, what: str) -> AsyncIterator[Any]:
        """The items of a list each of whose pages names the next one."""
        query = {"pageSize": "100"}
        while True:
            page = an_object(await self._http.json("GET", path, params=query), path)
            for item in objects_of(page.get(what) or []):
                yield item
            token = page.get("nextPageToken")
            if not token:
                return
            query["pageToken"] = str(token)


def _output(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    about = object_in(operation.get("metadata")) or {}
    return object_in(operation.get("response")) or object_in(about.get("output")) or {}


@contextmanager
def _gone_is_not_found() -> Generator[None]:
    """It says of a file that is not there that it may not be seen."""
    try:
        yield
    except NotAuthorised as error:
        if "not exist" not in str(error):
            raise
        raise NotFound(str(error)) from None


def _file(reply: object) -> RemoteFile:
    file = an_object(reply, "a file")
    name = file.get("displayName") or file.get("display_name") or ""
    return valid(RemoteFile, {"id": file.get("name"), "filename": name})


def _read(reply: object) -> RemoteBatch:
    operation = an_object(reply, "a batch")
    about = object_in(operation.get("metadata")) or {}
    stats = object_in(about.get("batchStats")) or {}
    output = _output(operation)
    state = str(about.get("state", "UNSPECIFIED"))
    for prefix in ("BATCH_STATE_", "JOB_STATE_"):
        state = state.removeprefix(prefix)
    status, error = state_of(state, _STATES), object_in(operation.get("error"))
    if error is not None and status not in ("cancelled", "expired"):
        status = "failed"
    counts = {
        "total": stats.get("requestCount") or 0,
        "completed": stats.get("successfulRequestCount") or 0,
        "failed": stats.get("failedRequestCount") or 0,
    }
    problem = {"message": str((error or {}).get("message") or "it failed")}
    return valid(
        RemoteBatch,
        {
            "id": operation.get("name"),
            "status": status,
            "created_at": seconds(about.get("createTime")),
            "output_file_id": output.get("responsesFile")
            or (operation.get("name") if output.get("inlinedResponses") else None),
            "errors": {"data": [problem]} if status == "failed" else None,
            "request_counts": counts if stats else None,
            "label": about.get("displayName"),
        },
    )
