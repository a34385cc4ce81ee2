"""Where indexes are kept: a file for each thing that was looked at, the oldest of them removed."""

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from stepdistill.annotator.view.index import RowIndex
from stepdistill.common.errors import ConfigError

_LAYOUT = 3  # raised when an earlier version's index says something else
_KEPT = 8  # indexes in the folder
_ENDINGS = ("", "-wal", "-shm", ".lock")


def usual_folder() -> Path | None:
    """The user's folder for caches, and ours in it; None of a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):
        return (Path(base) if base else Path.home() / ".cache") / "stepdistill" / "view"
    return None


class KeptIndex:
    """An index in its file, which nobody else fills meanwhile; else one that is gone at the end."""

    def __init__(self, index: RowIndex, lock: int | None, temporary: Path | None) -> None:
        self.index, self._lock, self._temporary = index, lock, temporary

    @classmethod
    def open(cls, folder: Path | None, digest: str, facets: Iterable[str]) -> Self:
        """The index of what has this digest. Where the folder cannot be written, or the index is
        being filled by another process, one in a temporary file."""
        facets = tuple(facets)
        if folder is None:
            return cls._temporary_one(facets)
        path = folder / f"{digest[:32]}-{_LAYOUT}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(_beside(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return cls._temporary_one(facets)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            index = _opened(path, facets)
        except (OSError, sqlite3.Error):  # another process is filling it, or it cannot be written
            os.close(lock)
            return cls._temporary_one(facets)
        _remove_old(folder)
        return cls(index, lock, None)

    @classmethod
    def _temporary_one(cls, facets: Iterable[str]) -> Self:
        if not _has_search():
            raise ConfigError(f"SQLite {sqlite3.sqlite_version} of this Python lacks FTS5")
        handle, name = tempfile.mkstemp(suffix=".sqlite", prefix="stepdistill-view-")
        os.close(handle)
        return cls(RowIndex(name, facets), None, Path(name))

    def close(self) -> None:
        """Close the file, and remove it where it is a temporary one."""
        self.index.close()
        if self._lock is not None:
            os.close(self._lock)
        if self._temporary is not None:
            _remove(self._temporary)


def _has_search() -> bool:
    memory = sqlite3.connect(":memory:")
    try:
        memory.execute("CREATE VIRTUAL TABLE search USING fts5 (text)")
    except sqlite3.Error:
        return False
    finally:
        memory.close()
    return True


def _opened(path: Path, facets: Iterable[str]) -> RowIndex:
    if not path.exists():
        # What is searched are people's texts: nobody else reads them.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    else:
        os.utime(path)
    try:
        return RowIndex(path, facets)
    except sqlite3.DatabaseError:  # cut short by a full disk or a lost machine
        _remove(path)
        return RowIndex(path, facets)


def _remove_old(folder: Path) -> None:
    by_age = sorted(folder.glob("*.sqlite"), key=lambda path: path.stat().st_mtime)
    for path in by_age[:-_KEPT]:
        _remove(path)


def _remove(path: Path) -> None:
    for ending in _ENDINGS:
        with suppress(OSError):
            _beside(path, ending).unlink()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
