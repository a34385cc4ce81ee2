"""The response store: every answer under its request's key, in LMDB; the only record of progress.

    responses   key (32 bytes) -> Answer as JSON
    failures    key -> Failure as JSON, removed once the request is answered
    meta        schema -> version

One process writes, behind a lock that says who holds it; any number read. A commit is synced to
disk before it returns, so what was committed survives a kill of the process and of the machine.
"""

import fcntl
import os
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import lmdb

from annotator.request.answer import Answer, Failure
from common.errors import StoreError

if TYPE_CHECKING:
    from lmdb import _Database  # pyright: ignore[reportPrivateUsage]  # its only name

SCHEMA_VERSION = b"1"
MAP_BYTES = 1 << 34


class ResponseStore:
    """Open with `ResponseStore.open`; close it, or use it as a context manager."""

    def __init__(self, env: lmdb.Environment, path: Path, lock: int | None) -> None:
        self._env, self.path, self._lock = env, path, lock
        self._resizing = threading.Lock()  # the map moves: nobody may read at that moment
        self._responses = env.open_db(b"responses", create=lock is not None)
        self._failures = env.open_db(b"failures", create=lock is not None)

    @classmethod
    def open(cls, path: Path, *, write: bool, map_bytes: int = MAP_BYTES) -> Self:
        """The store in a folder, made if write. Raises StoreError: locked, unusable, too old."""
        lock = _take_lock(path) if write else None
        try:
            if not write and not (path / "data.mdb").exists():
                raise StoreError(f"--store {path}: no store here")
            env = lmdb.open(str(path), map_size=map_bytes, max_dbs=4, readonly=not write)
            _check_schema(env, path, write=write)
            return cls(env, path, lock)
        except (lmdb.Error, OSError) as error:
            _release(lock)
            raise StoreError(f"--store {path}: cannot be opened ({error})") from None
        except StoreError:
            _release(lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environment and let the next writer in."""
        self._env.close()
        _release(self._lock)
        self._lock = None

    def __contains__(self, key: bytes) -> bool:
        with self._resizing, self._env.begin(self._responses) as txn:
            return txn.get(key) is not None

    def __len__(self) -> int:
        with self._resizing, self._env.begin() as txn:
            return int(txn.stat(self._responses)["entries"])

    @contextmanager
    def reading(self) -> Generator["Snapshot"]:
        """One snapshot to read many answers from."""
        with self._env.begin() as txn:
            yield Snapshot(txn, self._responses, self._failures)

    def put(
        self, answers: Iterable[tuple[bytes, Answer]], failures: Iterable[tuple[bytes, Failure]]
    ) -> None:
        """Commit answers and failures together. Raises StoreError when the disk is full."""
        new = [(key, answer.model_dump_json().encode()) for key, answer in answers]
        failed = [(key, failure.model_dump_json().encode()) for key, failure in failures]
        while True:
            try:
                return self._commit(new, failed)
            except lmdb.MapFullError:
                with self._resizing:
                    self._env.set_mapsize(int(self._env.info()["map_size"]) * 2)
            except lmdb.Error as error:
                raise StoreError(
                    f"--store {self.path}: answers could not be written ({error}); all that was "
                    "stored before is safe: make room and run this again"
                ) from None

    def _commit(self, new: list[tuple[bytes, bytes]], failed: list[tuple[bytes, bytes]]) -> None:
        with self._env.begin(write=True) as txn:
            for key, value in new:
                txn.put(key, value, db=self._responses)
                txn.delete(key, db=self._failures)
            for key, value in failed:
                txn.put(key, value, db=self._failures)


class Snapshot:
    """The store as it was when the snapshot was taken."""

    def __init__(
        self, txn: lmdb.Transaction, responses: "_Database", failures: "_Database"
    ) -> None:
        self._txn, self._responses, self._failures = txn, responses, failures

    def answer(self, key: bytes) -> Answer | None:
        """The stored answer to the request of this key."""
        value = self._txn.get(key, db=self._responses)
        return None if value is None else Answer.model_validate_json(bytes(value))

    def failure(self, key: bytes) -> Failure | None:
        """Why the request of this key has no answer, if it was ever asked."""
        value = self._txn.get(key, db=self._failures)
        return None if value is None else Failure.model_validate_json(bytes(value))


def _check_schema(env: lmdb.Environment, path: Path, *, write: bool) -> None:
    meta = env.open_db(b"meta", create=write)
    with env.begin(meta, write=write) as txn:
        found = txn.get(b"schema")
        if found is None and write:
            txn.put(b"schema", SCHEMA_VERSION)
        elif found != SCHEMA_VERSION:
            said = bytes(found).decode() if found else "none"
            raise StoreError(
                f"--store {path}: schema {said}, this program reads {SCHEMA_VERSION.decode()}"
            )


def _take_lock(path: Path) -> int:
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"--store {path}: cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode().strip()
        os.close(lock)
        raise StoreError(
            f"--store {path}: process {holder or 'unknown'} is writing to it: wait for it, or name "
            "another store"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
