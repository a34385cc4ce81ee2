"""Mistral's batch jobs: files as OpenAI has them, jobs of their own with metadata."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from stepdistill.annotator.teacher.batch.http import valid
from stepdistill.annotator.teacher.batch.part import CHAT, BatchPart, RemoteBatch, RemoteFile
from stepdistill.annotator.teacher.batch.protocols.openai import FileBatches
from stepdistill.annotator.teacher.batch.protocols.protocol import (
    an_object,
    form_of,
    objects_of,
    seconds,
    spooled,
    state_of,
)
from stepdistill.annotator.teacher.body import object_in

_JOBS = "/batch/jobs"
_HOURS = 24
_STATES = {
    "QUEUED": "validating",
    "RUNNING": "in_progress",
    "SUCCESS": "completed",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLATION_REQUESTED": "cancelling",
    "CANCELLED": "cancelled",
}


class MistralBatches(FileBatches):
    """The model is the job's, and no line names it."""

    async def upload(self, part: BatchPart, path: Path) -> RemoteFile:
        lines = self._lines(part, path, _line)
        async with spooled(lines, path.parent) as file:
            form = form_of(file, part.remote_name, purpose="batch")
            return _file(await self._http.json("POST", "/files", data=form))

    async def files(self) -> AsyncIterator[RemoteFile]:
        async for item in self._numbered("/files", {"purpose": "batch"}):
            yield _file(item)

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        body = {
            "input_files": [part.file_id],
            "endpoint": CHAT,
            "model": part.model,
            "metadata": part.metadata,
            "timeout_hours": _HOURS,
        }
        return _read(await self._http.json("POST", _JOBS, json=body))

    async def batch(self, batch_id: str) -> RemoteBatch:
        return _read(await self._http.json("GET", f"{_JOBS}/{batch_id}"))

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        async for item in self._numbered(_JOBS, {"order_by": "-created"}):
            yield _read(item)

    async def cancel(self, batch_id: str) -> bool:
        return await self._ask_to_cancel(f"{_JOBS}/{batch_id}/cancel")

    async def _numbered(self, path: str, query: dict[str, str]) -> AsyncIterator[Any]:
        """The items of a list whose pages are numbered from 0."""
        number, size = 0, 100
        while True:
            asked = {**query, "page": str(number), "page_size": str(size)}
            items = objects_of(await self._http.json("GET", path, params=asked))
            for item in items:
                yield item
            if len(items) < size:
                return
            number += 1


def _line(key: str, body: Mapping[str, object]) -> object:
    return {"custom_id": key, "body": {k: v for k, v in body.items() if k != "model"}}


def _file(reply: object) -> RemoteFile:
    return valid(RemoteFile, an_object(reply, "a file"))


def _read(reply: object) -> RemoteBatch:
    job = an_object(reply, "a job")
    inputs: list[Any] = job.get("input_files") or [None]
    status = state_of(job.get("status"), _STATES)
    if status == "failed" and job.get("output_file"):
        status = "completed"  # some of it was done, and is paid
    problems = [{"message": str(each.get("message"))} for each in objects_of(job.get("errors"))]
    metadata = object_in(job.get("metadata")) or {}
    return valid(
        RemoteBatch,
        {
            "id": job.get("id"),
            "status": status,
            "created_at": seconds(job.get("created_at")),
            "input_file_id": inputs[0],
            "output_file_id": job.get("output_file"),
            "error_file_id": job.get("error_file"),
            "errors": {"data": problems} if status == "failed" else None,
            "request_counts": {
                "total": job.get("total_requests") or 0,
                "completed": job.get("succeeded_requests") or 0,
                "failed": job.get("failed_requests") or 0,
            },
            "metadata": {k: str(v) for k, v in metadata.items()},
        },
    )
