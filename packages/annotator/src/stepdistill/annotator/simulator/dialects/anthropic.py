"""Anthropic's Messages, from the server's side."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from aiohttp import web

from stepdistill.annotator.simulator.dialects.spoken import (
    THOUGHT,
    THOUGHT_TOKENS,
    Fields,
    SpokenDialect,
    as_format,
    first_choice,
    object_at,
    objects,
    refuse_unknown,
    text_in,
)
from stepdistill.annotator.simulator.wire import invalid

_KNOWN = frozenset(
    (
        *("model", "messages", "system", "max_tokens", "stop_sequences", "metadata", "stream"),
        *("output_config", "thinking", "service_tier", "tools", "tool_choice", "speed"),
        *("temperature", "top_p", "top_k"),  # of older models
    )
)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_SECONDS = {"ms": 0.001, "s": 1, "m": 60}
_LEAST_BUDGET = 1024  # of thoughts
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_TIERS = {"auto": "priority"}  # as if there were a commitment to that
_NO_CREDIT = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
    "upgrade or purchase credits."
)


class SpokenAnthropic(SpokenDialect):
    """Messages."""

    name: ClassVar[str] = "anthropic"

    def path(self, prefix: str) -> str:
        return f"{prefix}/messages"

    def as_chat(self, body: Fields, request: web.BaseRequest) -> dict[str, object]:
        if not request.headers.get("anthropic-version"):
            raise invalid("anthropic-version: header is required")
        return self.chat_of(body)

    def chat_of(self, body: Fields) -> dict[str, object]:
        """The params of a request, also of one in a batch. Raises RefusedRequest."""
        refuse_unknown(body, _KNOWN, "{}: Extra inputs are not permitted")
        for name in ("model", "messages", "max_tokens"):
            if name not in body:
                raise invalid(f"{name}: Field required", name)
        system = text_in(body.get("system") or "", "system")
        messages = [{"role": "system", "content": system}] if system else []
        messages += [
            {"role": each.get("role"), "content": text_in(each.get("content"), "messages")}
            for each in objects(body["messages"], "messages")
        ]
        thinks = object_at(body, "thinking").get("type") in ("enabled", "adaptive")
        if thinks:
            _check_thinking(body)
        kept = ("model", "max_tokens", "temperature", "top_p", "stream", "service_tier")
        chat: dict[str, object] = {name: body[name] for name in kept if name in body}
        chat["messages"] = messages
        if body.get("stop_sequences"):
            chat["stop"] = body["stop_sequences"]
        config = object_at(body, "output_config")
        if config.get("format"):
            chat["response_format"] = as_format(object_at(config, "format").get("schema"))
        if thinks:
            chat["reasoning_effort"] = config.get("effort", "high")
        return chat

    def answer(self, completion: Fields, chat: Fields) -> Fields:
        text, finish, _ = first_choice(completion)
        stop = completion["choices"][0].get("stop_reason")
        content: list[dict[str, object]] = [{"type": "text", "text": text}]
        if self.thinks(chat):
            content.insert(0, {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"})
        return {
            "id": f"msg_{completion['id']}",
            "type": "message",
            "role": "assistant",
            "model": completion["model"],
            "content": [] if finish == "content_filter" else content,
            "stop_reason": "stop_sequence" if stop else _STOPS[finish],
            "stop_sequence": stop,
            **self._usage(completion, chat),
        }

    def _usage(self, completion: Fields, chat: Fields) -> dict[str, object]:
        used = completion.get("usage")
        if used is None:
            return {}
        thought = THOUGHT_TOKENS if self.thinks(chat) else 0
        usage: dict[str, object] = {
            "input_tokens": used["prompt_tokens"],
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": used["completion_tokens"] + thought,
            "output_tokens_details": {"thinking_tokens": thought},
            "service_tier": _TIERS.get(str(completion.get("service_tier")), "standard"),
        }
        return {"usage": usage}

    def error(self, status: int, error: Fields, ident: str = "req_0") -> tuple[int, Fields]:
        message = error["message"]
        if error.get("code") == "insufficient_quota":
            status, message = 400, _NO_CREDIT
        elif status == 401:
            message = "invalid x-api-key" if error.get("code") else "x-api-key header is required"
        elif status == 404:
            message = f"model: {message}"
        elif status == 503:
            status, message = 529, "Overloaded"
        body = {"type": _TYPES.get(status, "api_error"), "message": message}
        return status, {"type": "error", "error": body, "request_id": ident}

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in headers.items():
            start, _, what = name.partition("x-ratelimit-")
            if start or not what:
                found[name] = value
            else:
                kind, _, of = what.partition("-")  # limit, requests
                found[f"anthropic-ratelimit-{of}-{kind}"] = (
                    _moment(value) if kind == "reset" else value
                )
        if "x-request-id" in found:
            found["request-id"] = found.pop("x-request-id")
        return found


def _check_thinking(body: Fields) -> None:
    """Raises RefusedRequest: what cannot go with thoughts."""
    thinking = object_at(body, "thinking")
    if body.get("temperature", 1) != 1:
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.", "temperature")
    if thinking["type"] != "enabled":
        return
    budget, most = thinking.get("budget_tokens"), body["max_tokens"]
    if not isinstance(budget, int) or budget < _LEAST_BUDGET:
        message = f"thinking.budget_tokens: Input should be at least {_LEAST_BUDGET}"
        raise invalid(message, "thinking")
    if isinstance(most, int) and most <= budget:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.", "max_tokens")


def _moment(wait: str) -> str:
    """When a wait as OpenAI tells it, 6m0s, is over."""
    parts = re.findall(r"([\d.]+)(ms|m|s)", wait)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
