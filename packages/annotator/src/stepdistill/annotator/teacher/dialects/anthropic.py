"""Anthropic's Messages: the system message apart, content in blocks, thoughts in blocks of their
own, and prompt tokens counted without those that its cache has."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, cast

from stepdistill.annotator.plan.key import Request, RequestForm
from stepdistill.annotator.teacher.body import object_in
from stepdistill.annotator.teacher.dialects.dialect import (
    Dialect,
    Limit,
    merged,
    room_to_think,
    schema_of,
    texts,
)

# Fields of chat that it has no words for; all others that are not known here are its own.
_UNSAID = frozenset(
    (
        *("n", "seed", "logprobs", "top_logprobs", "logit_bias", "verbosity", "store"),
        *("presence_penalty", "frequency_penalty", "parallel_tool_calls", "modalities"),
        *("chat_template_kwargs", "prompt_cache_key", "prompt_cache_retention"),
    )
)
_TIERS = {"default": "standard_only", "priority": "auto"}


class AnthropicDialect(Dialect):
    """Messages, as its own API and its clouds have it."""

    name: ClassVar[str] = "anthropic"

    def root(self, base: str) -> str:
        return base if base.endswith("/v1") else f"{base}/v1"

    def path(self, root: str, model: str) -> str:
        return f"{root}/messages"

    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        body: dict[str, object] = {
            **_fields(request.form),
            "max_tokens": limit.tokens + room_to_think(request.form),
            "messages": [{"role": "user", "content": request.user}],
        }
        return {**body, "system": request.system} if request.system else body

    def as_chat(self, reply: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
        """Of {"content": [{"type": "text", "text": "..."}], "stop_reason": "end_turn", ...}."""
        if "content" not in reply or reply.get("error"):
            return reply
        used = object_in(reply.get("usage"))
        message = {"content": reply["content"]}
        return {
            "model": reply.get("model"),
            "choices": [{"message": message, "finish_reason": reply.get("stop_reason")}],
            "usage": used and _usage(used),
            "service_tier": used and used.get("service_tier"),
        }

    def tier(self, name: str) -> Mapping[str, object]:
        return {"service_tier": _TIERS.get(name, name)}

    def unsaid(self, fields: Mapping[str, object]) -> list[str]:
        return [
            name
            for name, value in fields.items()
            if name in _UNSAID or (name == "response_format" and schema_of(value) is None)
        ]


@lru_cache(256)
def _fields(form: RequestForm) -> dict[str, object]:
    """A form's fields in its words; what it has none for is left out."""
    own: dict[str, object] = {}
    for name, value in form.fields.items():
        schema = schema_of(value)
        match name:
            case "stop":
                said: dict[str, object] = {"stop_sequences": texts(value)}
            case "user":
                said = {"metadata": {"user_id": value}}
            case "reasoning_effort":
                said = _effort(str(value))
            case "response_format" if schema is not None:
                format_ = {"type": "json_schema", "schema": schema.get("schema")}
                said = {"output_config": {"format": format_}}
            case "response_format":
                continue
            case _ if name in _UNSAID:
                continue
            case _:
                said = {name: value}
        own = merged(own, said)
    return own


def _effort(effort: str) -> dict[str, object]:
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    level = "low" if effort == "minimal" else effort
    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": level}}


def _usage(used: Mapping[str, Any]) -> dict[str, object]:
    """As chat counts: what was found in its cache or put there is inside the prompt."""
    prompt, completion = used.get("input_tokens"), used.get("output_tokens")
    cached = used.get("cache_read_input_tokens") or 0
    written = used.get("cache_creation_input_tokens") or 0
    details = object_in(used.get("output_tokens_details")) or {}
    if all(type(each) is int for each in (prompt, cached, written)):
        prompt = cast(int, prompt) + cast(int, cached) + cast(int, written)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": details.get("thinking_tokens") or 0},
    }
