"""Where and how the ranks of a training meet, before any of them imports torch.

Rank 0 listens at MASTER_PORT, the others come, and the lines between them stay for the whole run:
they carry why a rank ended, and the kernel says by them who is lost. torch's own meeting is then at
a port that rank 0 chose. Under `torchrun` and Ray, which hold MASTER_PORT themselves, that port is
where rank 0's own is said.
"""

import errno
import os
import re
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepdistill.common.errors import DistillError
from stepdistill.trainer.errors import RankLost, TrainingError, first_line
from stepdistill.trainer.ranks.coordinator import Coordinator, listening
from stepdistill.trainer.ranks.member import RankMember, connected
from stepdistill.trainer.ranks.peers import GOES_ON
from stepdistill.trainer.ranks.place import RankPlace, is_this_machine
from stepdistill.trainer.ranks.wire import Message

if TYPE_CHECKING:
    from torch.distributed import Store

_PACKAGES = ("stepdistill-trainer", "torch", "deepspeed", "transformers")
_STORE_S = 30.0
_FOUND_OUT_S = 45.0
# What gloo and NCCL say where a connection between ranks broke.
_OF_A_CONNECTION = re.compile(
    r"gloo|nccl|connection (closed|reset)|broken pipe|socket timeout", re.IGNORECASE
)
_TOLD_S = 20.0  # for which a rank that fails before the meeting waits to tell it


class _Present:
    """The meeting that this process takes part in: a process is one rank of one training."""

    peers: Coordinator | RankMember | None = None


def meet(place: RankPlace, output: Path) -> None:
    """Meet the other ranks, if there are any. Raises DistillError: there is no run, all alike."""
    _Present.peers = None
    if place.size == 1:
        return
    peers = (
        Coordinator(place, _listener(place))
        if place.rank == 0
        else RankMember(place, connected(place, _port_of_first(place)))
    )
    _Present.peers = peers
    port = peers.meet(_hello(place), output)
    if not _is_held_by_launcher():
        os.environ["MASTER_PORT"] = str(port)


def lost_by(error: BaseException) -> RankLost | None:
    """What an error means where it came of another rank's end: that is found out meanwhile."""
    peers = _Present.peers
    if peers is None or not _OF_A_CONNECTION.search(str(error)):
        return None
    return peers.lost(_FOUND_OUT_S) or RankLost(
        f"the ranks cannot reach each other any more ({first_line(error)}){GOES_ON}"
    )


def leave(place: RankPlace | None, line: str = "", code: int = 0) -> None:
    """Tell the others, if there are any, that this rank ends, and why; once. Before the meeting,
    too, where hosts differ: ranks of one host fail alike, and their launcher ends them."""
    if _Present.peers is not None:
        _Present.peers.leave(line, code)
    elif place is not None and code and place.several_hosts and not _is_group_made():
        with suppress(OSError, RuntimeError, DistillError):  # nobody is there to be told
            if place.rank == 0:
                Coordinator(place, _listener(place)).refuse_all(line, code, _TOLD_S)
            else:
                wire = connected(place, _port_of_first(place), _TOLD_S)
                RankMember(place, wire).refuse(_hello(place), line, code)


def _listener(place: RankPlace) -> socket.socket:
    """Rank 0's, at MASTER_PORT; where a launcher holds that, wherever it is free, and said so."""
    is_here = is_this_machine(place.address) and not place.address[:1].isalpha()
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    every = [(socket.AF_INET6, ""), (socket.AF_INET, "")]
    addresses = [(family, place.address)] if is_here else every
    is_held = _is_held_by_launcher()
    try:
        listener = listening(addresses, 0 if is_held else place.port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise TrainingError(
            f"the ranks cannot meet at {place.address}, port {place.port}: another process has it: "
            "if that is another run, give `deepspeed --master_port` a free one"
        ) from None
    port = listener.getsockname()[1]
    if _is_group_made():
        _broadcast(port)
    elif is_held:
        _agent_store(place).set(_key(), str(port))
    return listener


def _port_of_first(place: RankPlace) -> Callable[[], int]:
    """Where rank 0 listens; asked anew each time, for it may not have said so yet."""
    if _is_group_made():
        port = _broadcast(None)
        return lambda: port
    if not _is_held_by_launcher():
        return lambda: place.port

    def asked() -> int:
        try:
            return int(_agent_store(place).get(_key()))
        except RuntimeError as error:  # torch's own, of any store
            raise OSError(first_line(error)) from None

    return asked


def _hello(place: RankPlace) -> Message:
    return {
        "rank": place.rank,
        "size": place.size,
        "host": socket.gethostname(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _is_held_by_launcher() -> bool:
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" or _is_group_made()


def _is_group_made() -> bool:
    """Whether somebody has made torch's ranks meet already, as Ray Train does."""
    library: Any = sys.modules.get("torch.distributed")
    return library is not None and library.is_available() and library.is_initialized()


def _broadcast(port: int | None) -> int:
    """Rank 0's port, through the group that is there."""
    from torch import distributed

    box: list[Any] = [port]
    distributed.broadcast_object_list(box, src=0)
    return int(box[0])


def _agent_store(place: RankPlace) -> "Store":
    """The store of `torchrun`."""
    from torch.distributed import TCPStore  # takes seconds, and only here is it needed so early

    return TCPStore(
        place.address,
        place.port,
        is_master=False,
        timeout=timedelta(seconds=_STORE_S),
        wait_for_workers=False,
    )


def _key() -> str:
    return f"stepdistill/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
