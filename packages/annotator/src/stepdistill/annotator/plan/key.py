"""A request and its key: what is sent, and the content that its answer is stored under.

Key = SHA-256 of the canonical JSON of [endpoint, path, body, sample]. What merely limits or carries
a request is outside: the longest answer asked for, time-outs, the scheme, and the port of a server
on this machine, so that a local teacher may move without its answers being paid for again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import orjson

_MESSAGES = "messages"
# The field by which a simulated teacher is told which vote a request is; none of its key.
SAMPLE = "sample"
_LOOPBACK = {"127.0.0.1", "localhost", "::1", "0.0.0.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who serves the teacher."""

    name: str  # host and port, `localhost` without a port for this machine
    path: str  # of the URL, e.g. /v1/chat/completions


class RequestForm:
    """Requests to one model that differ in their words alone.

    What their keys are made of is laid out once, with room for the messages.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        options: Mapping[str, object],
        sample: int = 0,
        *,
        is_structured: bool = False,
    ) -> None:
        """options: extra fields of the body, e.g. temperature. sample: 0, 1, ... where the same
        question is asked several times. is_structured: it has a response_format that its template
        can do without."""
        self.is_structured = is_structured
        self.sample = sample
        self.fields: dict[str, object] = {"model": model, **options}
        # The canonical JSON has its fields in order: `messages` lies between these two.
        before = {name: value for name, value in self.fields.items() if name < _MESSAGES}
        after = {name: value for name, value in self.fields.items() if name > _MESSAGES}
        self._start = b"".join(
            (_inner([endpoint.name, endpoint.path]), b",{", _inner(before), b"," if before else b"")
        )
        self._end = b"".join((b",", _inner(after), b"},", orjson.dumps(sample), b"]"))

    def request(self, system: str, user: str) -> "Request":
        """The request with its key; an empty system message is not sent."""
        # Put together by hand: to dump the whole body for every row takes nearly twice as long.
        messages = b'{"content":%b,"role":"user"}' % orjson.dumps(user)
        if system:
            messages = b'{"content":%b,"role":"system"},%b' % (orjson.dumps(system), messages)
        content = b'[%b"messages":[%b]%b' % (self._start, messages, self._end)
        return Request(hashlib.sha256(content).digest(), system, user, self)


@dataclass(slots=True)
class Request:
    """One question to the teacher."""

    key: Final[bytes]  # 32 bytes: what its answer is stored under
    system: Final[str]  # empty where there is no system message
    user: Final[str]
    form: Final[RequestForm] = field(repr=False, compare=False)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The system message, where there is one, and the user's."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.user}]

    @property
    def body(self) -> dict[str, object]:
        """What is sent, without what only limits the answer."""
        return {**self.form.fields, "messages": self.messages}


def endpoint_of(base_url: str, path: str | None = None) -> Endpoint:
    """The identity of the server behind a base URL. path: that questions go to, in all; as in
    OpenAI's chat where it is None."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    port = f":{url.port}" if url.port else ""
    name = "localhost" if host in _LOOPBACK else f"{host}{port}"
    return Endpoint(name=name, path=path or f"{url.path.rstrip('/')}/chat/completions")


def _inner(content: object) -> bytes:
    """Canonical JSON without its outer brackets."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)[1:-1]
