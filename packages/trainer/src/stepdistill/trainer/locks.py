"""Locks: who is at work in a folder, or on a file. They end with their process, however it ends."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stepdistill.trainer.errors import refused


@contextmanager
def claim(folder: Path, name: str = "") -> Generator[int | None]:
    """The lock of a file in a folder, or of the folder itself, as a file descriptor; None when
    another process holds it.

    A child that is given the descriptor holds the lock too: a training that outlives a killed
    sweep is not started a second time beside itself.
    """
    with refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT if name else os.O_RDONLY
        lock = os.open(folder / name, flags, 0o644)
    try:
        yield lock if take(lock) else None
    finally:
        os.close(lock)


def is_held(folder: Path, name: str) -> bool:
    """Whether another process holds the lock of a file in a folder."""
    try:
        lock = os.open(folder / name, os.O_RDWR)
    except OSError:
        return False
    try:
        return not take(lock)
    finally:
        os.close(lock)


def take(lock: int) -> bool:
    """Lock an open file for this process alone; False: another has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
