"""Processes that work on chunks of rows: a copy of the work, the store for reading, and a pipe each
way. They are started anew and not forked: LMDB bears no fork, and no thread of ours survives one.

A process ends when its pipes do, so none is left behind by whatever happens to the one that started
it; and it is no member of its group, so that Ctrl-C is for that one alone.
"""

import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, Protocol, TypeVar

from stepdistill.annotator.plan.plan import Plan, PlannedRow, RowCursor
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot

_MAIN = "from stepdistill.annotator.run.workers import main; main()"
_END_S = 5.0  # a process that was told to end is killed after these
_READY = "ready"
Arrived = queue.SimpleQueue[Any]
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

    def __init__(self, work: bytes, arrived: Arrived) -> None:
        """work: pickled, with the path of the store. arrived: gets (worker, what comes of a chunk),
        and (worker, None) at its end. Raises OSError: it cannot be started."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what is wrong is found and said by who started it
            process_group=0,
        )
        self.chunks: deque[int] = deque()  # that it was given, and has not brought back
        self.is_ready = False
        self.begun = threading.Event()  # it is ready, or has ended before
        self._thread = threading.Thread(target=self._read, args=(work, arrived), daemon=True)
        self._thread.start()

    def give(self, number: int, first: int, end: int) -> None:
        """The rows of a chunk to be worked on."""
        self.chunks.append(number)
        with suppress(OSError):  # it is no more, as `arrived` is about to say
            pickle.dump((first, end), self._stdin, pickle.HIGHEST_PROTOCOL)
            self._stdin.flush()

    def end(self) -> None:
        """Tell it to end."""
        # One that has not opened the store yet has nothing to close, and may take long to listen.
        self._process.send_signal(signal.SIGTERM if self.is_ready else signal.SIGKILL)
        with suppress(OSError):
            self._stdin.close()

    def wait(self) -> None:
        """Until it has ended."""
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._stdout.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _read(self, work: bytes, arrived: Arrived) -> None:
        """In a thread of its own, as pipes hold less than a chunk."""
        try:
            self._stdin.write(work)
            self._stdin.flush()
            self.is_ready = pickle.load(self._stdout) == _READY
            self.begun.set()
            while True:
                arrived.put((self, pickle.load(self._stdout)))
        except (OSError, EOFError, pickle.UnpicklingError, ValueError):
            return  # it has ended, be it in the middle of a chunk
        finally:
            self.begun.set()
            arrived.put((self, None))


@contextmanager
def started(n: int, work: object, arrived: Arrived) -> Generator[list[Worker]]:
    """So many of them, or none where the work cannot be pickled; they have ended when this does."""
    workers: list[Worker] = []
    try:
        with suppress(pickle.PicklingError, AttributeError, TypeError, OSError):
            pickled = pickle.dumps(work)
            for _ in range(n):
                workers.append(Worker(pickled, arrived))
        yield workers.copy()
    finally:
        _end(workers)


def _end(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.end()
    for worker in workers:
        worker.wait()


def main() -> None:
    """In such a process: what comes of each chunk that it is given, until there is no more."""
    signal.signal(signal.SIGTERM, _stop)
    given, brought = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing else comes between
    work, path = _sent(given)
    gc.freeze()  # what is loaded stays
    gc.set_threshold(50_000, 20, 50)
    with suppress(EOFError, BrokenPipeError):
        _bring(_READY, brought)
        _bring_chunks(work, path, given, brought)
    os._exit(0)  # the pipe has nobody at its end: nothing is left to be flushed


def _sent(given: IO[bytes]) -> tuple[ChunkWork[object], Path]:
    return pickle.load(given)


def _bring_chunks(
    work: ChunkWork[object], path: Path, given: IO[bytes], brought: IO[bytes]
) -> None:
    chunk: tuple[int, int] = pickle.load(given)
    rows = RowCursor(work.plan)
    with ResponseStore.open(path, write=False, examined=True) as store, store.reading() as stored:
        while True:
            _bring(done(work, rows.rows(*chunk), stored), brought)
            chunk = pickle.load(given)


def _bring(what: object, brought: IO[bytes]) -> None:
    pickle.dump(what, brought, pickle.HIGHEST_PROTOCOL)
    brought.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise EOFError  # as if the pipe had ended
