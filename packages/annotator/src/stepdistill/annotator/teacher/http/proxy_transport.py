"""A teacher behind a proxy: aiohttp's session, which knows how to speak to one."""

from collections.abc import Mapping
from io import BytesIO
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from stepdistill.annotator.errors import TeacherError, TimedOut, Unreadable
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.body import LARGEST_REPLY
from stepdistill.annotator.teacher.error_reply import is_without_tier
from stepdistill.annotator.teacher.http.route import proxy_of, tls_context
from stepdistill.annotator.teacher.http.unreachable import aiohttp_error
from stepdistill.annotator.teacher.spec import CONNECT_S, TeacherSpec

_LONG = 1 << 20


class ProxyTransport:
    """An HTTP session with keep-alive connections; an async context manager."""

    def __init__(self, teacher: TeacherSpec) -> None:
        self._teacher, self._proxy = teacher, proxy_of(teacher)
        self._where = urlsplit(teacher.url).netloc
        self._is_known = False  # whether anything has ever come from there

    async def __aenter__(self) -> Self:
        teacher = self._teacher
        proxy = self._proxy
        tls = tls_context() if teacher.url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            headers={"Content-Type": "application/json"},
            connector=aiohttp.TCPConnector(limit=teacher.concurrency, ssl=tls),
            timeout=aiohttp.ClientTimeout(total=teacher.timeout_s, sock_connect=CONNECT_S),
            proxy=proxy and proxy.address,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        sent = self._teacher.headers
        try:
            return await self._ask(request, self._teacher, sent)
        except TeacherError as error:
            again = await self._teacher.as_asked_again(error, sent)
            if again is None:
                raise
            if is_without_tier(error):
                self._teacher = again
            return await self._ask(request, again, again.headers)

    async def _ask(
        self, request: Request, teacher: TeacherSpec, headers: Mapping[str, str]
    ) -> tuple[Answer, Mapping[str, str]]:
        body = teacher.body(request)
        data = body if len(body) <= _LONG else BytesIO(body)  # aiohttp warns of longer bytes
        try:
            async with self._session.post(
                teacher.url, data=data, headers=headers, allow_redirects=False
            ) as reply:
                content = await _whole(reply.content)
        except TimeoutError:
            raise TimedOut(f"no answer within {teacher.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            is_first = not self._is_known
            raise aiohttp_error(error, self._where, self._proxy, is_first=is_first) from None
        self._is_known = True
        return teacher.answer(reply.status, reply.headers, content), reply.headers


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
