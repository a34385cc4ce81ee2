"""Files and Batches as OpenAI has them, and Azure, Groq and most gateways after it."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from stepdistill.annotator.errors import BadRequest, ModelGone, NotFound
from stepdistill.annotator.teacher.batch.http import download_lines, valid
from stepdistill.annotator.teacher.batch.part import (
    CHAT,
    BatchPart,
    RemoteBatch,
    RemoteFile,
    RemoteObject,
)
from stepdistill.annotator.teacher.batch.protocols.protocol import (
    PER_PAGE,
    BatchFileApi,
    Tell,
    an_object,
    form_of,
    objects_of,
    spooled,
)

if TYPE_CHECKING:
    from stepdistill.annotator.teacher.batch.protocols.openai_client import OpenAiClient

BatchEndpoint = Literal["/v1/chat/completions", "/v1/responses"]

_RESPONSES: BatchEndpoint = "/v1/responses"
_UNKNOWN = (BadRequest, NotFound, ModelGone)  # how servers refuse a call that they do not know
# How servers say in a 400 that they do not see a file yet.
_NO_FILE = ("file_not_found", "no such file", "cannot find file", "file not found")


class _RemoteModel(RemoteObject):
    id: str
    shutdown_date: str | None = None  # e.g. 2027-01-14


class _RemoteModels(RemoteObject):
    data: tuple[_RemoteModel, ...] = ()


class FileBatches(BatchFileApi):
    """Whoever keeps files as OpenAI does: results are among them."""

    async def delete_file(self, file_id: str) -> None:
        with suppress(NotFound):
            await self._http.json("DELETE", f"/files/{file_id}")

    async def lines(self, file_id: str, tell: Tell) -> AsyncGenerator[bytes]:
        size, path = await self._size_of(file_id), f"/files/{file_id}/content"
        async for line in download_lines(self._http, path, file_id, size, tell):
            yield line

    async def _size_of(self, file_id: str) -> int | None:
        """A file's length in bytes; None where the server does not say."""
        with suppress(*_UNKNOWN):
            return valid(RemoteFile, await self._file(file_id)).bytes
        return None

    async def _file(self, file_id: str) -> object:
        return await self._http.json("GET", f"/files/{file_id}")


class OpenAiBatches(FileBatches):
    """A file goes up as it is, a batch is made of it, and its results come as files. All calls but
    those that carry a file are made by OpenAI's own client."""

    @cached_property
    def _client(self) -> "OpenAiClient":
        # Loading it takes most of a second: only where it is used.
        from stepdistill.annotator.teacher.batch.protocols.openai_client import OpenAiClient

        return OpenAiClient(self._http)

    @property
    def sends_as_is(self) -> bool:
        return self._endpoint == CHAT

    @property
    def _endpoint(self) -> BatchEndpoint:
        return _RESPONSES if self._teacher.dialect.name == "responses" else CHAT

    async def upload(self, part: BatchPart, path: Path) -> RemoteFile:
        if self.sends_as_is:
            return await self.send_file(path, part.remote_name)
        about = {"method": "POST", "url": self._endpoint}
        lines = self._lines(part, path, lambda key, body: {"custom_id": key, **about, "body": body})
        async with spooled(lines, path.parent) as file:
            return await self._send(file, part.remote_name)

    async def send_file(self, path: Path, name: str) -> RemoteFile:
        """Send a file up for a batch."""
        with path.open("rb") as file:
            return await self._send(file, name)

    async def _send(self, file: IO[bytes], name: str) -> RemoteFile:
        # Its own client would read the whole of it before it sends it.
        form = form_of(file, name, purpose="batch")
        return await self._http.read(RemoteFile, "POST", "/files", data=form)

    async def files(self) -> AsyncIterator[RemoteFile]:
        async for item in self._listed(partial(self._client.files.list, purpose="batch")):
            yield valid(RemoteFile, item)

    async def delete_file(self, file_id: str) -> None:
        with suppress(NotFound):
            await self._client.told(self._client.files.delete, file_id)

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        return await self.create_from(part.file_id or "", part.metadata)

    async def create_from(self, file_id: str, metadata: Mapping[str, str]) -> RemoteBatch:
        """Start a batch of a file. Raises NotFound while the teacher does not see it yet."""
        create = partial(self._client.batches.create, completion_window="24h")
        asked = {"input_file_id": file_id, "endpoint": self._endpoint, "metadata": dict(metadata)}
        try:
            return valid(RemoteBatch, await self._client.told(create, **asked))
        except BadRequest as error:
            if any(words in str(error).lower() for words in _NO_FILE):
                raise NotFound(str(error)) from None
            raise

    async def batch(self, batch_id: str) -> RemoteBatch:
        return valid(RemoteBatch, await self._client.told(self._client.batches.retrieve, batch_id))

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        async for item in self._listed(self._client.batches.list):
            yield valid(RemoteBatch, item)

    async def cancel(self, batch_id: str) -> bool:
        with suppress(BadRequest):  # it has ended already
            await self._client.told(self._client.batches.cancel, batch_id)
        return True

    async def shutdown_date(self, model: str) -> date | None:
        with suppress(*_UNKNOWN, ValueError):  # no such call, or no such day
            models = valid(_RemoteModels, await self._client.told(self._client.models.list)).data
            day = next((each.shutdown_date for each in models if each.id == model), None)
            return datetime.fromisoformat(day).date() if day else None
        return None

    async def _file(self, file_id: str) -> object:
        return await self._client.told(self._client.files.retrieve, file_id)

    async def _listed(self, call: Callable[..., Awaitable[Any]]) -> AsyncIterator[Any]:
        """The items of a list of pages, each of which begins after the last of the one before."""
        after: dict[str, str] = {}
        while True:
            page = an_object(await self._client.told(call, limit=PER_PAGE, **after), "a list")
            items = objects_of(page)
            for item in items:
                yield item
            if not items or not page.get("has_more"):
                return
            after = {"after": str(items[-1]["id"])}
