"""A plan's rows in chunks, worked on by all cores; what comes of them is had in the rows' order.

What is done with a chunk is a function that can be pickled. Other processes are started only once
there is enough to do, and this one goes on by itself until they are ready, so a small run is as if
there were none. Whatever happens to one of them, its chunk is done here: so an error that lies in
the rows or in the store is raised here, where it would have been.
"""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Generic, TypeVar

from stepdistill.annotator.plan.plan import RowCursor
from stepdistill.annotator.run.workers import AHEAD, ChunkWork, Worker, done, started
from stepdistill.annotator.store.response_store import ResponseStore

T = TypeVar("T")
# With so many processes, this one has enough to do with what they bring.
_BUSY_WITH = 4
_MOST = 16  # what more would bring, one writer could not take
_GROUP = Path("/sys/fs/cgroup")
_QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # of either version


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """How many processes may work, and from when on it is worth it."""

    processes: int
    chunk_rows: int = 1_000
    from_answers: int = 20_000  # in the store, for each process beside the first
    at_once: bool = False  # before the first chunk, and not while these are done by one process


ONE_CORE = Cores(processes=1)


def usable_cores() -> int:
    """How many cores this process may use, by its affinity and its control group."""
    try:
        n = len(os.sched_getaffinity(0))
    except AttributeError:  # not of this system
        n = os.cpu_count() or 1
    return min([n, *map(_quota, _QUOTAS)])


def _quota(files: tuple[str, ...]) -> int:
    """Cores of a control group's share of time; any number where it has none (`max`, `-1`)."""
    try:
        words = [word for file in files for word in (_GROUP / file).read_text().split()]
        share = int(words[0]) // int(words[1])
    except (OSError, ValueError, LookupError):
        return _MOST
    return _MOST if share < 0 else max(1, share)


def all_cores(processes: int | None = None) -> Cores:
    """As many as were asked for, or all that there are."""
    return Cores(processes=processes or usable_cores())


def in_chunks(
    work: ChunkWork[T], rows: RowCursor, start: int, store: ResponseStore, cores: Cores
) -> Generator[T]:
    """What comes of the chunks from row number `start` on, in their order; close it, where it is
    left early. rows: of the work's plan. Raises what the work raises."""
    with store.reading() as stored, ExitStack() as stack:

        def do(first: int, end: int) -> tuple[int, T]:
            return done(work, rows.rows(first, end), stored)

        def start_others() -> None:
            others = min(cores.processes - 1, len(store) // max(1, cores.from_answers))
            if others > 0 and work.plan.source.is_local:
                job = work, store.path
                walk.workers = stack.enter_context(started(others, job))

        walk = _Walk(do, start, cores.chunk_rows)
        if cores.at_once:
            start_others()
            while not all(worker.is_ready for worker in walk.workers):
                walk.receive(wait=True)
        for number, (n, result) in enumerate(walk):
            yield result
            if n < cores.chunk_rows:
                return
            if number == 0 and not cores.at_once:
                start_others()


class _Walk(Generic[T]):
    """Chunks by number: which are done, and which are being worked on. An iterator without end."""

    def __init__(
        self, do: Callable[[int, int], tuple[int, T]], start: int, chunk_rows: int
    ) -> None:
        """do: a chunk by itself, in this process."""
        self._do, self._start, self._size = do, start, chunk_rows
        self.workers: list[Worker] = []
        self._done: dict[int, tuple[int, T]] = {}
        self._given: dict[int, Worker] = {}
        self._place = self._next = 0  # the chunk to be had next, and the first that nobody has

    def __iter__(self) -> Iterator[tuple[int, T]]:
        while True:
            self.receive(wait=False)
            if self._place not in self._done:
                number = self._own()
                if number is None:
                    self.receive(wait=True)
                    continue
                self._done[number] = self._do(*self._range(number))
                continue
            self._place += 1
            yield self._done.pop(self._place - 1)

    def _own(self) -> int | None:
        """A chunk to be done here; None: what others are at is waited for."""
        if self._place not in self._given:
            self._next = max(self._next, self._place + 1)
            return self._place
        if len(self.workers) >= _BUSY_WITH or self._next >= self._place + self._window:
            return None
        return self._claim()

    def _claim(self) -> int:
        while self._next in self._done or self._next in self._given:
            self._next += 1
        self._next += 1
        return self._next - 1

    @property
    def _window(self) -> int:
        """How far ahead of what is had anybody works: so much is kept in memory at most."""
        return 2 * AHEAD * (len(self.workers) + 1)

    def receive(self, *, wait: bool) -> None:
        """Take what others bring, and give out what comes next. wait: until one has something."""
        by_end = {worker.connection: worker for worker in self.workers}
        for each in connection.wait(list(by_end), None if wait else 0) if by_end else ():
            worker = by_end[each]  # pyright: ignore[reportArgumentType]  # one of these
            try:
                brought = worker.receive()
            except EOFError:
                self.workers.remove(worker)
                self._given = {n: by for n, by in self._given.items() if by is not worker}
                continue
            if brought is not None:
                number, self._done[number] = brought
                del self._given[number]
        for worker in self.workers:
            while worker.is_ready and len(worker.chunks) < AHEAD:
                if self._next >= self._place + self._window:
                    return
                number = self._claim()
                self._given[number] = worker
                worker.give(number, *self._range(number))

    def _range(self, number: int) -> tuple[int, int]:
        first = self._start + number * self._size
        return first, first + self._size
