"""Two hosts on one machine: network namespaces joined by a cable, each with a name of its own.

They share disks, clocks and cores; what differs is all that a network is made of. Only root may
make them: elsewhere the tests are skipped.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.trainer.launching import TRAIN, environment

PORT = "29500"  # a host of its own has all ports free
_NAMED = 'hostname "$0" && mount --bind "$1" /etc/hosts && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Host:
    """One of them."""

    name: str
    address: str
    space: str  # its network namespace
    cable: str  # its end
    names: Path  # its /etc/hosts, which as often gives its own name an address of no use to others

    def start(self, *words: str | Path, **more: str) -> subprocess.Popen[str]:
        """A command on this host, in a session of its own. more: of its environment."""
        beside = Path(sys.executable).parent
        path = f"{beside}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [*self.entered(), *map(str, words)],
            env=environment(**{"PATH": path} | more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def entered(self) -> list[str]:
        """The words before a command that make it one of this host."""
        # The namespace has mounts of its own, so nothing else here sees that file.
        named = ["unshare", "--uts", "sh", "-c", _NAMED, self.name, str(self.names)]
        return ["ip", "netns", "exec", self.space, *named]

    def rank(
        self, number: int, line: list[str], first: str, ranks: int = 2
    ) -> subprocess.Popen[str]:
        """The trainer as one of so many ranks, one a host. first: where rank 0 is."""
        world = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        world |= {"MASTER_ADDR": first, "MASTER_PORT": PORT, "RANK": str(number)}
        return self.start(sys.executable, TRAIN, *line, **world)

    def unplug(self) -> None:
        """Nothing reaches it any more, and nobody is told."""
        _ip("-n", self.space, "link", "set", self.cable, "down")

    def plug(self) -> None:
        """Undo that."""
        _ip("-n", self.space, "link", "set", self.cable, "up")


@contextmanager
def two_hosts(folder: Path) -> Generator[tuple[Host, Host]]:
    """Skips the test where they cannot be made. folder: for their files."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("two hosts are two network namespaces, which take root and `ip`")
    mark = f"sd{os.getpid()}"
    hosts = tuple(
        Host(f"host-{x}", f"10.77.7.{n}", f"{mark}{x}", f"{mark}{x}", folder / f"hosts-{x}")
        for n, x in enumerate("ab", 1)
    )
    for host, other in (hosts, hosts[::-1]):
        lines = ("127.0.0.1 localhost", f"127.0.1.1 {host.name}", f"{other.address} {other.name}")
        host.names.write_text("\n".join(lines) + "\n")
    try:
        for host in hosts:
            _ip("netns", "add", host.space)
            _ip("-n", host.space, "link", "set", "lo", "up")
        ends = [["name", host.cable, "netns", host.space] for host in hosts]
        _ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for host in hosts:
            _ip("-n", host.space, "address", "add", f"{host.address}/24", "dev", host.cable)
            host.plug()
        yield hosts[0], hosts[1]
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host.space], check=False, capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode and words[:2] == ("netns", "add"):
        pytest.skip(f"no network namespace can be made here ({done.stderr.strip()})")
    assert done.returncode == 0, done.stderr
