"""CPU time of a Ray cluster's processes: of its workers, and of Ray's own."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.journeys.cluster import Cluster

LOOK_EVERY_S = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class ClusterCpu:
    """CPU of a cluster's processes while it is watched."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._workers: set[int] = set()

    def look(self) -> None:
        """Note what each has taken so far."""
        workers = self._cluster.workers()
        self._workers.update(workers)
        for pid in (*self._cluster.pids, *workers):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            taken = (int(fields[11]) + int(fields[12])) / _TICKS
            self._first.setdefault(pid, 0.0 if pid in workers else taken)
            self._last[pid] = taken

    def of(self, *, workers: bool) -> float:
        """Seconds, of the workers or of Ray's own processes."""
        pids = [pid for pid in self._last if (pid in self._workers) is workers]
        return sum(self._last[pid] - self._first[pid] for pid in pids)


@contextmanager
def watched(cluster: Cluster) -> Generator[ClusterCpu]:
    """The CPU of a cluster within the block."""
    cpu, over = ClusterCpu(cluster), threading.Event()
    cpu.look()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            cpu.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield cpu
    finally:
        over.set()
        thread.join()
