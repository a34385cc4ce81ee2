"""The teacher's door: one request goes out over HTTP, and an answer or an error comes back."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import aiohttp

from annotator.errors import ConnectionLost, Overloaded, TimedOut
from annotator.request.answer import Answer
from annotator.request.key import Request, endpoint_of
from annotator.request.limits import LimitSettings
from annotator.request.wire import error_of, read_answer, sent_body

_LARGEST_REPLY = 8 << 20
_CONNECT_S = 10.0
_OTHER_FILES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How the teacher is reached, and how much it is asked at once.

    key: the API key, None where none is needed. concurrency: requests in flight at most.
    timeout_s: for one answer. max_tokens: the longest answer asked for, sent as limit_name.
    """

    base_url: str
    key: str | None
    concurrency: int
    timeout_s: float
    max_tokens: int
    limit_name: str
    limits: LimitSettings = field(default_factory=LimitSettings)


def connections_allowed(wanted: int) -> int:
    """How many connections this process may hold; its limit of open files is raised as needed.

    A limit of 1,024 is usual, and as many requests in flight would break it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else soft - _OTHER_FILES
    return max(1, min(wanted, allowed))


class Transport:
    """An HTTP session with keep-alive connections; an async context manager."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._url = f"{door.base_url}/chat/completions"

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json"}
        if self._door.key:
            headers["Authorization"] = f"Bearer {self._door.key}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=self._door.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._door.timeout_s, sock_connect=_CONNECT_S),
            # A proxy is for teachers elsewhere; it could not reach one on this machine.
            trust_env=endpoint_of(self._door.base_url).name != "localhost",
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        body = sent_body(request, self._door.limit_name, self._door.max_tokens)
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as reply:
                content = await _whole(reply.content)
        except TimeoutError:
            raise TimedOut(f"no answer within {self._door.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"{type(error).__name__}: {error}") from None
        if reply.status != 200:
            raise error_of(reply.status, content, reply.headers)
        said = reply.headers.get("x-request-id")
        answer = read_answer(content, limit=self._door.max_tokens, request_id=said)
        return answer, reply.headers


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    """A body to its end. Raises Overloaded when it is larger than any answer could be."""
    content = await stream.readany()
    if stream.at_eof():
        return content
    pieces, size = [content], len(content)
    while not stream.at_eof() and size <= _LARGEST_REPLY:
        pieces.append(await stream.readany())
        size += len(pieces[-1])
    if not stream.at_eof():
        raise Overloaded(f"the reply is larger than {_LARGEST_REPLY} bytes")
    return b"".join(pieces)
