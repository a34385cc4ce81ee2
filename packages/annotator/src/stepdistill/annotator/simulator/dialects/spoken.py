"""A dialect from the server's side: its request becomes one of chat, and chat's reply its own.

So the same question has the same answer in every dialect, under the same limits and faults, and in
the same books; only the words differ.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.log import fingerprint
from stepdistill.annotator.simulator.reply import SimulatedReply
from stepdistill.annotator.simulator.wire import RefusedRequest, invalid

THOUGHT = "Let me see."  # what it thinks, where it is asked to
THOUGHT_TOKENS = 3
_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
Fields = Mapping[str, Any]


class SpokenDialect(ABC):
    """How one kind of server is spoken to."""

    name: ClassVar[str]

    @abstractmethod
    def path(self, prefix: str) -> str:
        """The path of its route, as aiohttp has it. prefix: that of the simulator, as /v1."""

    @abstractmethod
    def as_chat(self, body: Fields, request: web.BaseRequest) -> dict[str, object]:
        """A request of its as chat would have it. Raises RefusedRequest."""

    @abstractmethod
    def answer(self, completion: Fields, chat: Fields) -> Fields:
        """What it says in place of a completion of chat. chat: the request as chat has it."""

    @abstractmethod
    def error(self, status: int, error: Fields, ident: str = "req_0") -> tuple[int, Fields]:
        """The status and the body of an error, in its words. error: message, type, code, param.
        ident: the request's."""

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers in its words."""
        return dict(headers)

    def thinks(self, chat: Fields) -> bool:
        """Whether it thinks before it answers this."""
        return chat.get("reasoning_effort") not in (None, "none")

    def said(self, reply: SimulatedReply, chat: Fields) -> SimulatedReply:
        """A reply of chat's as this server gives it."""
        headers = self.headers(reply.headers)
        if reply.content_type != "application/json" or not reply.body:
            return replace(reply, headers=headers)
        content: Any = orjson.loads(reply.body)
        outcome = reply.outcome
        if "error" in content:
            ident = reply.headers.get("x-request-id", "")
            status, body = self.error(reply.status, content["error"], ident)
            outcome = replace(outcome, status=status)
        else:
            body = self.answer(content, chat)
            if outcome.billed and self.thinks(chat):
                tokens = outcome.completion_tokens + THOUGHT_TOKENS
                outcome = replace(outcome, completion_tokens=tokens)
        return replace(reply, outcome=outcome, headers=headers, body=orjson.dumps(body))


def key_of(request: web.BaseRequest) -> str:
    """The fingerprint of the key that a request bears, wherever; empty where it has none."""
    if authorization := request.headers.get("Authorization", ""):
        return fingerprint(authorization)
    named = (request.headers.get(name, "") for name in _KEY_HEADERS)
    return fingerprint(f"Bearer {next(filter(None, named), request.query.get('key', ''))}")


def object_at(body: Fields, name: str) -> Fields:
    """An object within another; an empty one where there is none. Raises RefusedRequest."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise invalid(f"{name}: an object is expected", name)
    return cast("Fields", value or {})


def objects(value: object, name: str) -> list[dict[str, Any]]:
    """A list of objects; raises RefusedRequest where it is none."""
    items = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(each, dict) for each in items):
        raise invalid(f"{name}: a list of objects is expected", name)
    return cast("list[dict[str, Any]]", items)


def text_in(content: object, name: str) -> str:
    """The text of a content: a text, or parts with one each. Raises RefusedRequest."""
    if isinstance(content, str):
        return content
    parts = objects(content, name)
    if not all(isinstance(part.get("text"), str) for part in parts):
        raise invalid(f"{name}: every part must be text", name)
    return "".join(part["text"] for part in parts)


def as_format(schema: object) -> dict[str, object]:
    """A JSON schema as chat's response_format."""
    named = {"name": "answer", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": named}


def refuse_unknown(body: Fields, known: frozenset[str], says: str) -> None:
    """Raises RefusedRequest: a field that the server does not have. says: how it words that."""
    for name in body:
        if name not in known:
            raise RefusedRequest(invalid(says.format(name), name).error)


def first_choice(completion: Fields) -> tuple[str, str, Fields | None]:
    """Text, finish_reason and logprobs of a completion."""
    choice = completion["choices"][0]
    return choice["message"]["content"] or "", choice["finish_reason"], choice.get("logprobs")
