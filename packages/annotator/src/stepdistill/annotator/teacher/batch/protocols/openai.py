"""Files and Batches as OpenAI has them, and Azure, Groq and most gateways after it."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import IO

from stepdistill.annotator.errors import BadRequest, ModelGone, NotFound
from stepdistill.annotator.teacher.batch.http import download_lines, valid
from stepdistill.annotator.teacher.batch.part import (
    CHAT,
    BatchPart,
    RemoteBatch,
    RemoteFile,
    RemoteObject,
)
from stepdistill.annotator.teacher.batch.protocols.protocol import BatchApi, Tell, form_of, spooled

_RESPONSES = "/v1/responses"
_UNKNOWN = (BadRequest, NotFound, ModelGone)  # how servers refuse a call that they do not know
# How servers say in a 400 that they do not see a file yet.
_NO_FILE = ("file_not_found", "no such file", "cannot find file", "file not found")


class _RemoteModel(RemoteObject):
    id: str
    shutdown_date: str | None = None  # e.g. 2027-01-14


class _RemoteModels(RemoteObject):
    data: tuple[_RemoteModel, ...] = ()


class OpenAiBatches(BatchApi):
    """A file goes up as it is, a batch is made of it, and its results come as files."""

    @property
    def sends_as_is(self) -> bool:
        return self._endpoint == CHAT

    @property
    def _endpoint(self) -> str:
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
        form = form_of(file, name, purpose="batch")
        return await self._http.read(RemoteFile, "POST", "/files", data=form)

    async def files(self) -> AsyncIterator[RemoteFile]:
        async for item in self._pages("/files", {"purpose": "batch"}, "after"):
            yield valid(RemoteFile, item)

    async def delete_file(self, file_id: str) -> None:
        with suppress(NotFound):
            await self._http.json("DELETE", f"/files/{file_id}")

    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        return await self.create_from(part.file_id, part.metadata)

    async def create_from(self, file_id: str | None, metadata: Mapping[str, str]) -> RemoteBatch:
        """Start a batch of a file. Raises NotFound while the teacher does not see it yet."""
        body = {
            "input_file_id": file_id,
            "endpoint": self._endpoint,
            "completion_window": "24h",
            "metadata": dict(metadata),
        }
        try:
            return await self._http.read(RemoteBatch, "POST", "/batches", json=body)
        except BadRequest as error:
            if any(words in str(error).lower() for words in _NO_FILE):
                raise NotFound(str(error)) from None
            raise

    async def batch(self, batch_id: str) -> RemoteBatch:
        return await self._http.read(RemoteBatch, "GET", f"/batches/{batch_id}")

    async def batches(self) -> AsyncIterator[RemoteBatch]:
        async for item in self._pages("/batches", {}, "after"):
            yield valid(RemoteBatch, item)

    async def cancel(self, batch_id: str) -> None:
        await self._ask_to_cancel(f"/batches/{batch_id}/cancel")

    async def lines(self, file_id: str, tell: Tell) -> AsyncGenerator[bytes]:
        size, path = await self._size_of(file_id), f"/files/{file_id}/content"
        async for line in download_lines(self._http, path, file_id, size, tell):
            yield line

    async def shutdown_date(self, model: str) -> date | None:
        with suppress(*_UNKNOWN, ValueError):  # no such call, or no such day
            models = (await self._http.read(_RemoteModels, "GET", "/models")).data
            day = next((each.shutdown_date for each in models if each.id == model), None)
            return datetime.fromisoformat(day).date() if day else None
        return None

    async def _size_of(self, file_id: str) -> int | None:
        """A file's length in bytes; None where the server does not say."""
        with suppress(*_UNKNOWN):
            return (await self._http.read(RemoteFile, "GET", f"/files/{file_id}")).bytes
        return None
