"""Rank 0's part of a meeting: it waits for all, looks that they fit together, tells who is lost."""

import errno
import secrets
import select
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.trainer.errors import RankLost, TrainingError, refused
from stepdistill.trainer.ranks.interface import interface_of, use_interface
from stepdistill.trainer.ranks.peers import Peers, gone
from stepdistill.trainer.ranks.place import RankPlace, free_port, is_this_machine
from stepdistill.trainer.ranks.wire import Message, Wire

PATIENCE_S = 600.0  # hosts of a cluster do not start together
SAID_AFTER_S, SAID_EVERY_S = 15.0, 60.0
_HELLO_S = 5.0
_LOOK_S = 60.0
_LINGER_S = 0.5
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class JoinedRank:
    """A rank that has come. who: in words; versions: of the packages that must be the same."""

    wire: Wire
    who: str
    versions: dict[str, str]


class Coordinator(Peers):
    """The meeting as rank 0 holds it. Raises DistillError, and then all members have been told."""

    def __init__(self, place: RankPlace, listener: socket.socket) -> None:
        super().__init__(place)
        self._listener = listener
        self._members: dict[int, JoinedRank] = {}

    def meet(self, own: Message, output: Path) -> int:
        """Wait for all and check them; the port at which torch's own meeting is to be.

        own: as a member says hello.
        """
        try:
            self._gather()
            self._check_versions(own)
            self._check_output(output)
            interface = self._interface()
            use_interface(interface)
        except DistillError as error:
            self.refuse(str(error), error.exit_code)
            raise
        port = int(free_port())
        self._tell({"go": port, "interface": interface})
        self.listen()
        return port

    def _interface(self) -> str | None:
        """By which others reach this host; ranks of its own may have come by another."""
        addresses = [member.wire.own_address for member in self._members.values()]
        outer = next((each for each in addresses if not is_this_machine(each)), addresses[0])
        return interface_of(outer)

    def refuse(self, line: str, code: int) -> None:
        """Tell all who have come why there is no run, and those who stand at the door."""
        self._left = True
        # They are connected, and a door that is closed before them looks like a rank 0 that died.
        while select.select([self._listener], [], [], _LINGER_S)[0]:
            with suppress(DistillError):  # each may have a reason of its own
                self._admit(watched=())
        self._tell({"refused": line, "code": code})
        self._close()

    def refuse_all(self, line: str, code: int, within_s: float) -> None:
        """As `refuse`, waiting for those who have not come yet."""
        end = time.monotonic() + within_s
        while len(self._members) < self.place.size - 1 and time.monotonic() < end:
            with suppress(DistillError):  # each may have a reason of its own
                self._admit(watched=())
        self.refuse(line, code)

    def _tell(self, message: Message) -> None:
        for member in tuple(self._members.values()):
            member.wire.send(message)

    def _gather(self) -> None:
        began = said = time.monotonic()
        while len(self._members) < self.place.size - 1:
            self._admit(tuple(self._members.values()))
            now = time.monotonic()
            if now - began > PATIENCE_S:
                raise TrainingError(f"{self._missing()} within {PATIENCE_S / 60:.0f} minutes")
            if now - said > (SAID_AFTER_S if said == began else SAID_EVERY_S):
                said = now
                sys.stderr.write(f"waiting: {self._missing()} yet{self._hint()}\n")
                sys.stderr.flush()

    def _admit(self, watched: Sequence[JoinedRank]) -> None:
        """Look for a second who comes. Raises DistillError: one cannot take part, or has gone."""
        wires = [member.wire for member in watched]
        ready, _, _ = select.select([self._listener, *wires], [], [], 1.0)
        for member in watched:
            if member.wire in ready:
                raise gone(member.who, None)
        if self._listener in ready:
            end, (address, *_) = self._listener.accept()
            wire = Wire(end)
            try:
                hello = wire.receive(_HELLO_S)
            except OSError:
                hello = None
            if hello is None or not isinstance(hello.get("versions"), dict):
                wire.close()  # whoever looks at ports
                return
            self._enter(wire, hello, str(address).removeprefix("::ffff:"))

    def _enter(self, wire: Wire, hello: Message, address: str) -> None:
        rank, size = int(hello.get("rank", -1)), int(hello.get("size", -1))
        who = in_words(rank, str(hello.get("host", "")), address)
        known = self._members.get(rank)
        self._members[rank] = JoinedRank(wire, who, hello["versions"])
        if "refused" in hello:
            raise RankLost(f"{who}: {hello['refused']}", int(hello.get("code", 2)))
        if size != self.place.size or not 0 < rank < size:
            raise ConfigError(
                f"{who} counts {size} ranks, and rank 0 {self.place.size}: give every host the "
                "same hostfile, or number of hosts and of ranks"
            )
        if known is not None:
            known.wire.send({"refused": f"another process is rank {rank}, too", "code": 2})
            known.wire.close()
            raise ConfigError(
                f"two processes say that they are rank {rank}, {known.who} and {who}: give each "
                "host a --node_rank of its own"
            )

    def _missing(self) -> str:
        lacking = sorted({*range(1, self.place.size)} - self._members.keys())
        shown = ", ".join(map(str, lacking[:_SHOWN])) + (", ..." if len(lacking) > _SHOWN else "")
        ranks = f"rank {shown} has" if len(lacking) == 1 else f"ranks {shown} have"
        place = self.place
        return f"{ranks} not come to rank 0 at {place.address}, port {place.port}"

    def _hint(self) -> str:
        """What may keep the others away, as far as this host can see it."""
        address = self.place.address
        try:
            found = {str(each[4][0]) for each in socket.getaddrinfo(address, None)}
            if self.place.several_hosts and all(map(is_this_machine, found)):
                return f" ({found.pop()} is every host itself: take an address that others reach)"
            with socket.create_connection((address, self._listener.getsockname()[1]), _HELLO_S):
                return ""
        except OSError as error:
            reason = error.strerror or error
            return f" (nor does rank 0 reach itself there: {reason}; is it this host's address?)"

    def _check_versions(self, own: Message) -> None:
        for name, version in own["versions"].items():
            for member in self._members.values():
                other = member.versions.get(name)
                if other != version:
                    raise ConfigError(
                        f"{name} is {version} for rank 0 and {other} for {member.who}: install the "
                        "same on all hosts"
                    )

    def _check_output(self, output: Path) -> None:
        """All must see what one writes: a checkpoint is written by all of them, into one folder."""
        token = output / f".meeting-{secrets.token_hex(8)}"
        with refused(f"--output {output}"):
            output.mkdir(parents=True, exist_ok=True)
            token.touch()
        try:
            self._tell({"look": token.name})
            for member in self._members.values():
                if not _answer(member).get("seen"):
                    raise ConfigError(
                        f"--output {output}: {member.who} does not see what rank 0 writes there: "
                        "name a folder that all hosts share (NFS, Lustre, a volume)"
                    )
        finally:
            token.unlink(missing_ok=True)

    def _listen(self) -> None:
        here = dict(self._members)
        while here and not self._left:
            ready, _, _ = select.select([m.wire for m in here.values()], [], [], 1.0)
            for rank, member in [*here.items()]:
                if member.wire in ready and not self._hear(member):
                    del here[rank]
        self._close()

    def _close(self) -> None:
        self._listener.close()
        for member in self._members.values():
            member.wire.close()

    def _hear(self, member: JoinedRank) -> bool:
        """What a member says; whether there may be more."""
        try:
            message = member.wire.receive(_HELLO_S)
        except OSError as error:
            self._conclude(gone(member.who, error))
            return False
        if message is None:
            self._conclude(gone(member.who, None))
        elif "lost" in message:
            self._conclude(RankLost(str(message["lost"]), int(message.get("code", 3))))
        elif message.get("ended"):
            self._note_end(member.who, message)
        return False


def in_words(rank: int, host: str, address: str) -> str:
    """A rank and where it is."""
    return f"rank {rank} on {host} ({address})" if address else f"rank {rank} on {host}"


def _answer(member: JoinedRank) -> Message:
    try:
        message = member.wire.receive(_LOOK_S)
    except OSError as error:
        raise gone(member.who, error) from None
    if message is None:
        raise gone(member.who, None)
    return message


def listening(addresses: Iterable[tuple[socket.AddressFamily, str]], port: int) -> socket.socket:
    """A listener at the first of these addresses that this host has. Raises OSError."""
    problem: OSError | None = None
    for family, address in addresses:
        try:
            dual = family == socket.AF_INET6 and not address and socket.has_dualstack_ipv6()
            return socket.create_server((address, port), family=family, dualstack_ipv6=dual)
        except OSError as error:
            problem = problem or error
            if error.errno == errno.EADDRINUSE:
                break
    raise problem or OSError("no address")
