"""The files that clients upload and batches write: on disk, in a folder that goes with it."""

import hashlib
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file; times in seconds of the simulator's clock, size in bytes, sha256 in hex."""

    id: str
    owner: str
    purpose: str
    filename: str
    path: Path
    size: int
    sha256: str
    created_s: float
    expires_s: float


class Sink:
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
    """Files by id, each seen by its owner alone.

    A file that is deleted or has expired is not found any more; its bytes stay on disk until the
    shelf is closed, because a batch may still be reading them.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        self._parent = folder
        self._clock = clock
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, StoredFile] = {}

    def sink(self) -> Sink:
        """A new file to write to; raises OSError."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="simulator-", dir=self._parent)
        return Sink(Path(self._folder.name) / uuid.uuid4().hex)

    def keep(
        self,
        sink: Sink,
        *,
        owner: str,
        purpose: str,
        filename: str,
        created_s: float,
        kept_s: float,
    ) -> StoredFile:
        """Put what was written on the shelf."""
        file = StoredFile(
            id=f"file-{sink.path.name}",
            owner=owner,
            purpose=purpose,
            filename=filename,
            path=sink.path,
            size=sink.size,
            sha256=sink.close(),
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
