"""A teacher at a plain http:// address, reached directly: keep-alive connections of our own.

A request costs a write, a read and one future; connecting and waiting for a reply are timed apart,
the latter by one timer for all connections.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from stepdistill.annotator.errors import ConnectionLost, TimedOut
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.http.plain_connection import HttpReply, PlainConnection
from stepdistill.annotator.teacher.spec import CONNECT_S, TeacherSpec

_STALE_AFTER_S = 1.0


class PlainTransport:
    """Holds as many connections as there were requests in flight; an async context manager.

    stale_after_s: a connection that lay idle for so long may have been closed by the teacher while
    a request was on its way there. If such a one ends before a byte of the reply, the request is
    sent once more, on a new connection. Could it be paid for twice? A teacher that closed an idle
    connection has not read the request, so no. One that read it and died within the moment looks
    the same, but that is what every lost connection may hide, and those are asked again too.
    A connection that was busy a moment ago was not closed for lying idle: its loss is an error.
    """

    def __init__(self, door: TeacherSpec, *, stale_after_s: float = _STALE_AFTER_S) -> None:
        self._door, self._stale_after_s = door, stale_after_s
        url = urlsplit(door.url)
        self._host, self._port = url.hostname or "", url.port or 80
        self._head = _head(door, f"{url.path}?{url.query}" if url.query else url.path)
        self._connections: set[PlainConnection] = set()
        self._idle: list[PlainConnection] = []
        self._sweep_at_s = math.inf

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sweep_at_s = -math.inf  # no other sweep
        for connection in tuple(self._connections):
            connection.close()
        await asyncio.sleep(0)  # the loop closes their sockets in its next round

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        body = self._door.body(request)
        due_s = self._loop.time() + self._door.timeout_s
        reply = await self._exchange(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), due_s)
        return self._door.answer(reply.status, reply.headers, reply.body), reply.headers

    async def _exchange(self, request: bytes, due_s: float) -> HttpReply:
        while self._idle:
            connection = self._idle.pop()  # the last one used: it is the freshest
            if not connection.is_open:
                continue
            idle_s = self._loop.time() - connection.idle_since_s
            try:
                return await self._over(connection, request, due_s)
            except ConnectionLost:
                if connection.received or idle_s < self._stale_after_s:
                    raise
                break
        return await self._over(await self._connect(due_s), request, due_s)

    async def _over(self, connection: PlainConnection, request: bytes, due_s: float) -> HttpReply:
        if due_s < self._sweep_at_s:
            self._sweep_at(due_s)
        try:
            reply = await connection.send(request, due_s)
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            if connection.is_open:
                self._idle.append(connection)
        return reply

    async def _connect(self, due_s: float) -> PlainConnection:
        try:
            async with asyncio.timeout_at(min(due_s, self._loop.time() + CONNECT_S)):
                _, connection = await self._loop.create_connection(
                    lambda: PlainConnection(self._connections.discard), self._host, self._port
                )
        except TimeoutError:
            longest_s = min(CONNECT_S, self._door.timeout_s)
            raise TimedOut(f"no connection within {longest_s:g} s").paid(maybe=False) from None
        except OSError as error:
            said = f"{type(error).__name__}: {error}"
            raise ConnectionLost(said).paid(maybe=False) from None
        self._connections.add(connection)
        return connection

    def _sweep_at(self, at_s: float) -> None:
        self._sweep_at_s = at_s
        self._loop.call_at(at_s, self._sweep, at_s)

    def _sweep(self, planned_s: float) -> None:
        """Give up what is overdue; look again when the next reply may be."""
        if planned_s != self._sweep_at_s:
            return  # an earlier look was planned since, and will plan the next
        now = self._loop.time()
        for connection in [each for each in self._connections if each.due_s <= now]:
            connection.fail(TimedOut(f"no answer within {self._door.timeout_s:g} s"))
        self._sweep_at_s = min((each.due_s for each in self._connections), default=math.inf)
        if self._sweep_at_s < math.inf:
            self._sweep_at(self._sweep_at_s)


def _head(door: TeacherSpec, target: str) -> bytes:
    """All of a request's head but the length of its body."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {urlsplit(door.url).netloc}"]
    lines += [f"{name}: {value}" for name, value in door.headers.items()]
    lines += ["Accept: application/json", "Accept-Encoding: identity", "Content-Length: "]
    return "\r\n".join(lines).encode("latin-1")
