"""Who may use a store's folder: one writer, which says who it is, and nobody opens it mid-swap."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepdistill.common.errors import StoreError

# What LMDB makes for 126 readers; it makes the file larger itself where it needs more.
_READERS_BYTES = 8 << 10


@contextmanager
def folder_lock(folder: Path, *, alone: bool = False) -> Generator[None]:
    """Held while a store is opened; alone: while its files are exchanged for others. A file system
    that cannot lock folders has no such lock, and opens as it is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Put on the disk which files a folder has. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reserve_readers(folder: Path) -> None:
    """Give LMDB's own lock file its blocks. Raises OSError, on a full disk for one."""
    # LMDB would leave it sparse and be killed by SIGBUS where a block cannot be had later.
    path = folder / "lock.mdb"
    if path.exists() or os.statvfs(folder).f_flag & os.ST_RDONLY:
        return
    with folder_lock(folder, alone=True), suppress(FileExistsError), path.open("xb") as file:
        try:
            file.write(bytes(_READERS_BYTES))
            file.flush()
        except OSError:
            path.unlink()
            raise


def take_lock(folder: Path) -> int:
    """The writer's lock, as a file descriptor. Raises StoreError: another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"--store {folder}: cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _first_line(os.pread(lock, 32, 0))
        os.close(lock)
        raise StoreError(
            f"--store {folder}: process {holder or 'unknown'} is writing to it: wait for it, or "
            "name another store"
        ) from None
    with suppress(OSError):  # a full disk takes no number, and the lock holds without
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def release(lock: int | None, left: str = "") -> None:
    """Let the next writer in. left: the state of the data that all was well with."""
    if lock is not None:
        with suppress(OSError):
            os.pwrite(lock, f"{os.getpid()}\n{left}\n".encode(), 0)
        os.close(lock)


def state_of(file: Path) -> str:
    """What changes with a file's content."""
    stat = file.stat()
    return f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"


def last_state(folder: Path) -> str | None:
    """The state that the last writer left the data in; the one of now where it is still at work,
    None where nobody knows."""
    try:
        lines = (folder / "writer.lock").read_bytes()[:256].decode(errors="replace").split("\n")
        if len(lines) > 1:
            return lines[1]
        os.kill(int(lines[0]), 0)
    except (OSError, ValueError, OverflowError):
        return None
    return state_of(folder / "data.mdb")


def _first_line(content: bytes) -> str:
    return content.decode(errors="replace").partition("\n")[0].strip()
