"""Serving the Batches endpoints."""

from collections.abc import Callable

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.batch.books import CallKind
from stepdistill.annotator.simulator.batch.desk import BatchJobs, BatchOrder, SimulatedBatch
from stepdistill.annotator.simulator.batch.door import BatchRoutes, Caller, Served
from stepdistill.annotator.simulator.batch.file_shelf import FileStore
from stepdistill.annotator.simulator.batch.plan import SimulatedBatchSettings
from stepdistill.annotator.simulator.batch.timeline import Moment
from stepdistill.annotator.simulator.batch.wire import (
    AskedBatch,
    ToUnix,
    batch_object,
    invalid,
    list_object,
    page,
    read_creation,
    read_limit,
)
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.reply import RefusedRequest, SimulatedReply
from stepdistill.annotator.simulator.wire import ErrorReply

_USUALLY_LISTED, _MOST_LISTED = 20, 100


class BatchCalls:
    """What `POST /batches`, `GET /batches` and the rest do."""

    def __init__(
        self,
        *,
        settings: SimulatedBatchSettings,
        shelf: FileStore,
        desk: BatchJobs,
        clock: Callable[[], float],
        unix: ToUnix,
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._desk = desk
        self._clock = clock
        self._unix = unix

    def add_routes(self, router: web.UrlDispatcher, prefix: str, door: BatchRoutes) -> None:
        """Serve below this prefix."""
        router.add_post(f"{prefix}/batches", door.handler(CallKind.CREATE, self._create))
        router.add_get(f"{prefix}/batches", door.handler(CallKind.BATCHES, self._list))
        router.add_get(f"{prefix}/batches/{{id}}", door.handler(CallKind.BATCH, self._get))
        cancel = f"{prefix}/batches/{{id}}/cancel"
        router.add_post(cancel, door.handler(CallKind.CANCEL, self._cancel))

    async def _create(self, request: web.Request, caller: Caller) -> Served:
        asked = read_creation(await request.read())
        order = self._order(asked, caller)
        if wait_s := self._desk.wait_to_create_s(caller.owner):
            raise _too_many("Too many batches were created; please try again later.", wait_s)
        if self._settings.limits.enqueued_refused:
            over = await self._desk.over_tokens(order, caller.owner)
            if over:
                raise _too_many(over.message, None, over.code)
        batch = self._desk.create(order, caller.owner, caller.key)
        return self._shown(batch, await self._desk.moment(batch))

    def _order(self, asked: AskedBatch, caller: Caller) -> BatchOrder:
        file = self._shelf.find(asked.input_file_id, caller.owner)
        if file is not None and file.purpose != "batch":
            message = f"Invalid purpose of the input file: '{file.purpose}', expected 'batch'."
            raise invalid(message, "input_file_id")
        found = file is not None and self._clock() >= file.created_s + self._settings.hidden_s
        if file is None or not (found or self._settings.hidden_fails):
            raise invalid(f"Cannot find file {asked.input_file_id}.", "input_file_id")
        return BatchOrder(
            input=file,
            metadata=asked.metadata,
            kept_s=asked.output_kept_s or self._settings.kept_s,
            found=found,
        )

    async def _list(self, request: web.Request, caller: Caller) -> Served:
        limit = read_limit(request.query, _USUALLY_LISTED, _MOST_LISTED)
        batches = self._desk.all(caller.owner)[::-1]
        found = page(batches, [batch.id for batch in batches], request.query, limit)
        objects = [
            batch_object(batch, await self._desk.moment(batch), self._unix)
            for batch in found[:limit]
        ]
        body = list_object(objects, more=len(found) > limit)
        return Served(
            target="", reply=SimulatedReply(outcome=RequestOutcome(status=200), body=body)
        )

    async def _get(self, request: web.Request, caller: Caller) -> Served:
        batch = self._find(request, caller)
        return self._shown(batch, await self._desk.moment(batch))

    async def _cancel(self, request: web.Request, caller: Caller) -> Served:
        batch = self._find(request, caller)
        reached = await self._desk.cancel(batch)
        if reached is None:
            status = (await self._desk.moment(batch)).status
            raise invalid(f"Cannot cancel a batch with status '{status}'.")
        return self._shown(batch, reached)

    def _find(self, request: web.Request, caller: Caller) -> SimulatedBatch:
        name = request.match_info["id"]
        batch = self._desk.find(name, caller.owner)
        if batch is None:
            raise invalid(f"No batch found with id '{name}'.", status=404)
        return batch

    def _shown(self, batch: SimulatedBatch, reached: Moment) -> Served:
        body = orjson.dumps(batch_object(batch, reached, self._unix))
        return Served(
            target=batch.id, reply=SimulatedReply(outcome=RequestOutcome(status=200), body=body)
        )


def _too_many(
    message: str, wait_s: float | None, code: str = "rate_limit_exceeded"
) -> RefusedRequest:
    error = ErrorReply(status=429, message=message, type="requests", code=code)
    return RefusedRequest(error, retry_after_s=wait_s and round(wait_s, 3))
