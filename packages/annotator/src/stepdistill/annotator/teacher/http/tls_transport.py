"""TLS straight over a socket: OpenSSL reads and writes it, and the loop says when it can.

The TLS of asyncio and of uvloop hands every byte through buffers in memory, in each direction, and
learns by an exception that nothing more is there. Here a request is one write and a reply one read.
"""

import asyncio
import socket
import ssl
from contextlib import suppress

# The most that a record of TLS holds: what is read at once holds no more, and leaves nothing back.
_RECORD = 1 << 14


class TlsTransport(asyncio.Transport):
    """A connection over TLS, as a protocol of asyncio's sees any; made by `connect_tls`.

    Either may wait for the other: what is read needs an answer where keys are renewed, and what is
    written waits for what is read where TLS 1.2 negotiates anew. So one method serves both.
    """

    def __init__(self, tls: ssl.SSLSocket, protocol: asyncio.Protocol) -> None:
        super().__init__(extra={"ssl_object": tls})
        self._loop = asyncio.get_running_loop()
        self._tls, self._fd, self._protocol = tls, tls.fileno(), protocol
        self._unsent = memoryview(b"")
        self._is_closed = self._waits_to_write = False
        self._loop.add_reader(self._fd, self._on_ready)
        protocol.connection_made(self)

    def is_closing(self) -> bool:
        """Whether nothing goes out any more."""
        return self._is_closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send now what can be sent, and the rest as soon as it can."""
        if self._is_closed:
            return
        self._unsent = memoryview(b"%b%b" % (self._unsent, data) if self._unsent else data)
        self._send()

    def abort(self) -> None:
        """Hang up at once; the protocol hears of it in the loop's next round."""
        self._close(None)

    def _on_ready(self) -> None:
        if self._waits_to_write:
            self._waits_to_write = False
            self._loop.remove_writer(self._fd)
        if self._unsent:
            self._send()
        self._receive()

    def _receive(self) -> None:
        try:
            while not self._is_closed:
                data = self._tls.recv(_RECORD)
                if not data:  # a farewell, or the end of the stream without one
                    return self._close(None)
                self._protocol.data_received(data)
                if len(data) < _RECORD:  # the last one, as a rule; if not, the loop says so
                    return None
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            return self._wait_to_write()
        except OSError as error:
            return self._close(error)

    def _send(self) -> None:
        try:
            while self._unsent:  # record by record
                self._unsent = self._unsent[self._tls.send(self._unsent) :]
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._wait_to_write()
        except OSError as error:
            self._receive()  # who hung up may have said why
            self._close(error)

    def _wait_to_write(self) -> None:
        self._waits_to_write = True
        self._loop.add_writer(self._fd, self._on_ready)

    def _close(self, error: OSError | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._tls.close()
        self._loop.call_soon(self._protocol.connection_lost, error)


async def connect_tls(
    protocol: asyncio.Protocol,
    address: tuple[str, int],
    context: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    handshake_s: float = 8.0,
) -> None:
    """Connect a protocol to a host and a port. session: of an earlier connection to the same
    host, which shortens the handshake. handshake_s: how long one may take. Raises OSError."""
    connected = await _connected(*address)
    with suppress(OSError):  # it only makes small requests faster
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls: ssl.SSLSocket | None = None
    try:
        tls = context.wrap_socket(
            connected,
            server_hostname=address[0],
            do_handshake_on_connect=False,
            session=session,
        )
        async with asyncio.timeout(handshake_s):
            await _shake_hands(tls)
        TlsTransport(tls, protocol)
    except BaseException as error:
        (tls or connected).close()
        if isinstance(error, TimeoutError):
            raise ConnectionAbortedError(f"no TLS handshake within {handshake_s:g} s") from None
        raise


async def _connected(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first of a host's addresses that answers."""
    loop, errors = asyncio.get_running_loop(), list[OSError]()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        tried = socket.socket(family, kind, protocol)
        tried.setblocking(False)
        try:
            await loop.sock_connect(tried, address)
        except OSError as error:
            tried.close()
            errors.append(error)
        except BaseException:
            tried.close()
            raise
        else:
            return tried
    if len({str(error) for error in errors}) == 1:
        raise errors[0]
    raise OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")


async def _shake_hands(tls: ssl.SSLSocket) -> None:
    loop, fd = asyncio.get_running_loop(), tls.fileno()
    while True:
        ready = loop.create_future()
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(fd, _wake, ready)
        except ssl.SSLWantWriteError:
            loop.add_writer(fd, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(fd)
            loop.remove_writer(fd)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
