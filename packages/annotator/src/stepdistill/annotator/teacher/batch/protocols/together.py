"""Together: files and batches nearly as OpenAI has them, without metadata, and in other words."""

from collections.abc import AsyncIterator
from pathlib import Path

from stepdistill.annotator.errors import NotFound, Overloaded
from stepdistill.annotator.teacher.batch.http import valid
from stepdistill.annotator.teacher.batch.part import CHAT, BatchPart, RemoteBatch, RemoteFile
from stepdistill.annotator.teacher.batch.protocols.openai import FileBatches
from stepdistill.annotator.teacher.batch.protocols.protocol import (
    an_object,
    form_of,
    objects_of,
    seconds,
    spooled,
)

_STATES = {"canceling": "cancelling", "canceled": "cancelled"}


class TogetherBatches(FileBatches):
    """A batch is found again by its file, of which no other is made."""

    async def upload(self, part: BatchPart, path: Path) -> RemoteFile:
        name = part.remote_name
        lines = self._lines(part, path, lambda key, body: {"custom_id": key, "body": body})
        async with spooled(lines, path.parent) as file:
            form = form_of(file, name, purpose="batch-api", file_name=name, file_type="jsonl")
            return await self._http.read(RemoteFile, "POST", "/files/upload", data=form)

    async def files(self) -> AsyncIterator[RemoteFile]:
        for item in objects_of(await self._http.json("GET", "/files")):
            if item.get("purpose", "batch-api") == "batch-api":
                yield valid(RemoteFile, item)

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        body = {"input_file_id": part.file_id, "endpoint": CHAT, "completion_window": "24h"}
        made = await self._http.json("POST", "/batches", json=body)
        try:
            return _read(made)
        except NotFound as error:  # it may be there all the same: it is looked for
            raise Overloaded(str(error)) from None

    async def batch(self, batch_id: str) -> RemoteBatch:
        return _read(await self._http.json("GET", f"/batches/{batch_id}"))

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        found = map(_read, objects_of(await self._http.json("GET", "/batches")))
        for batch in sorted(found, key=lambda batch: -batch.created_at):
            yield batch

    async def cancel(self, batch_id: str) -> bool:
        return await self._ask_to_cancel(f"/batches/{batch_id}/cancel")


def _read(reply: object) -> RemoteBatch:
    job = an_object(reply, "a batch")
    job = an_object(job.get("job", job), "a batch")
    state, problem = str(job.get("status", "")).lower(), job.get("error")
    if "id" not in job:
        raise NotFound(f"no batch in the reply: {job!r:.80}")
    return valid(
        RemoteBatch,
        {
            **{name: job.get(name) for name in ("id", "input_file_id", "output_file_id")},
            "error_file_id": job.get("error_file_id"),
            "status": _STATES.get(state, state),
            "created_at": seconds(job.get("created_at")),
            "errors": {"data": [{"message": str(problem)}]} if problem else None,
        },
    )
