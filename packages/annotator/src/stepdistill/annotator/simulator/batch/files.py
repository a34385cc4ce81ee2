"""Files that clients upload and batches write: kept on disk, and sent, whole or in part."""

import hashlib
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.reply import break_off, hang_up

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file."""

    id: str
    owner: str  # whose calls find it
    purpose: str
    filename: str  # as its client named it
    path: Path  # where its bytes are
    size: int  # bytes
    sha256: str  # in hex
    created_s: float  # by the simulator's clock, as expires_s
    expires_s: float


class FileWriter:
    """A file that is being written, hashed on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append these bytes."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def close(self) -> str:
        """End the file; returns its sha256 in hex."""
        self._file.close()
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Throw away what was written."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class FileStore:
    """Files by id, each seen by its owner alone, in a temporary folder.

    A file that is deleted or has expired is not found any more; its bytes stay on disk until the
    store is closed, because a batch may still be reading them.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        self._parent = folder
        self._clock = clock
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # made for the first file
        self._files: dict[str, StoredFile] = {}

    def writer(self) -> FileWriter:
        """A new file to write to; raises OSError."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="simulator-", dir=self._parent)
        return FileWriter(Path(self._folder.name) / uuid.uuid4().hex)

    def keep(
        self,
        written: FileWriter,
        *,
        owner: str,
        purpose: str,
        filename: str,
        created_s: float,
        kept_s: float,
    ) -> StoredFile:
        """Close what was written, and let it be found."""
        file = StoredFile(
            id=f"file-{written.path.name}",
            owner=owner,
            purpose=purpose,
            filename=filename,
            path=written.path,
            size=written.size,
            sha256=written.close(),
            created_s=created_s,
            expires_s=created_s + kept_s,
        )
        self._files[file.id] = file
        return file

    def find(self, file_id: str, owner: str) -> StoredFile | None:
        """The file, None where this owner has none of this id (any more)."""
        file = self._files.get(file_id)
        if file is None or file.owner != owner or self._clock() >= file.expires_s:
            return None
        return file

    def all(self, owner: str) -> list[StoredFile]:
        """The owner's files, oldest first."""
        return [file for name in self._files if (file := self.find(name, owner))]

    def remove(self, file: StoredFile) -> None:
        """Delete the file."""
        del self._files[file.id]

    def close(self) -> None:
        """Throw everything away."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRange:
    """The part of a file that was asked for: bytes start to end (exclusive) of size."""

    path: Path
    start: int
    end: int
    size: int
    partial: bool  # asked for by a Range header

    @property
    def status(self) -> int:
        """The HTTP status: 206 for a part, 416 for one that does not exist."""
        if not self.partial:
            return 200
        return 206 if self.start < self.size else 416

    @property
    def to_end(self) -> bool:
        """Whether it holds the file's last byte."""
        return self.end == self.size and self.status != 416


def range_of(request: web.BaseRequest, path: Path, *, ranges: bool) -> FileRange:
    """What this request asks for, or the whole file where ranges are not heeded."""
    size = path.stat().st_size
    start, end, partial = 0, size, ranges and "Range" in request.headers
    if partial:
        try:
            start, end, _ = request.http_range.indices(size)
        except ValueError:  # a range that is none cannot be satisfied
            start = end = size
    return FileRange(path=path, start=start, end=end, size=size, partial=partial)


async def deliver_range(
    request: web.BaseRequest, part: FileRange, fault: Fault | None, *, silent_cut: bool
) -> web.StreamResponse:
    """Send the bytes as a stream; TORN cuts it, silently as if that were all there is."""
    if fault is Fault.LOST:
        return hang_up(request)
    end = _middle_of_line(part) if fault is Fault.TORN else part.end
    promised = (end if silent_cut else part.end) - part.start
    response = web.StreamResponse(status=part.status)
    response.content_type = "application/octet-stream"
    if part.partial:
        span = f"{part.start}-{part.end - 1}" if part.status == 206 else "*"
        response.headers["Content-Range"] = f"bytes {span}/{part.size}"
    response.content_length = promised
    await response.prepare(request)
    with part.path.open("rb") as file:
        file.seek(part.start)
        left = end - part.start
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            await response.write(chunk)
    if end - part.start < promised:
        break_off(request)
    return response


def _middle_of_line(part: FileRange) -> int:
    middle = part.start + (part.end - part.start) // 2
    with part.path.open("rb") as file:
        file.seek(max(0, middle - 1))
        # Never right behind a line's end: what arrived shall look torn.
        return middle + (file.read(1) == b"\n")
