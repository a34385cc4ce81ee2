"""A request and its key: what is sent, and the content that its answer is stored under.

Key = SHA-256 of the canonical JSON of [endpoint, path, body, sample]. What merely limits or carries
a request is outside: the longest answer asked for, time-outs, the scheme, and the port of a server
on this machine, so that a local teacher may move without its answers being paid for again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

import orjson

_LOOPBACK = {"127.0.0.1", "localhost", "::1", "0.0.0.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who serves the teacher. name: the host, `localhost` for this machine. path: of the URL."""

    name: str
    path: str


class Message(TypedDict):
    """One message of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to the teacher. key: 32 bytes.

    messages and body: what is sent, without what only limits the answer; body holds the messages.
    """

    key: bytes
    messages: list[Message]
    body: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The parts that a request is made of. options: extra fields of the body, e.g. temperature."""

    model: str
    system: str
    user: str
    options: Mapping[str, object]


def endpoint_of(base_url: str) -> Endpoint:
    """The identity of the server behind a base URL."""
    url = urlsplit(base_url.rstrip("/"))
    host = url.hostname or ""
    port = f":{url.port}" if url.port else ""
    name = "localhost" if host in _LOOPBACK else f"{host}{port}"
    return Endpoint(name=name, path=f"{url.path}/chat/completions")


def make_request(endpoint: Endpoint, question: Question, sample: int = 0) -> Request:
    """The request with its key; an empty system message is not sent.

    sample: 0, 1, ... where the same question is asked several times.
    """
    messages = [Message(role="system", content=question.system)] if question.system else []
    messages.append(Message(role="user", content=question.user))
    body = {"model": question.model, "messages": messages, **question.options}
    content = orjson.dumps(
        [endpoint.name, endpoint.path, body, sample], option=orjson.OPT_SORT_KEYS
    )
    return Request(key=hashlib.sha256(content).digest(), messages=messages, body=body)
