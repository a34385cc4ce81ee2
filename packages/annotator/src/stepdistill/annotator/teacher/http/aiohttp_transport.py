"""A teacher behind https or a proxy: aiohttp's session, which knows both."""

from collections.abc import Mapping
from io import BytesIO
from typing import Self

import aiohttp

from stepdistill.annotator.errors import ConnectionLost, Overloaded, TimedOut
from stepdistill.annotator.plan.key import Request, endpoint_of
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.spec import CONNECT_S, LARGEST_REPLY, TeacherSpec

_LONG = 1 << 20


class AiohttpTransport:
    """An HTTP session with keep-alive connections; an async context manager."""

    def __init__(self, door: TeacherSpec) -> None:
        self._door = door

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._door.headers,
            connector=aiohttp.TCPConnector(limit=self._door.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._door.timeout_s, sock_connect=CONNECT_S),
            # A proxy is for teachers elsewhere; it could not reach one on this machine.
            trust_env=endpoint_of(self._door.base_url).name != "localhost",
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        body, url = self._door.body(request), self._door.url
        data = body if len(body) <= _LONG else BytesIO(body)  # aiohttp warns of longer bytes
        try:
            async with self._session.post(url, data=data, allow_redirects=False) as reply:
                content = await _whole(reply.content)
        except TimeoutError:
            raise TimedOut(f"no answer within {self._door.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            was_sent = not isinstance(error, aiohttp.ClientConnectorError)
            said = f"{type(error).__name__}: {error}"
            raise ConnectionLost(said).paid(maybe=was_sent) from None
        return self._door.answer(reply.status, reply.headers, content), reply.headers


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    """A body to its end. Raises Overloaded when it is larger than any answer could be."""
    content = await stream.readany()
    if stream.at_eof():
        return content
    pieces, size = [content], len(content)
    while not stream.at_eof() and size <= LARGEST_REPLY:
        pieces.append(await stream.readany())
        size += len(pieces[-1])
    if not stream.at_eof():
        said = f"the reply is larger than {LARGEST_REPLY} bytes"
        raise Overloaded(said).paid(maybe=True)
    return b"".join(pieces)
