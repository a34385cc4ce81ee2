"""OpenRouter's batches: requests in the creation, results with the batch, and no way to cancel."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from aiohttp import web

from stepdistill.annotator.simulator.batch.calls import IncomingCall
from stepdistill.annotator.simulator.batch.desk import BatchDesk, lines_in
from stepdistill.annotator.simulator.batch.jobs import BatchOrder, SimulatedBatch
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.rows import ENDPOINT
from stepdistill.annotator.simulator.batch.wire import list_object, read_page
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.reply import SimulatedReply, json_reply
from stepdistill.annotator.simulator.wire import invalid, missing, read_object

_LISTED, _MOST_LISTED, _MOST_REQUESTS = 20, 100, 5_000
_RESULTS_PER_PAGE = 15  # small: pages are to be met


class SimulatedOpenRouter(BatchDesk):
    """Whoever has a key of the same workspace sees the same batches, of which nothing is said but
    what they ask."""

    def routes(self, prefix: str) -> list[web.RouteDef]:
        batches, wrap = f"{prefix}/batches", self._calls.wrap
        return [
            web.post(batches, wrap(CallKind.CREATE, self._create)),
            web.get(batches, wrap(CallKind.BATCHES, self._list_batches)),
            web.get(f"{batches}/{{id}}", wrap(CallKind.BATCH, self._get_batch)),
            web.get(f"{batches}/{{id}}/results", wrap(CallKind.DOWNLOAD, self._get_results)),
        ]

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        fields = read_object(await call.request.content.read())
        for name in ("endpoint", "model"):
            if not isinstance(fields.get(name), str):
                raise missing(name)
        names = list(fields)
        if not isinstance(fields.get("requests"), list):
            raise missing("requests")
        if names.index("requests") < max(names.index("endpoint"), names.index("model")):
            raise invalid("'endpoint' and 'model' have to stand before 'requests'.", "requests")
        requests = cast("list[object]", fields["requests"])
        if fields["endpoint"] != ENDPOINT or not 0 < len(requests) <= _MOST_REQUESTS:
            raise invalid(f"1 to {_MOST_REQUESTS} requests for {ENDPOINT} are taken.", "requests")
        order = BatchOrder(
            input=self._translated(_lines(requests, str(fields["model"]))),
            metadata=None,
            kept_s=self._settings.kept_s,
            one_file=True,
        )
        batch = await self._order(order, call)
        reply = json_reply(await self._object(batch))
        return replace(reply, outcome=RequestOutcome(status=202))

    async def _list_batches(self, call: IncomingCall) -> SimulatedReply:
        newest_first = self._jobs.all(call.owner)[::-1]
        found, more = read_page(newest_first, call.request.query, _LISTED, _MOST_LISTED)
        return json_reply(list_object([await self._object(each) for each in found], more=more))

    async def _get_batch(self, call: IncomingCall) -> SimulatedReply:
        batch = self._find_batch(call)
        shown = await self._object(batch)
        if shown["status"] != "completed":
            return json_reply(shown)
        file, call.to_end = self._results(batch, call), True
        return json_reply({**shown, "results": list(lines_in(file)) if file else []})

    async def _get_results(self, call: IncomingCall) -> SimulatedReply:
        batch = self._find_batch(call)
        if (await self._jobs.state(batch)).status != "completed":
            raise invalid("The batch has no results.", status=404)
        file = self._results(batch, call)
        lines = list(lines_in(file)) if file else []
        start = int(call.request.query.get("cursor", 0))
        end = start + _RESULTS_PER_PAGE
        call.to_end = end >= len(lines)
        cursor = None if call.to_end else str(end)
        return json_reply({"data": lines[start:end], "next_cursor": cursor})

    async def _object(self, batch: SimulatedBatch) -> Mapping[str, object]:
        state, rows = await self._jobs.state(batch), batch.rows
        errors = [error.message for error in batch.errors or ()]
        total = batch.scan.starts if batch.scan else [None for _ in lines_in(batch.order.input)]
        done, failed = (rows.completed, rows.failed) if rows else (0, 0)
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": ENDPOINT,
            "model": next(lines_in(batch.order.input))["body"]["model"],
            "completion_window": "24h",
            "status": state.status,
            "created_at": int(self._epoch_s + batch.timeline.created_s),
            "finalized_at": None,
            "request_counts": {"total": len(total), "completed": done, "failed": failed},
            "usage": None,
            "results": None,
            "error": {"message": errors[0]} if state.status == "failed" and errors else None,
        }


def _lines(requests: list[object], model: str) -> Iterator[Mapping[str, object]]:
    for each in requests:
        request = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
        body: object = request.get("body")
        if not isinstance(body, dict):
            raise invalid("Each of the requests needs a 'body'.", "requests")
        about = {"model": model, **cast("dict[str, object]", body)}
        if about["model"] != model:
            raise invalid("A request names another model than the batch.", "requests")
        yield {"custom_id": request.get("custom_id"), "body": about}
