"""A protocol of batches: the calls that a part's way needs, whatever a provider calls them.

A part's file on the disk is the same for all: lines as OpenAI's Batch API has them, each with a
request of the dialect chat. A protocol turns them into what a server wants as it sends them, and
what a server says into a RemoteBatch and into lines of results as OpenAI's.
"""

import asyncio
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Self, cast

import aiohttp
import orjson

from stepdistill.annotator.errors import BadRequest, Overloaded
from stepdistill.annotator.teacher.batch.http import BatchHttp
from stepdistill.annotator.teacher.batch.part import BatchPart, RemoteBatch, RemoteFile
from stepdistill.annotator.teacher.batch.part_files import every_request
from stepdistill.annotator.teacher.body import object_in
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import StoreError

Tell = Callable[[str], None]
PER_PAGE = 100  # of a list
JSON = {"Content-Type": "application/json"}  # of a body that is streamed


class BatchApi(ABC):
    """A teacher's batches, whose requests go with the creation; an async context manager. Every
    call raises TeacherError."""

    def __init__(self, teacher: TeacherSpec, http: BatchHttp | None = None) -> None:
        self._teacher, self._http = teacher, http or BatchHttp(teacher)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__()

    @abstractmethod
    async def create(self, part: BatchPart, path: Path) -> RemoteBatch:
        """Start a batch of a part, whose file is at this path. Raises NotFound while the teacher
        does not see the file that was sent."""

    @abstractmethod
    async def batch(self, batch_id: str) -> RemoteBatch:
        """A batch as it is now."""

    @abstractmethod
    def batches(self) -> AsyncIterator[RemoteBatch]:
        """The batches that this key sees, the newest first."""

    @abstractmethod
    async def cancel(self, batch_id: str) -> bool:
        """Ask for an end, and say whether that can be asked for there; a batch that has ended
        already stays as it is."""

    @abstractmethod
    def lines(self, file_id: str, tell: Tell) -> AsyncGenerator[bytes]:
        """The lines of results behind an id that a RemoteBatch names, each once. `tell` hears of a
        torn download that is taken up where it broke."""

    def as_openai(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """A line of results as OpenAI has it: custom_id, response with status_code and body, which
        is of the teacher's dialect, or error."""
        return line

    def is_of(self, batch: RemoteBatch, part: BatchPart) -> bool | None:
        """Whether a batch was created for this submission of this part; None: nobody can tell by
        what is said of it."""
        if batch.metadata:
            return part.tags.items() <= batch.metadata.items()
        # A server that does not keep it.
        return batch.input_file_id == part.file_id and batch.status != "failed"

    async def shutdown_date(self, model: str) -> date | None:
        """The day on which a model goes; None where the server says nothing of it."""
        return None

    def _sent(self, part: BatchPart, path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Each request of a part by its name, and its body in the teacher's dialect."""
        teacher = replace(self._teacher, max_tokens=part.limit)
        for request in every_request(path):
            yield request.key.hex(), orjson.loads(teacher.body(request))

    def _lines(
        self, part: BatchPart, path: Path, line: Callable[[str, Mapping[str, object]], object]
    ) -> Iterator[bytes]:
        """A file's lines, one for each request of a part. line: of its name and its body."""
        for name, body in self._sent(part, path):
            yield orjson.dumps(line(name, body), option=orjson.OPT_APPEND_NEWLINE)

    async def _ask_to_cancel(self, path: str) -> bool:
        with suppress(BadRequest):  # it has ended already
            await self._http.json("POST", path)
        return True

    async def _pages(self, path: str, query: dict[str, str], after: str) -> AsyncIterator[Any]:
        """The items of a list of pages. after: what a page is asked for by, beside the id of the
        last item before it."""
        query = {"limit": str(PER_PAGE), **query}
        while True:
            page = await self._http.json("GET", path, params=query)
            items = objects_of(page)
            for item in items:
                yield item
            if not items or not page.get("has_more"):
                return
            query[after] = str(items[-1]["id"])


class BatchFileApi(BatchApi):
    """A teacher's batches, whose requests go up as a file before one is created."""

    @property
    def sends_as_is(self) -> bool:
        """Whether a part's file goes up as it is on the disk."""
        return False

    @abstractmethod
    async def upload(self, part: BatchPart, path: Path) -> RemoteFile:
        """Send a part's file up, under a name that it is found by."""

    @abstractmethod
    def files(self) -> AsyncIterator[RemoteFile]:
        """The files for batches that this key sees."""

    @abstractmethod
    async def delete_file(self, file_id: str) -> None:
        """Remove a file; one that is not there is no error."""


@asynccontextmanager
async def spooled(pieces: Iterator[bytes], folder: Path) -> AsyncGenerator[IO[bytes]]:
    """What is to be sent, on the disk, so that its length is known and it never lies in memory.
    folder: where there is room for that. Raises StoreError: there is none."""

    def write() -> None:
        for piece in pieces:
            file.write(piece)
        file.seek(0)

    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed below
        try:
            await asyncio.to_thread(write)
        except BaseException:
            file.close()
            raise
    except FileNotFoundError:  # the part's own file is gone: it is written again
        raise
    except OSError as error:
        raise StoreError(
            f"{folder}: no copy of a batch's file can be written ({error.strerror}): make room and "
            "run this again; the parts that are whole are kept"
        ) from None
    with file:
        yield file


def joined(head: bytes, items: Iterator[bytes], tail: bytes) -> Iterator[bytes]:
    """Items of a list in JSON, with a comma between each two."""
    yield head
    comma = b""
    for item in items:
        yield comma + item
        comma = b","
    yield tail


def form_of(file: IO[bytes], name: str, **fields: str) -> aiohttp.FormData:
    """A form with a file of lines; its fields stand before it."""
    form = aiohttp.FormData()
    for field, value in fields.items():
        form.add_field(field, value)
    form.add_field("file", file, filename=name, content_type="application/jsonl")
    return form


def seconds(moment: object) -> int:
    """A time since 1970, of a number or of RFC 3339; 0 where it is neither."""
    if isinstance(moment, int | float):
        return int(moment)
    try:
        return int(datetime.fromisoformat(str(moment)).timestamp())
    except ValueError:
        return 0


def state_of(word: object, states: Mapping[str, str]) -> str:
    """OpenAI's word for a state; one that nobody knows is no end."""
    return states.get(str(word), "in_progress")


def objects_of(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list, or in `data` of a page."""
    items = (object_in(value) or {}).get("data", value)
    found = cast("list[object]", items) if isinstance(items, list) else []
    return [each for item in found if (each := object_in(item))]


def an_object(value: object, what: str) -> Mapping[str, Any]:
    """What a call returned, if it is an object. Raises Overloaded."""
    found = object_in(value)
    if found is None:
        raise Overloaded(f"{what}: the reply is no object: {value!r:.80}")
    return found
