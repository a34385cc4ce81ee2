"""OpenRouter's batches: requests go with the creation, results come with the batch. It keeps no
metadata, and has no way to cancel."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from stepdistill.annotator.errors import BadRequest, NotFound
from stepdistill.annotator.teacher.batch.http import valid
from stepdistill.annotator.teacher.batch.part import CHAT, BatchPart, RemoteBatch
from stepdistill.annotator.teacher.batch.protocols.protocol import (
    JSON,
    BatchApi,
    Tell,
    an_object,
    joined,
    objects_of,
    seconds,
    spooled,
)
from stepdistill.annotator.teacher.body import object_in

_BATCHES = "/batches"


class OpenRouterBatches(BatchApi):
    """A batch is made of one call, and whoever holds a key of the same workspace sees it."""

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        requests = (
            orjson.dumps({"custom_id": name, "body": body}) for name, body in self._sent(part, path)
        )
        # It reads the body as it comes, and has to know these before the requests.
        about = {"endpoint": CHAT, "model": part.model, "completion_window": "24h"}
        head = orjson.dumps(about)[:-1] + b',"requests":['
        async with spooled(joined(head, requests, b"]}"), path.parent) as body:
            return _read(await self._http.json("POST", _BATCHES, data=body, headers=JSON))

    async def batch(self, batch_id: str) -> RemoteBatch:
        return _read(await self._http.json("GET", f"{_BATCHES}/{batch_id}"))

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        async for item in self._pages(_BATCHES, {}, "after"):
            yield _read(item)

    async def cancel(self, batch_id: str) -> bool:
        return False

    async def lines(self, file_id: str, tell: Tell) -> AsyncGenerator[bytes]:
        cursor: str | None = None
        while True:
            page = await self._results(file_id, cursor)
            for item in objects_of(page.get("data") or page.get("results")):
                # Halves of characters, too, as they came.
                yield json.dumps(item).encode()
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def _results(self, batch_id: str, cursor: str | None) -> Any:
        """A page of results; all of them, where the server has no pages."""
        path, query = f"{_BATCHES}/{batch_id}", {"cursor": cursor} if cursor else {}
        try:
            return an_object(await self._http.json("GET", f"{path}/results", params=query), path)
        except (NotFound, BadRequest):
            if cursor:
                raise
            return an_object(await self._http.json("GET", path), path)

    def is_of(self, batch: RemoteBatch, part: BatchPart) -> bool | None:
        is_alike = batch.model in (None, part.model) and batch.counts.total == part.requests
        return None if is_alike and batch.status != "failed" else False


def _read(reply: object) -> RemoteBatch:
    batch = an_object(reply, "a batch")
    problem = batch.get("error")
    words = (object_in(problem) or {}).get("message", problem)
    failed = batch.get("status") == "failed"
    # Whatever it came to, what it holds is paid.
    has_results = batch.get("status") == "completed" or batch.get("results")
    return valid(
        RemoteBatch,
        {
            **{name: batch.get(name) for name in ("id", "status", "request_counts", "model")},
            "created_at": seconds(batch.get("created_at")),
            "output_file_id": batch.get("id") if has_results else None,
            "errors": {"data": [{"message": str(words or "it failed")}]} if failed else None,
        },
    )
