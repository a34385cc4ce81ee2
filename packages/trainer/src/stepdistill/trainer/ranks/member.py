"""Any other rank's part of a meeting: it comes to rank 0, says who it is, and hears who is lost."""

import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stepdistill.trainer.errors import RankLost, TrainingError
from stepdistill.trainer.ranks.coordinator import PATIENCE_S, SAID_AFTER_S, SAID_EVERY_S
from stepdistill.trainer.ranks.interface import interface_of, use_interface
from stepdistill.trainer.ranks.peers import Peers, gone
from stepdistill.trainer.ranks.place import RankPlace, is_this_machine
from stepdistill.trainer.ranks.wire import Message, Wire

_TRY_S, _PAUSE_S = 10.0, 0.5
_APPEARS_S = 5.0  # of a file that another host has just written
_HEARD_S = 5.0


class RankMember(Peers):
    """The meeting as all ranks but the first see it. Raises DistillError where there is no run."""

    def __init__(self, place: RankPlace, wire: Wire) -> None:
        super().__init__(place)
        self._wire = wire
        self._first = f"rank 0 ({place.address})"

    def meet(self, own: Message, output: Path) -> int:
        """Say hello and wait for the others; the port at which torch's own meeting is to be."""
        self._wire.send(own)
        while True:
            message = self._next()
            if "look" in message:
                self._wire.send({"seen": _appears(output / str(message["look"]))})
            if "refused" in message:
                self._left = True
                self._wire.close()
                raise RankLost(str(message["refused"]), int(message.get("code", 2)))
            if "go" in message:
                own_address = self._wire.own_address
                is_with_first = self.place.several_hosts and is_this_machine(own_address)
                use_interface(
                    message.get("interface") if is_with_first else interface_of(own_address)
                )
                self.listen()
                return int(message["go"])

    def refuse(self, own: Message, line: str, code: int) -> None:
        """Say hello, and why this rank cannot take part."""
        self._left = True
        self._wire.send({**own, "refused": line, "code": code})
        with suppress(OSError):
            self._wire.receive(_HEARD_S)
        self._wire.close()

    def _next(self) -> Message:
        try:
            message = self._wire.receive()
        except OSError as error:
            self._wire.close()
            raise gone(self._first, error, first=True) from None
        if message is None:
            self._wire.close()
            raise gone(self._first, None, first=True)
        return message

    def _tell(self, message: Message) -> None:
        self._wire.send(message)

    def _listen(self) -> None:
        """One message is all that ever comes."""
        try:
            self._hear(self._wire.receive())
        except OSError as error:
            self._conclude(gone(self._first, error, first=True))
        finally:
            self._wire.close()

    def _hear(self, message: Message | None) -> None:
        if message is None:
            self._conclude(gone(self._first, None, first=True))
        elif "lost" in message:
            self._conclude(RankLost(str(message["lost"]), int(message.get("code", 3))))
        else:
            self._note_end(self._first, message)


def connected(place: RankPlace, port: Callable[[], int], within_s: float = PATIENCE_S) -> Wire:
    """A line to rank 0, which may not be there yet. port: where it listens, once that is known.

    Raises TrainingError: it was not there by then.
    """
    began = said = time.monotonic()
    while True:
        try:
            end = socket.create_connection((place.address, port()), _TRY_S)
            return Wire(end)
        except OSError as error:
            reason = error.strerror or str(error)
        now = time.monotonic()
        where = f"rank {place.rank} ({socket.gethostname()}) cannot reach rank 0 at {place.address}"
        if now - began > within_s:
            raise TrainingError(f"{where}, port {place.port}: {reason}{_hint(place)}")
        if place.speaks and now - said > (SAID_AFTER_S if said == began else SAID_EVERY_S):
            said = now
            sys.stderr.write(f"waiting: {where}, port {place.port}, yet: {reason}{_hint(place)}\n")
            sys.stderr.flush()
        time.sleep(_PAUSE_S)


def _hint(place: RankPlace) -> str:
    """What is odd about the address."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(place.address, None)}
    except OSError:
        return " (this host does not know the name: take an address, or mend /etc/hosts)"
    if place.several_hosts and all(map(is_this_machine, found)):
        return f" ({found.pop()} is every host itself: take an address of rank 0's)"
    return ""


def _appears(path: Path) -> bool:
    """Whether a file is there soon: shared folders take their time."""
    end = time.monotonic() + _APPEARS_S
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
