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
from stepdistill.annotator.simulator.reply import SimulatedReply, json_reply
from stepdistill.annotator.simulator.wire import invalid, missing, read_object

_LISTED, _MOST_LISTED, _MOST_REQUESTS = 20, 1_000, 100_000
_COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
}


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
        path = _results_of(self._results(batch, call))
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
    return {"custom_id": name, "body": chat_of(cast("dict[str, Any]", params))}


def chat_of(params: Mapping[str, Any]) -> Mapping[str, object]:
    """A request for a message as a request of the dialect chat."""
    params = dict(params)
    system: Any = params.pop("system", None)
    config: dict[str, Any] = params.pop("output_config", None) or {}
    messages: list[Any] = params.pop("messages", None) or []
    if format_ := config.get("format"):
        schema = {"name": "answer", "strict": True, "schema": format_.get("schema")}
        params["response_format"] = {"type": "json_schema", "json_schema": schema}
    first = [{"role": "system", "content": system}] if system else []
    return {**params, "messages": [*first, *messages]}


def message_of(reply: Mapping[str, Any]) -> Mapping[str, object]:
    """An answer of the dialect chat as a message."""
    choice, usage = reply["choices"][0], reply.get("usage")
    counted = usage and {
        "input_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "service_tier": "batch",
    }
    return {
        "id": f"msg_{reply['id']}",
        "type": "message",
        "role": "assistant",
        "model": reply["model"],
        "content": [{"type": "text", "text": choice["message"]["content"]}],
        "stop_reason": _STOPS.get(choice["finish_reason"], choice["finish_reason"]),
        "stop_sequence": None,
        "usage": counted,
    }


def _results_of(file: StoredFile | None) -> Path:
    """A file of results as it is sent; made once."""
    if file is None:
        return Path("/dev/null")
    path = file.path.with_suffix(".results")
    if not path.exists():
        path.write_bytes(b"".join(map(_result, lines_in(file))))
    return path


def _result(line: Mapping[str, Any]) -> bytes:
    response, error = line["response"], line["error"]
    result: dict[str, object]
    if response is None:
        code = error["code"]
        kinds = {"batch_expired": "expired", "batch_cancelled": "canceled"}
        failure = {"type": "api_error", "message": error["message"]}
        result = {"type": kinds.get(code, "errored")}
        if code not in kinds:
            result["error"] = {"type": "error", "error": failure}
    elif response["status_code"] == 200:
        result = {"type": "succeeded", "message": message_of(response["body"])}
    else:
        kind = _KINDS.get(response["status_code"], "invalid_request_error")
        failure = {"type": kind, "message": response["body"]["error"]["message"]}
        result = {"type": "errored", "error": {"type": "error", "error": failure}}
    row = {"custom_id": line["custom_id"], "result": result}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
