"""By which network interface a rank reaches the others: gloo takes that of its host's name, which
often is none that another host can reach (127.0.1.1, a VPN, a bridge of containers)."""

import os
import socket
import struct
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from stepdistill.common.errors import ConfigError

_GLOO = "GLOO_SOCKET_IFNAME"
_GET_ADDRESS = 0x8915  # SIOCGIFADDR
_IPV6 = Path("/proc/net/if_inet6")


def interface_of(address: str) -> str | None:
    """The name of the interface that has an address of this host."""
    wanted = ip_address(address.partition("%")[0])
    return next((name for name in _names() if wanted in _addresses(name)), None)


def use_interface(name: str | None) -> None:
    """Let gloo use it, unless somebody has named one. Raises ConfigError: that one is not there."""
    named, known = os.environ.get(_GLOO), _names()
    if named and (missing := [each for each in named.split(",") if each not in known]):
        raise ConfigError(
            f"{_GLOO}={named}: this host ({socket.gethostname()}) has no {missing[0]}: it has "
            f"{', '.join(known)}; without {_GLOO} the right one is found"
        )
    if not named and name in known:
        os.environ[_GLOO] = name


def _names() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def _addresses(name: str) -> list[object]:
    found: list[object] = []
    with suppress(OSError, ImportError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
        from fcntl import ioctl  # not on every system

        answer = ioctl(any_, _GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
        found.append(ip_address(socket.inet_ntoa(answer[20:24])))
    with suppress(OSError):
        for line in _IPV6.read_text(encoding="ascii").splitlines():
            digits, *_, owner = line.split()
            if owner == name:
                found.append(IPv6Address(bytes.fromhex(digits)))
    return found
