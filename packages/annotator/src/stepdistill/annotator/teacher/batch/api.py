"""Files and Batches over HTTP: one method a call, no memory of what was called before. Bodies are
streamed, up and down: a part file of 200 MB never lies in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiolimiter import AsyncLimiter
from pydantic import BaseModel, ValidationError

from stepdistill.annotator.errors import (
    BadRequest,
    ConnectionLost,
    ModelGone,
    NotFound,
    Overloaded,
    TimedOut,
    Transient,
)
from stepdistill.annotator.teacher.batch.part import RemoteBatch, RemoteFile, RemoteObject
from stepdistill.annotator.teacher.http.route import proxy_of, tls_context
from stepdistill.annotator.teacher.http.unreachable import aiohttp_error
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from stepdistill.annotator.teacher.spec import CONNECT_S, TeacherSpec

CHAT = "/v1/chat/completions"
_PER_PAGE = 100
# A run of hundreds of parts looks after each of them, but not at the same moment.
_CALLS_PER_S = 20
_CHUNK_BYTES = 1 << 17
_GOOD = (200, 201, 206, 416)
_UNKNOWN = (BadRequest, NotFound, ModelGone)  # how servers refuse a call that they do not know
# How servers say in a 400 that they do not see a file yet.
_NO_FILE = ("file_not_found", "no such file", "cannot find file", "file not found")
_Wire = TypeVar("_Wire", bound=BaseModel)


class _RemoteModel(RemoteObject):
    id: str
    shutdown_date: str | None = None  # e.g. 2027-01-14


class _RemoteModels(RemoteObject):
    data: tuple[_RemoteModel, ...] = ()


class BatchApi:
    """The teacher's Files and Batches; an async context manager. Every call raises TeacherError."""

    def __init__(self, teacher: TeacherSpec, *, calls_per_s: int = _CALLS_PER_S) -> None:
        self._teacher, self._rate = teacher, AsyncLimiter(calls_per_s, 1.0)
        self._proxy, self._is_known = proxy_of(teacher), False  # whether anything has come from it

    async def __aenter__(self) -> Self:
        teacher, proxy = self._teacher, self._proxy
        tls = tls_context() if teacher.url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            headers=teacher.headers,
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

    async def upload(self, path: Path, name: str) -> RemoteFile:
        """Send a file up for a batch, under a name that it is found by."""
        with path.open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("purpose", "batch")
            form.add_field("file", file, filename=name, content_type="application/jsonl")
            return await self._read(RemoteFile, "POST", "/files", data=form)

    async def files(self) -> AsyncIterator[RemoteFile]:
        """The files for batches that this key sees."""
        async for item in self._pages("/files", {"purpose": "batch"}):
            yield _valid(RemoteFile, item)

    async def size_of(self, file_id: str) -> int | None:
        """A file's length in bytes; None where the server does not say."""
        with suppress(*_UNKNOWN):
            return (await self._read(RemoteFile, "GET", f"/files/{file_id}")).bytes
        return None

    async def delete_file(self, file_id: str) -> None:
        """Remove a file; one that is not there is no error."""
        with suppress(NotFound):
            await self._json("DELETE", f"/files/{file_id}")

    async def create(self, file_id: str, metadata: Mapping[str, str]) -> RemoteBatch:
        """Start a batch. Raises NotFound while the teacher does not see the file yet."""
        body = {
            "input_file_id": file_id,
            "endpoint": CHAT,
            "completion_window": "24h",
            "metadata": dict(metadata),
        }
        try:
            return await self._read(RemoteBatch, "POST", "/batches", json=body)
        except BadRequest as error:
            if any(words in str(error).lower() for words in _NO_FILE):
                raise NotFound(str(error)) from None
            raise

    async def batch(self, batch_id: str) -> RemoteBatch:
        """A batch as it is now."""
        return await self._read(RemoteBatch, "GET", f"/batches/{batch_id}")

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        """The batches that this key sees, the newest first."""
        async for item in self._pages("/batches", {}):
            yield _valid(RemoteBatch, item)

    async def cancel(self, batch_id: str) -> None:
        """Ask for an end; one that has ended already stays as it is."""
        with suppress(BadRequest):
            await self._json("POST", f"/batches/{batch_id}/cancel")

    @asynccontextmanager
    async def content(self, file_id: str, offset: int) -> AsyncGenerator[AsyncIterator[bytes]]:
        """A file's bytes from an offset to the end, in chunks."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._reply("GET", f"/files/{file_id}/content", headers=headers) as reply:
            # A server that knows no ranges sends all of it again; 416: there is no more.
            yield _chunks(reply, skip=0 if reply.status in (206, 416) else offset)

    async def shutdown_date(self, model: str) -> date | None:
        """The day on which a model goes; None where the server says nothing of it."""
        with suppress(*_UNKNOWN, ValueError):  # no such call, or no such day
            models = (await self._read(_RemoteModels, "GET", "/models")).data
            day = next((each.shutdown_date for each in models if each.id == model), None)
            return datetime.fromisoformat(day).date() if day else None
        return None

    async def _pages(self, path: str, query: dict[str, str]) -> AsyncIterator[Any]:
        query = {"limit": str(_PER_PAGE), **query}
        while True:
            page = await self._json("GET", path, params=query)
            items: list[Any] = page.get("data") or []
            for item in items:
                yield item
            if not items or not page.get("has_more"):
                return
            query["after"] = str(items[-1]["id"])

    async def _read(self, kind: type[_Wire], method: str, path: str, **how: Any) -> _Wire:
        return _valid(kind, await self._json(method, path, **how))

    async def _json(self, method: str, path: str, **how: Any) -> Any:
        async with self._reply(method, path, **how) as reply:
            content = self._teacher.redacted(await reply.read())
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise Overloaded(f"{method} {path}: not JSON: {content[:80]!r}") from None

    @asynccontextmanager
    async def _reply(
        self, method: str, path: str, **how: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        await self._rate.acquire()
        url = self._teacher.url_of(path)
        try:
            async with self._session.request(method, url, allow_redirects=False, **how) as reply:
                self._is_known = True
                if reply.status not in _GOOD:
                    error = self._teacher.error(reply.status, reply.headers, await reply.read())
                    raise NotFound(f"{path}: {error}") if reply.status == 404 else error
                if reply.status == 416:
                    await reply.read()
                yield reply
        except TimeoutError:
            timeout_s = self._teacher.timeout_s
            raise TimedOut(f"{method} {path}: no reply within {timeout_s} s") from None
        except (aiohttp.ClientError, OSError) as error:
            where, is_first = urlsplit(url).netloc, not self._is_known
            raise aiohttp_error(error, where, self._proxy, is_first=is_first) from None


class CutOffError(ConnectionLost):
    """A download that looked complete ends too early."""


async def download_lines(
    api: BatchApi, file_id: str, retry: RetryPolicy, tell: Callable[[str], None]
) -> AsyncGenerator[bytes]:
    """Each line of a file once; a torn download is taken up where it broke, of which `tell` hears.
    Raises TeacherError when it stays broken: CutOffError where it has no end, however often."""
    size = await api.size_of(file_id)
    attempt, waited_s, offset, reached = 1, 0.0, 0, 0
    while True:
        rest = b""
        try:
            async with api.content(file_id, offset) as chunks:
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
            wait_s = retry.wait_s(attempt, waited_s, error)
            if wait_s is None:
                raise
            tell(f"download of {file_id} broke at byte {reached:,} ({error}): going on")
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


def _valid(kind: type[_Wire], content: Any) -> _Wire:
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
