"""Certificates of an authority of one's own, and a teacher put behind TLS with them."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trustme

HOSTS = ("localhost", "127.0.0.1")


class Authority:
    """Issues certificates; `file` is what SSL_CERT_FILE is to name for them to be trusted."""

    def __init__(self, folder: Path) -> None:
        self._made, self.file = trustme.CA(), folder / "authority.pem"
        self._made.cert_pem.write_to_path(str(self.file))

    def context(
        self, *names: str, expired: bool = False, asks_for_certificate: bool = False
    ) -> ssl.SSLContext:
        """What a server speaks TLS with, by these names."""
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        certificate = self._made.issue_cert(
            *(names or HOSTS), not_after=yesterday if expired else None
        )
        context = self._server(certificate.private_key_and_cert_chain_pem.bytes())
        if asks_for_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def self_signed(self) -> ssl.SSLContext:
        """What a server speaks TLS with whose certificate nobody else has signed."""
        return self._server(self._made.private_key_pem.bytes() + self._made.cert_pem.bytes())

    def _server(self, key_and_certificates: bytes) -> ssl.SSLContext:
        context, file = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.file.with_name("server.pem")
        file.write_bytes(key_and_certificates)
        context.load_cert_chain(file)
        return context


class TlsRelay:
    """Listens with TLS, and hands on to a port of this machine what it says.

    resumed: of each connection, whether its handshake began with an earlier one's session.
    """

    def __init__(self, port: int) -> None:
        self._to_port = port
        self.resumed: list[bool] = []

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext, port: int = 0) -> AsyncGenerator[int]:
        """Its port: this one, or any."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context)
        self._open: set[asyncio.StreamWriter] = set()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        self._open.add(writer)
        try:
            with suppress(ConnectionError):
                there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
                self._open.add(back)
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
