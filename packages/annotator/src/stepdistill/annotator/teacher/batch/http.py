"""Calls about files and batches over HTTP, of whatever protocol. Files are streamed, up and down:
one of 200 MB never lies in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiolimiter import AsyncLimiter
from pydantic import BaseModel, ValidationError

from stepdistill.annotator.errors import (
    ConnectionLost,
    NotFound,
    Overloaded,
    TimedOut,
    Transient,
)
from stepdistill.annotator.teacher.body import loaded
from stepdistill.annotator.teacher.http.route import proxy_of, tls_context
from stepdistill.annotator.teacher.http.unreachable import aiohttp_error
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from stepdistill.annotator.teacher.spec import CONNECT_S, TeacherSpec

# A run of hundreds of parts looks after each of them, but not at the same moment.
_CALLS_PER_S = 20
_CHUNK_BYTES = 1 << 17
_GONE = (404, 410)
_GOOD = (200, 201, 202, 204, 206, 416)
Wire = TypeVar("Wire", bound=BaseModel)


class BatchHttp:
    """Connections to one teacher; an async context manager. Every call raises TeacherError."""

    def __init__(self, teacher: TeacherSpec, *, calls_per_s: int = _CALLS_PER_S) -> None:
        self.teacher, self._rate = teacher, AsyncLimiter(calls_per_s, 1.0)
        self._proxy, self._is_known = proxy_of(teacher), False  # whether anything has come from it

    async def __aenter__(self) -> Self:
        teacher, proxy = self.teacher, self._proxy
        tls = tls_context() if teacher.url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            # No limit for the whole: a large file takes its time, as long as it moves.
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_S, sock_read=teacher.timeout_s
            ),
            proxy=proxy and proxy.address,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @asynccontextmanager
    async def content(
        self, path: str, offset: int, query: Mapping[str, str]
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes behind a path from an offset to the end, in chunks."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self.reply("GET", path, headers=headers, params=query) as reply:
            # A server that knows no ranges sends all of it again; 416: there is no more.
            yield _chunks(reply, skip=0 if reply.status in (206, 416) else offset)

    async def read(self, kind: type[Wire], method: str, path: str, **how: Any) -> Wire:
        """What a call returns, as an object."""
        return valid(kind, await self.json(method, path, **how))

    async def json(self, method: str, path: str, **how: Any) -> Any:
        """What a call returns, as JSON; None where that is nothing."""
        async with self.reply(method, path, **how) as reply:
            content = self.teacher.redacted(await reply.read())
        if not content:
            return None
        try:
            return loaded(content)
        except ValueError:
            raise Overloaded(f"{method} {path}: not JSON: {content[:80]!r}") from None

    @asynccontextmanager
    async def reply(
        self, method: str, path: str, **how: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The reply to a call whose status is good. path: behind the teacher's address, or an
        address that it gave."""
        await self._rate.acquire()
        url, ours = self._url(path), self.teacher.headers  # a token may be another by now
        how["headers"] = {**ours, **how.get("headers", {})}
        try:
            async with self._session.request(method, url, allow_redirects=False, **how) as reply:
                self._is_known = True
                if reply.status == 401 and await self.teacher.renewed(ours):
                    raise ConnectionLost("the token was over: there is a new one")
                if reply.status not in _GOOD:
                    error = self.teacher.error(reply.status, reply.headers, await reply.read())
                    raise NotFound(f"{path}: {error}") if reply.status in _GONE else error
                if reply.status == 416:
                    await reply.read()
                yield reply
        except TimeoutError:
            timeout_s = self.teacher.timeout_s
            raise TimedOut(f"{method} {path}: no reply within {timeout_s} s") from None
        except (aiohttp.ClientError, OSError) as error:
            where, is_first = urlsplit(url).netloc, not self._is_known
            raise aiohttp_error(error, where, self._proxy, is_first=is_first) from None

    def _url(self, path: str) -> str:
        if "://" not in path:
            return self.teacher.url_of(path)
        if urlsplit(path).netloc != urlsplit(self.teacher.url).netloc:  # the key goes nowhere else
            raise Overloaded(f"the teacher names an address at another host: {path:.80}")
        return path


class CutOffError(ConnectionLost):
    """A download that looked complete ends too early."""


# A file may only be late, and a download may break: each for a moment.
_RETRY = RetryPolicy(attempts=4, first_s=0.5, cap_s=5.0)


async def download_lines(
    http: BatchHttp,
    path: str,
    name: str,
    size: int | None,
    tell: Callable[[str], None],
    query: Mapping[str, str] = MappingProxyType({}),
) -> AsyncGenerator[bytes]:
    """Each line of a file once; a torn download is taken up where it broke, of which `tell` hears.
    Raises TeacherError when it stays broken: CutOffError where it has no end, however often. name:
    the file's. size: in bytes, None where nobody says."""
    attempt, waited_s, offset, reached = 1, 0.0, 0, 0
    while True:
        rest = b""
        try:
            async with http.content(path, offset, query) as chunks:
                async for chunk in chunks:
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        offset += len(line) + 1
                        yield line
            got = offset + len(rest)
            if (size is not None and got < size) or not _is_json(rest or b"{}"):
                raise CutOffError(f"it ends at byte {got:,}, within a line or before its end")
        except Transient as error:
            attempt = 1 if offset > reached else attempt  # it moves: it may go on for long
            reached = offset
            wait_s = _RETRY.wait_s(attempt, waited_s, error)
            if wait_s is None:
                raise
            tell(f"download of {name} broke at byte {reached:,} ({error}): going on")
            attempt, waited_s = attempt + 1, waited_s + wait_s
            await asyncio.sleep(wait_s)
        else:
            if rest:
                yield rest
            return


async def _chunks(reply: aiohttp.ClientResponse, skip: int) -> AsyncIterator[bytes]:
    async for chunk in reply.content.iter_chunked(_CHUNK_BYTES):
        if skip < len(chunk):
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))


def valid(kind: type[Wire], content: Any) -> Wire:
    """What the teacher sent, as an object. Raises Overloaded: it is none."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        where = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
        raise Overloaded(f"the reply is not a {kind.__name__} ({where}): {content!r:.80}") from None


def _is_json(content: bytes) -> bool:
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True
