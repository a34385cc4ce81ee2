"""Files and Batches over HTTP: one method a call, no memory of what was called before.

Bodies are streamed, up and down: a part file of 200 MB never lies in memory.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

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
)
from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.teacher.batch.protocol import (
    CHAT,
    WINDOW,
    ModelCards,
    RemoteBatch,
    RemoteFile,
)
from stepdistill.annotator.teacher.reply import error_of
from stepdistill.annotator.teacher.spec import TeacherSpec

_PER_PAGE = 100
_CALLS_PER_S = 20
_CONNECT_S = 10.0
_CHUNK_BYTES = 1 << 17
_GOOD = (200, 201, 206, 416)
_NO_FILE = ("file_not_found", "no such file", "cannot find file", "file not found")
_Said = TypeVar("_Said", bound=BaseModel)


class BatchApi:
    """The teacher's Files and Batches; an async context manager. Every call raises TeacherError.

    calls_per_s: a run of hundreds of parts looks after each of them, but not at the same moment.
    """

    def __init__(self, door: TeacherSpec, *, calls_per_s: int = _CALLS_PER_S) -> None:
        self._pace = AsyncLimiter(calls_per_s, 1.0)
        self._url = door.base_url
        self._headers = {"Authorization": f"Bearer {door.key}"} if door.key else {}
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_S, sock_read=door.timeout_s
        )

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=self._timeout,
            # A proxy is for teachers elsewhere; it could not reach one on this machine.
            trust_env=endpoint_of(self._url).name != "localhost",
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
        async for said in self._pages("/files", {"purpose": "batch"}):
            yield _valid(RemoteFile, said)

    async def size_of(self, ident: str) -> int | None:
        """A file's length in bytes; None where the server does not say."""
        try:
            return (await self._read(RemoteFile, "GET", f"/files/{ident}")).bytes
        except (BadRequest, NotFound, ModelGone):
            return None

    async def delete_file(self, ident: str) -> None:
        """Remove a file; one that is not there is no error."""
        try:
            await self._json("DELETE", f"/files/{ident}")
        except NotFound:
            return

    async def create(self, file_id: str, metadata: Mapping[str, str]) -> RemoteBatch:
        """Start a batch. Raises NotFound while the teacher does not see the file yet."""
        body = {
            "input_file_id": file_id,
            "endpoint": CHAT,
            "completion_window": WINDOW,
            "metadata": dict(metadata),
        }
        try:
            return await self._read(RemoteBatch, "POST", "/batches", json=body)
        except BadRequest as error:
            if any(words in str(error).lower() for words in _NO_FILE):
                raise NotFound(str(error)) from None
            raise

    async def batch(self, ident: str) -> RemoteBatch:
        """A batch as it is now."""
        return await self._read(RemoteBatch, "GET", f"/batches/{ident}")

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        """The batches that this key sees, the newest first."""
        async for said in self._pages("/batches", {}):
            yield _valid(RemoteBatch, said)

    async def cancel(self, ident: str) -> None:
        """Ask for an end; one that has ended already stays as it is."""
        try:
            await self._json("POST", f"/batches/{ident}/cancel")
        except BadRequest:
            return

    @asynccontextmanager
    async def content(self, file_id: str, offset: int) -> AsyncGenerator[AsyncIterator[bytes]]:
        """A file's bytes from an offset to the end, in chunks."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._reply("GET", f"/files/{file_id}/content", headers=headers) as reply:
            # A server that knows no ranges sends all of it again; 416: there is no more.
            yield _chunks(reply, skip=0 if reply.status in (206, 416) else offset)

    async def shutdown_date(self, model: str) -> date | None:
        """The day on which a model goes; None where the server says nothing of it."""
        try:
            cards = (await self._read(ModelCards, "GET", "/models")).data
        except (BadRequest, NotFound, ModelGone):
            return None
        day = next((card.shutdown_date for card in cards if card.id == model), None)
        try:
            return datetime.fromisoformat(day).date() if day else None
        except ValueError:
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

    async def _read(self, kind: type[_Said], method: str, path: str, **how: Any) -> _Said:
        return _valid(kind, await self._json(method, path, **how))

    async def _json(self, method: str, path: str, **how: Any) -> Any:
        async with self._reply(method, path, **how) as reply:
            content = await reply.read()
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise Overloaded(f"{method} {path}: not JSON: {content[:80]!r}") from None

    @asynccontextmanager
    async def _reply(
        self, method: str, path: str, **how: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        await self._pace.acquire()
        try:
            async with self._session.request(
                method, self._url + path, allow_redirects=False, **how
            ) as reply:
                if reply.status not in _GOOD:
                    raise _refusal(reply, await reply.read(), path)
                if reply.status == 416:
                    await reply.read()
                yield reply
        except TimeoutError:
            raise TimedOut(
                f"{method} {path}: no reply within {self._timeout.sock_read} s"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"{method} {path}: {type(error).__name__}: {error}") from None


def _refusal(reply: aiohttp.ClientResponse, said: bytes, path: str) -> Exception:
    error = error_of(reply.status, said, reply.headers)
    return NotFound(f"{path}: {error}") if reply.status == 404 else error


async def _chunks(reply: aiohttp.ClientResponse, skip: int) -> AsyncIterator[bytes]:
    async for chunk in reply.content.iter_chunked(_CHUNK_BYTES):
        if skip < len(chunk):
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))


def _valid(kind: type[_Said], said: Any) -> _Said:
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        where = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
        raise Overloaded(f"the reply is not a {kind.__name__} ({where}): {said!r:.80}") from None
