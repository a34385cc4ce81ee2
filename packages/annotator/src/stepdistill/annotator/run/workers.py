"""Processes that work on chunks of rows, each with a copy of the work and the store for reading.

What comes of a chunk lies in memory of both, since a pipe holds less, and who writes to it would
wait for a reader who is at work himself. They are started anew and not forked: LMDB bears no fork,
and no thread of ours survives one.

A process ends when its connection does, so none is left behind by whatever happens to the one that
started it; and it has a session of its own, so that Ctrl-C is for that one alone.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import IO, Any, Protocol, TypeVar

from stepdistill.annotator.plan.plan import Plan, PlannedRow, RowCursor
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot

AHEAD = 2  # chunks that a process has been given and not brought back: it never waits for the next
_MAIN = "from stepdistill.annotator.run.workers import main; main()"
_END_S = 5.0  # a process that was told to end is killed after these
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ChunkWork(Protocol[T_co]):
    """What is done with the rows of a chunk. It can be pickled, unless its rows are elsewhere."""

    @property
    def plan(self) -> Plan:
        """Whose rows they are."""
        ...

    def __call__(self, rows: Iterator[PlannedRow], stored: Snapshot) -> T_co:
        """What comes of them: of all, or of those up to where it stops."""
        ...


def done(work: ChunkWork[T], rows: Iterator[PlannedRow], stored: Snapshot) -> tuple[int, T]:
    """How many rows were taken, and what comes of them."""
    n = 0

    def taken() -> Iterator[PlannedRow]:
        nonlocal n
        for row in rows:
            n += 1
            yield row

    result = work(taken(), stored)
    return n, result


class Worker:
    """One of these processes, seen from the one that started it."""

    def __init__(self, work: bytes) -> None:
        """work: pickled, with the path of the store. Raises OSError: it cannot be started."""
        self.connection, its_own = Pipe()
        self._files = [_memory_file() for _ in range(AHEAD)]
        self.chunks: deque[int] = deque()  # that it was given, and has not brought back
        self._n_brought = 0
        self.is_ready = False
        with its_own, _memory_file() as job:
            _write(job.fileno(), work)
            fds = [its_own.fileno(), job.fileno(), *(file.fileno() for file in self._files)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN, *map(str, fds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what is wrong is found and said by who started it
                pass_fds=fds,
                start_new_session=True,
            )

    def give(self, number: int, first: int, end: int) -> None:
        """The rows of a chunk to be worked on; no more than AHEAD of them are out at a time."""
        self.chunks.append(number)
        with suppress(OSError):  # it is no more, as `receive` is about to say
            self.connection.send((first, end))

    def receive(self) -> tuple[int, Any] | None:
        """Once it has something to say: the number of a chunk, and what comes of it; None: it is
        ready. Raises EOFError: it has ended."""
        try:
            told: int | None = self.connection.recv()
            if told is None:
                self.is_ready = True
                return None
            file = self._files[self._n_brought % AHEAD]
            self._n_brought += 1
            return self.chunks.popleft(), pickle.loads(os.pread(file.fileno(), told, 0))
        except (OSError, pickle.UnpicklingError, LookupError):
            raise EOFError from None

    def end(self) -> None:
        """Tell it to end."""
        # One that has not opened the store yet has nothing to close, and may take long to listen.
        self._process.send_signal(signal.SIGTERM if self.is_ready else signal.SIGKILL)
        self.connection.close()

    def wait(self) -> None:
        """Until it has ended."""
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for file in self._files:
            file.close()


def _memory_file() -> IO[bytes]:
    """A file without a name, for what is too long for a pipe: nobody waits for its reader."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("chunk"), "r+b", buffering=0)
    return TemporaryFile(buffering=0)


def _write(file: int, content: bytes) -> None:
    left, place = memoryview(content), 0
    while left:
        n = os.pwrite(file, left, place)
        left, place = left[n:], place + n


@contextmanager
def started(n: int, work: object) -> Generator[list[Worker]]:
    """So many of them, or none where the work cannot be pickled; they have ended when this does."""
    workers: list[Worker] = []
    try:
        with suppress(pickle.PicklingError, AttributeError, TypeError, OSError):
            pickled = pickle.dumps(work)
            for _ in range(n):
                workers.append(Worker(pickled))
        yield workers.copy()
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.wait()


def main() -> None:
    """In such a process: what comes of each chunk that it is given, until there is no more."""
    signal.signal(signal.SIGTERM, _stop)
    starter, job, *files = map(int, sys.argv[1:])
    work, path = _sent(job)
    gc.freeze()  # what is loaded stays
    gc.set_threshold(50_000, 20, 50)
    with suppress(EOFError, ConnectionError), Connection(starter) as connection:
        connection.send(None)
        _bring_chunks(work, path, connection, files)


def _sent(job: int) -> tuple[ChunkWork[object], Path]:
    return pickle.loads(os.pread(job, os.fstat(job).st_size, 0))


def _bring_chunks(
    work: ChunkWork[object], path: Path, connection: "Connection[Any, Any]", files: Sequence[int]
) -> None:
    chunk: tuple[int, int] = connection.recv()
    rows = RowCursor(work.plan)
    with ResponseStore.open(path, write=False, examined=True) as store, store.reading() as stored:
        for file in cycle(files):
            made = pickle.dumps(done(work, rows.rows(*chunk), stored), pickle.HIGHEST_PROTOCOL)
            _write(file, made)
            connection.send(len(made))
            chunk = connection.recv()


def _stop(number: int, frame: FrameType | None) -> None:
    raise EOFError  # as if the other end were closed
