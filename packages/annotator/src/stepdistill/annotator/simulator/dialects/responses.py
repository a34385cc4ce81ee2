"""OpenAI's Responses, from the server's side."""

from typing import ClassVar

from aiohttp import web

from stepdistill.annotator.simulator.dialects.spoken import (
    THOUGHT,
    THOUGHT_TOKENS,
    Fields,
    SpokenDialect,
    first_choice,
    object_at,
    objects,
    refuse_unknown,
    text_in,
)
from stepdistill.annotator.simulator.wire import CREATED_S, missing

_KNOWN = frozenset(
    (
        *("model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "text"),
        *("reasoning", "include", "top_logprobs", "store", "service_tier", "metadata", "user"),
        *("stream", "truncation", "parallel_tool_calls", "tools", "tool_choice", "background"),
        *(
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "previous_response_id",
        ),
    )
)
_WHY = {"length": "max_output_tokens", "content_filter": "content_filter"}


class SpokenResponses(SpokenDialect):
    """Responses."""

    name: ClassVar[str] = "responses"

    def path(self, prefix: str) -> str:
        return f"{prefix}/responses"

    def as_chat(self, body: Fields, request: web.BaseRequest) -> dict[str, object]:
        return self.chat_of(body)

    def chat_of(self, body: Fields) -> dict[str, object]:
        """A body, also of one in a batch. Raises RefusedRequest."""
        refuse_unknown(body, _KNOWN, "Unknown parameter: '{}'.")
        if not body.get("input"):
            raise missing("input")
        told, asked = body.get("instructions"), body["input"]
        messages: list[dict[str, object]] = []
        if told:
            messages.append({"role": "system", "content": str(told)})
        items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        for each in objects(items, "input"):
            content = text_in(each.get("content"), "input")
            messages.append({"role": each.get("role"), "content": content})
        kept = ("model", "temperature", "top_p", "top_logprobs", "stream", "service_tier")
        chat: dict[str, object] = {name: body[name] for name in kept if name in body}
        if "max_output_tokens" in body:
            chat["max_tokens"] = body["max_output_tokens"]
        if body.get("include"):
            chat["logprobs"] = True
        form = object_at(object_at(body, "text"), "format")
        if form.get("type") == "json_schema":
            inner = {name: value for name, value in form.items() if name != "type"}
            chat["response_format"] = {"type": "json_schema", "json_schema": inner}
        if effort := object_at(body, "reasoning").get("effort"):
            chat["reasoning_effort"] = effort
        return {**chat, "messages": messages}

    def answer(self, completion: Fields, chat: Fields) -> Fields:
        text, finish, logprobs = first_choice(completion)
        block: dict[str, object] = {
            "type": "output_text",
            "text": text,
            "annotations": [],
            "logprobs": (logprobs or {}).get("content") or [],
        }
        message: dict[str, object] = {
            "type": "message",
            "id": f"msg_{completion['id']}",
            "status": "completed",
            "role": "assistant",
            "content": [block],
        }
        summary = [{"type": "summary_text", "text": THOUGHT}]
        thought = {"type": "reasoning", "id": f"rs_{completion['id']}", "summary": summary}
        why = _WHY.get(finish)
        return {
            "id": f"resp_{completion['id']}",
            "object": "response",
            "created_at": CREATED_S,
            "status": "incomplete" if why else "completed",
            "error": None,
            "incomplete_details": {"reason": why} if why else None,
            "instructions": None,
            "metadata": {},
            "model": completion["model"],
            "output": [thought, message] if self.thinks(chat) else [message],
            "parallel_tool_calls": True,
            "service_tier": completion.get("service_tier", "default"),
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            **self._usage(completion.get("usage"), chat),
        }

    def _usage(self, used: Fields | None, chat: Fields) -> dict[str, object]:
        if used is None:
            return {}
        thought = THOUGHT_TOKENS if self.thinks(chat) else 0
        usage = {
            "input_tokens": used["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": used["completion_tokens"] + thought,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": used["total_tokens"] + thought,
        }
        return {"usage": usage}

    def error(self, status: int, error: Fields, ident: str = "req_0") -> tuple[int, Fields]:
        return status, {"error": error}
