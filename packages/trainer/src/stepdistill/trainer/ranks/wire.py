"""A line between two ranks, which is cut when one of them dies, or its host is gone.

The kernel looks after it: a process that dies closes it, and of a host that is silent it says so
after half a minute, however busy the two programs are. What goes over it are JSON objects, a line
each.
"""

import json
import socket
from contextlib import suppress
from typing import Any

SILENT_S = 30  # after which a host counts as gone
_LONGEST = 1 << 16  # bytes of a message
_PROBES = 4
# Their names differ between systems; what a system lacks is left as it is there.
_OPTIONS = (
    ("TCP_KEEPIDLE", SILENT_S - 5 * _PROBES),
    ("TCP_KEEPALIVE", SILENT_S - 5 * _PROBES),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", _PROBES),
    ("TCP_USER_TIMEOUT", SILENT_S * 1000),
)

Message = dict[str, Any]


class Wire:
    """One end of it. Reading raises OSError where it broke, TimeoutError where nothing came."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._read = b""
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS:
            if hasattr(socket, name):
                with suppress(OSError):
                    end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def fileno(self) -> int:
        """For `select`."""
        return self._end.fileno()

    @property
    def own_address(self) -> str:
        """The address that this end has."""
        address = str(self._end.getsockname()[0])
        return address.removeprefix("::ffff:")  # IPv4 on a socket for both

    def send(self, message: Message) -> None:
        """Nothing comes of it where the other is gone: that is seen by reading."""
        with suppress(OSError):
            self._end.settimeout(SILENT_S)
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, within_s: float | None = None) -> Message | None:
        """The next message; None: the other end was closed, or speaks another language."""
        self._end.settimeout(within_s)
        while b"\n" not in self._read:
            chunk = self._end.recv(1 << 12)
            self._read += chunk
            if not chunk or len(self._read) > _LONGEST:
                return None
        line, _, self._read = self._read.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            return None
        return message if isinstance(message, dict) else None

    def holds_more(self) -> bool:
        """Whether a whole message has been read that nobody has received."""
        return b"\n" in self._read

    def close(self) -> None:
        """Let the other end know."""
        self._end.close()
