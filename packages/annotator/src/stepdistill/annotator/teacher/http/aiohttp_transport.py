"""A teacher behind https or a proxy: aiohttp's session, which knows both."""

from collections.abc import Mapping
from io import BytesIO
from typing import Self

import aiohttp

from stepdistill.annotator.errors import ConnectionLost, TimedOut, Unreadable
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.body import LARGEST_REPLY
from stepdistill.annotator.teacher.spec import CONNECT_S, TeacherSpec

_LONG = 1 << 20


class AiohttpTransport:
    """An HTTP session with keep-alive connections; an async context manager."""

    def __init__(self, teacher: TeacherSpec) -> None:
        self._teacher = teacher

    async def __aenter__(self) -> Self:
        teacher = self._teacher
        self._session = aiohttp.ClientSession(
            headers={"Content-Type": "application/json", **teacher.headers},
            connector=aiohttp.TCPConnector(limit=teacher.concurrency),
            timeout=aiohttp.ClientTimeout(total=teacher.timeout_s, sock_connect=CONNECT_S),
            trust_env=teacher.may_use_proxy,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        body, url = self._teacher.body(request), self._teacher.url
        data = body if len(body) <= _LONG else BytesIO(body)  # aiohttp warns of longer bytes
        try:
            async with self._session.post(url, data=data, allow_redirects=False) as reply:
                content = await _whole(reply.content)
        except TimeoutError:
            raise TimedOut(f"no answer within {self._teacher.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            was_sent = not isinstance(error, aiohttp.ClientConnectorError)
            message = f"{type(error).__name__}: {error}"
            raise ConnectionLost(message).paid(maybe=was_sent) from None
        return self._teacher.answer(reply.status, reply.headers, content), reply.headers


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    """A body to its end. Raises Unreadable when it is larger than any answer could be."""
    content = await stream.readany()
    if stream.at_eof():  # nearly always: it came in one piece
        return content
    pieces, size = [content], len(content)
    while not stream.at_eof() and size <= LARGEST_REPLY:
        pieces.append(await stream.readany())
        size += len(pieces[-1])
    if not stream.at_eof():
        message = f"the reply is larger than {LARGEST_REPLY} bytes"
        raise Unreadable(message)
    return b"".join(pieces)
