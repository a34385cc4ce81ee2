"""A Ray cluster on this machine, started by Ray's own command, and its workers to be killed."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.warm import plain_environment

RAY = Path(sys.executable).parent / "ray"
# A cluster of a test needs no token, and asks nobody on the network.
QUIET = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


class Cluster:
    """A head on this machine. environment: for the commands that are to find it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.address = f"127.0.0.1:{port}"
        self.environment = plain_environment(**QUIET)
        self.pids: list[int] = []

    def start(self) -> None:
        """Start the head; its processes are known from then on."""
        before = _processes()
        subprocess.run(
            [
                *(RAY, "start", "--head", "--node-ip-address", "127.0.0.1"),
                *("--port", str(self.port), "--num-cpus", "2", "--include-dashboard=false"),
                *("--temp-dir", str(self.folder), "--object-store-memory", "80000000"),
            ],
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=110,
        )
        mark = str(self.folder)
        self.pids = [
            pid for pid, words in _processes().items() if pid not in before and mark in words
        ]

    def kill(self) -> None:
        """kill -9 of all that the head has started."""
        for pid in (*self.pids, *self.workers()):
            _kill(pid)

    def workers(self) -> list[int]:
        """The processes in which our workers are at work."""
        return [
            pid
            for pid, words in _processes().items()
            if words.startswith("ray::RayWorker") and _parent(pid) in self.pids
        ]

    def kill_worker(self, place: int) -> bool:
        """kill -9 of one of them; whether there was one."""
        found = self.workers()
        if found:
            _kill(found[place % len(found)])
        return bool(found)


@contextmanager
def ray_cluster() -> Generator[Cluster]:
    """A cluster that ends with the block. Its folder's name is short: sockets lie there."""
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        cluster = Cluster(Path(folder), port)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()
            time.sleep(0.2)


def _processes() -> dict[int, str]:
    """Every process's command line."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            found[int(folder.name)] = words.decode(errors="replace")
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
