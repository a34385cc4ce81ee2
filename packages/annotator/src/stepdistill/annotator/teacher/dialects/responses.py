"""OpenAI's Responses: instructions and input, output in items, thoughts in items of their own.

Nothing is kept at OpenAI's (`store: false`), as with chat; it would be for 30 days.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from stepdistill.annotator.errors import Unreadable
from stepdistill.annotator.plan.key import Request, RequestForm
from stepdistill.annotator.teacher.body import object_in
from stepdistill.annotator.teacher.dialects.dialect import (
    Dialect,
    Limit,
    merged,
    objects,
    schema_of,
)

_UNSAID = frozenset(
    (
        *("n", "seed", "stop", "logit_bias", "presence_penalty", "frequency_penalty"),
        *("chat_template_kwargs", "modalities"),
    )
)
_LOGPROBS = "message.output_text.logprobs"


class ResponsesDialect(Dialect):
    """Responses, as OpenAI and those who follow it have it."""

    name: ClassVar[str] = "responses"

    def path(self, root: str, model: str) -> str:
        return f"{root}/responses"

    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        body: dict[str, object] = {
            "store": False,
            **_fields(request.form),
            "max_output_tokens": limit.tokens,
            "input": [{"role": "user", "content": request.user}],
        }
        return {**body, "instructions": request.system} if request.system else body

    def as_chat(self, reply: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
        """Of {"status": "completed", "output": [{"type": "message", "content": [...]}], ...}."""
        if not isinstance(reply.get("output"), list) or reply.get("error"):
            return reply
        status = reply.get("status")
        if status in ("queued", "in_progress"):
            raise Unreadable(f"the reply is not ready ({status}): it was not asked to come later")
        items = objects(reply["output"])
        blocks = list(_blocks(items))
        refusals = [block.get("refusal") for block in blocks if block.get("type") == "refusal"]
        why = (object_in(reply.get("incomplete_details")) or {}).get("reason")
        choice = {
            "message": {
                "content": "".join(_said(blocks)),
                "refusal": next((text for text in refusals if text), None),
                "reasoning_content": "\n".join(_thoughts(items)),
            },
            "finish_reason": why or ("stop" if status in (None, "completed") else status),
            "logprobs": _logprobs(blocks),
        }
        kept = {name: reply.get(name) for name in ("model", "usage", "service_tier")}
        return {**kept, "choices": [choice]}

    def unsaid(self, fields: Mapping[str, object]) -> list[str]:
        return [name for name in fields if name in _UNSAID]


@lru_cache(256)
def _fields(form: RequestForm) -> dict[str, object]:
    """A form's fields in its words; what it has none for is left out."""
    own: dict[str, object] = {}
    for name, value in form.fields.items():
        match name:
            case "reasoning_effort":
                said: dict[str, object] = {"reasoning": {"effort": value}}
            case "verbosity":
                said = {"text": {"verbosity": value}}
            case "response_format":
                schema = schema_of(value)
                form_ = value if schema is None else {"type": "json_schema", **schema}
                said = {"text": {"format": form_}}
            case "logprobs":
                said = {"include": [_LOGPROBS]} if value else {}
            case _:
                said = {} if name in _UNSAID else {name: value}
        own = merged(own, said)
    return own


def _blocks(items: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The blocks of its messages."""
    for item in items:
        if item.get("type") == "message":
            yield from objects(item.get("content"))


def _said(blocks: list[Mapping[str, Any]]) -> Iterator[str]:
    return (block["text"] for block in blocks if isinstance(block.get("text"), str))


def _thoughts(items: list[Mapping[str, Any]]) -> Iterator[str]:
    """What it tells of its thoughts: a summary, or the whole of them, as open models do."""
    for item in items:
        if item.get("type") == "reasoning":
            yield from _said([*objects(item.get("summary")), *objects(item.get("content"))])


def _logprobs(blocks: list[Mapping[str, Any]]) -> dict[str, object] | None:
    """As chat has them."""
    found = [token for block in blocks for token in objects(block.get("logprobs"))]
    return {"content": found} if found else None
