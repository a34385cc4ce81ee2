"""Anthropic's Message Batches: requests go with the creation, and a batch bears nothing of ours but
the names of its requests, which only its results tell."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from stepdistill.annotator.teacher.batch.http import download_lines, valid
from stepdistill.annotator.teacher.batch.part import BatchPart, RemoteBatch
from stepdistill.annotator.teacher.batch.protocols.protocol import (
    JSON,
    BatchApi,
    Tell,
    an_object,
    joined,
    seconds,
    spooled,
    state_of,
)
from stepdistill.annotator.teacher.body import object_in

_BATCHES = "/messages/batches"
_STATES = {"in_progress": "in_progress", "canceling": "cancelling", "ended": "completed"}
# The HTTP statuses that the kinds of its errors stand for.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches(BatchApi):
    """A batch holds requests and results until 29 days after its creation."""

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        requests = (
            orjson.dumps({"custom_id": name, "params": body})
            for name, body in self._sent(part, path)
        )
        async with spooled(joined(b'{"requests":[', requests, b"]}"), path.parent) as body:
            return _read(await self._http.json("POST", _BATCHES, data=body, headers=JSON))

    async def batch(self, batch_id: str) -> RemoteBatch:
        return _read(await self._http.json("GET", f"{_BATCHES}/{batch_id}"))

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        async for item in self._pages(_BATCHES, {}, "after_id"):
            yield _read(item)

    async def cancel(self, batch_id: str) -> bool:
        return await self._ask_to_cancel(f"{_BATCHES}/{batch_id}/cancel")

    async def lines(self, file_id: str, tell: Tell) -> AsyncGenerator[bytes]:
        path = f"{_BATCHES}/{file_id}/results"
        async for line in download_lines(self._http, path, f"results of {file_id}", None, tell):
            yield line

    def is_of(self, batch: RemoteBatch, part: BatchPart) -> bool | None:
        return None if batch.counts.total == part.requests else False

    def as_openai(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of {"custom_id": "...", "result": {"type": "succeeded", "message": {...}}}."""
        result = object_in(line.get("result"))
        if result is None:
            return line
        kind, name = result.get("type"), line.get("custom_id")
        if kind == "succeeded":
            reply = {"status_code": 200, "body": result.get("message")}
            return {"custom_id": name, "response": reply}
        if kind in ("canceled", "expired"):
            code = "batch_expired" if kind == "expired" else "batch_cancelled"
            return {"custom_id": name, "error": {"code": code, "message": f"it is {kind}"}}
        whole = object_in(result.get("error")) or {}
        error = object_in(whole.get("error")) or whole
        reply = {"status_code": _STATUSES.get(str(error.get("type")), 500), "body": whole}
        return {"custom_id": name, "response": reply}


def _read(reply: object) -> RemoteBatch:
    batch = an_object(reply, "a batch")
    counts: dict[str, int] = batch.get("request_counts") or {}
    status = state_of(batch.get("processing_status"), _STATES)
    if status == "completed" and batch.get("cancel_initiated_at"):
        status = "cancelled"
    done = counts.get("succeeded", 0)
    return valid(
        RemoteBatch,
        {
            "id": batch.get("id"),
            "status": status,
            "created_at": seconds(batch.get("created_at")),
            "output_file_id": batch.get("id") if batch.get("ended_at") else None,
            "request_counts": {
                "total": sum(counts.values()),
                "completed": done,
                "failed": sum(counts.values()) - done - counts.get("processing", 0),
            },
        },
    )
