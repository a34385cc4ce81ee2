"""Anthropic's Message Batches: requests in the creation, results as lines in one stream."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.batch.calls import CallReply, IncomingCall
from stepdistill.annotator.simulator.batch.desk import BatchDesk, lines_in
from stepdistill.annotator.simulator.batch.files import StoredFile, range_of
from stepdistill.annotator.simulator.batch.jobs import BatchOrder, SimulatedBatch
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.wire import list_object, read_page
from stepdistill.annotator.simulator.dialects.anthropic import SpokenAnthropic
from stepdistill.annotator.simulator.reply import SimulatedReply, json_reply
from stepdistill.annotator.simulator.wire import invalid, missing, read_object

_LISTED, _MOST_LISTED, _MOST_REQUESTS = 20, 1_000, 100_000
_COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")
_SPOKEN = SpokenAnthropic()
_UNASKED = {"batch_expired": "expired", "batch_cancelled": "canceled"}


class SimulatedAnthropic(BatchDesk):
    """A list says of a batch when it was made and how much it asks, no more."""

    def routes(self, prefix: str) -> list[web.RouteDef]:
        batches, wrap = f"{prefix}/messages/batches", self._calls.wrap
        return [
            web.post(batches, wrap(CallKind.CREATE, self._create)),
            web.get(batches, wrap(CallKind.BATCHES, self._list_batches)),
            web.get(f"{batches}/{{id}}", wrap(CallKind.BATCH, self._get_batch)),
            web.get(f"{batches}/{{id}}/results", wrap(CallKind.DOWNLOAD, self._get_results)),
            web.post(f"{batches}/{{id}}/cancel", wrap(CallKind.CANCEL, self._cancel)),
        ]

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        requests = read_object(await call.request.content.read()).get("requests")
        if not isinstance(requests, list):
            raise missing("requests")
        asked = [_line(each) for each in cast("list[object]", requests)]
        names = {str(line["custom_id"]) for line in asked}
        if not 0 < len(asked) == len(names) <= _MOST_REQUESTS:
            raise invalid(f"requests: 1 to {_MOST_REQUESTS}, each custom_id once", "requests")
        order = BatchOrder(
            input=self._translated(asked),
            metadata=None,
            kept_s=self._settings.kept_s,
            one_file=True,
        )
        batch = await self._order(order, call)
        return json_reply(await self._object(batch, call))

    async def _list_batches(self, call: IncomingCall) -> SimulatedReply:
        newest_first = self._jobs.all(call.owner)[::-1]
        query = {**call.request.query, "after": call.request.query.get("after_id")}
        asked = {name: value for name, value in query.items() if value is not None}
        found, more = read_page(newest_first, asked, _LISTED, _MOST_LISTED)
        shown = [await self._object(batch, call) for batch in found]
        return json_reply(list_object(shown, more=more))

    async def _get_batch(self, call: IncomingCall) -> SimulatedReply:
        return json_reply(await self._object(self._find_batch(call), call))

    async def _cancel(self, call: IncomingCall) -> SimulatedReply:
        batch = self._find_batch(call)
        if await self._jobs.cancel(batch) is None:
            raise invalid("Batch is not in progress and cannot be canceled.")
        return json_reply(await self._object(batch, call))

    async def _get_results(self, call: IncomingCall) -> CallReply:
        batch = self._find_batch(call)
        if not (await self._jobs.state(batch)).over:
            raise invalid("The results are not ready yet.", status=404)
        path = _results_of(batch, self._results(batch, call))
        return range_of(call.request, path, ranges=self._settings.ranges)

    async def _object(self, batch: SimulatedBatch, call: IncomingCall) -> Mapping[str, object]:
        state, timeline = await self._jobs.state(batch), batch.timeline
        counts: dict[str, int] = dict.fromkeys(_COUNTED, 0)
        n = sum(1 for _ in lines_in(batch.order.input))
        if batch.rows is None:
            counts["processing"] = n
        else:
            left = {"expired": "expired", "cancelled": "canceled"}.get(state.status, "errored")
            counts["succeeded"] = batch.rows.completed
            counts[left] += n - batch.rows.completed
        running = "canceling" if state.status == "cancelling" else "in_progress"
        ended_s = state.stamps[state.status] if state.over else None
        cancelled_s, url = timeline.cancelled_s, call.request.url
        results = url.with_path(f"{_root(url.path)}/{batch.id}/results").with_query(None)
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if state.over else running,
            "request_counts": counts,
            "created_at": self._time(timeline.created_s),
            "expires_at": self._time(timeline.expires_s),
            "ended_at": None if ended_s is None else self._time(ended_s),
            "cancel_initiated_at": None if cancelled_s is None else self._time(cancelled_s),
            "archived_at": None,
            "results_url": str(results) if state.over else None,
        }


def _root(path: str) -> str:
    return path[: path.index("/batches") + len("/batches")]


def _line(request: object) -> Mapping[str, object]:
    fields = cast("dict[str, Any]", request) if isinstance(request, dict) else {}
    name, params = fields.get("custom_id"), fields.get("params")
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not isinstance(params, dict):
        raise invalid("requests: each needs a custom_id of 1 to 64 characters, and params")
    return {"custom_id": name, "body": _SPOKEN.chat_of(cast("dict[str, Any]", params))}


def _results_of(batch: SimulatedBatch, file: StoredFile | None) -> Path:
    """A file of results as it is sent; made once."""
    if file is None:
        return Path("/dev/null")
    path = file.path.with_suffix(".results")
    if not path.exists():
        asked = {line["custom_id"]: line["body"] for line in lines_in(batch.order.input)}
        lines = (_result(line, asked.get(line["custom_id"], {})) for line in lines_in(file))
        path.write_bytes(b"".join(lines))
    return path


def _result(line: Mapping[str, Any], chat: Mapping[str, Any]) -> bytes:
    response, error = line["response"], line["error"]
    if response is None and error["code"] in _UNASKED:
        result = {"type": _UNASKED[error["code"]]}
    elif response is None:
        result = {"type": "errored", "error": _SPOKEN.error(500, error)[1]}
    elif response["status_code"] == 200:
        message = _SPOKEN.answer(response["body"], chat)
        result = {"type": "succeeded", "message": message}
    else:
        failure = _SPOKEN.error(response["status_code"], response["body"]["error"])[1]
        result = {"type": "errored", "error": failure}
    row = {"custom_id": line["custom_id"], "result": result}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
