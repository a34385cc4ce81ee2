"""A teacher that sends byte for byte what a test wants on the wire."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from stepdistill.annotator.teacher.http.transport import OpenTransport, Transport
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import a_spec

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def completion(text: str = "yes") -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    return orjson.dumps({"model": "any-model", "choices": [choice], "usage": usage})


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A reply with the length of its body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """A reply in chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What one request gets: pieces, a moment apart; then the connection is closed, or not.

    for_ever: the last piece over and over. first_s: seconds to wait before the first.
    """

    pieces: Sequence[bytes] = ()
    close: bool = False
    for_ever: bool = False
    first_s: float = 0.0


def say(*pieces: bytes, close: bool = False) -> Say:
    return Say(pieces=pieces, close=close)


FINE = say(reply(completion()))


@dataclass
class RawTeacher:
    """Use as an async context manager. script: what requests get, in order; then all is fine.

    otherwise: what a request gets by its body, after the script. requests: (number of the
    connection, head, body) of each.
    """

    script: list[Say]
    otherwise: Callable[[bytes], Say] | None = None
    requests: list[tuple[int, bytes, bytes]] = field(default_factory=list[tuple[int, bytes, bytes]])
    n_connections: int = 0

    async def __aenter__(self) -> Self:
        self._open: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.sleep(0.01)

    @property
    def is_visited(self) -> bool:
        """Whether a connection is open."""
        return bool(self._open)

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        number = self.n_connections
        self._open.add(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                assert length
                body = await reader.readexactly(int(length[1]))
                self.requests.append((number, head, body))
                await _answer(self._reply(body), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def _reply(self, body: bytes) -> Say:
        if self.script:
            return self.script.pop(0)
        return self.otherwise(body) if self.otherwise else FINE


async def _answer(script: Say, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(script.first_s)
    for piece in script.pieces:
        writer.write(piece)
        await asyncio.sleep(0.002)
    while script.for_ever:
        writer.write(script.pieces[-1])
        await writer.drain()
        await asyncio.sleep(0)
    if script.close:
        writer.close()


@asynccontextmanager
async def asked(
    transport: OpenTransport, *script: Say, **changes: Any
) -> AsyncGenerator[tuple[RawTeacher, Transport]]:
    """The teacher with its script, and a transport to it."""
    async with (
        RawTeacher(list(script)) as teacher,
        transport(a_spec(teacher.base_url, **changes)) as opened,
    ):
        yield teacher, opened


async def text_of(opened: Transport) -> str:
    answer, _ = await opened.ask(a_request())
    return answer.text
