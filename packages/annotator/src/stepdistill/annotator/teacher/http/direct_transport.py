"""A teacher reached without a proxy, with TLS or without: keep-alive connections of our own.

A request costs a write, a read and one future; connecting and waiting for a reply are timed apart,
the latter by one timer for all connections. TLS is below it, in `tls_transport.py`.
"""

import asyncio
import math
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from stepdistill.annotator.errors import (
    ConnectionLost,
    TeacherError,
    TimedOut,
    Unreadable,
)
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.body import LARGEST_REPLY
from stepdistill.annotator.teacher.error_reply import is_without_tier
from stepdistill.annotator.teacher.http.route import tls_context
from stepdistill.annotator.teacher.http.tls_transport import connect_tls
from stepdistill.annotator.teacher.http.unreachable import (
    connect_error,
    tls_spoken,
    wants_tls,
)
from stepdistill.annotator.teacher.spec import CONNECT_S, TeacherSpec

_STALE_AFTER_S = 1.0
_HANDSHAKE_S = 8.0  # less than connecting may take in all
# A reply with neither of these ends where the stream ends.
_FRAMED = {"content-length", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply."""

    status: int
    headers: dict[str, str]  # by their names in lower case
    body: bytes


class HttpConnection(asyncio.Protocol):
    """A keep-alive connection: one request at a time; `lost` hears of it when it is gone.

    httptools (a C parser) takes the bytes apart, so that chunked bodies, folded lines, interim 1xx
    replies and `Connection: close` are as the standard has them. What the pieces mean is here:

        data_received -> on_header, on_body, on_message_complete -> the reply of who waits
        connection_lost -> an error for who waits, unless the stream's end was the body's end
    """

    def __init__(self, lost: Callable[["HttpConnection"], None]) -> None:
        self._loop, self._lost = asyncio.get_running_loop(), lost
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[HttpReply] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._reply: HttpReply | None = None
        self.due_s = math.inf  # when the reply has taken too long, by the loop's clock
        self.received = 0  # bytes since the last request
        self.idle_since_s = 0.0  # when the last reply was whole, by the loop's clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent, as far as one can know."""
        return not self._transport.is_closing()

    @property
    def new_session(self) -> ssl.SSLSession | None:
        """What other connections to the same teacher may begin with, where this one has agreed on
        it; None where it began with an earlier one's, which is as good, or speaks no TLS."""
        tls: ssl.SSLSocket | None = self._transport.get_extra_info("ssl_object")
        return None if tls is None or tls.session_reused else tls.session

    def send(self, request: bytes, due_s: float) -> asyncio.Future[HttpReply]:
        """Send a whole request; its reply, or the TeacherError that came instead."""
        self._headers, self._body, self._reply = {}, [], None
        self.received, self.due_s = 0, due_s
        self._waiter = self._loop.create_future()
        self._transport.write(request)
        return self._waiter

    def fail(self, error: TeacherError) -> None:
        """End the wait with an error. The connection goes too: the rest of a reply may come."""
        self.close()
        self._settle(error)

    def close(self) -> None:
        """Hang up at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # nobody asked: what follows cannot be trusted either
            return self.close()
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.close()
            if self._reply is None:
                return self._settle(ConnectionLost(f"the reply is not HTTP: {error}"))
        if self._reply is not None:
            return self._settle(self._reply)
        if self.received > LARGEST_REPLY:
            message = f"the reply is larger than {LARGEST_REPLY} bytes"
            self.fail(Unreadable(message))
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)
        if exc is None and self._body and not self._headers.keys() & _FRAMED:
            return self._settle(self._whole())
        what = "the reply was torn" if self.received else "the connection was dropped"
        why = "closed by the teacher" if exc is None else f"{type(exc).__name__}: {exc}"
        error = ConnectionLost(f"{what} ({why})")
        error.__cause__ = exc
        return self._settle(error)

    def on_message_begin(self) -> None:
        """A message starts. One after the reply was not asked for."""
        if self._reply is not None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a repeated one replaces the earlier."""
        self._headers[_in_lower_case(name)] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """A reply is whole; an interim one (1xx) is not it yet."""
        if self._parser.get_status_code() < 200:
            self._headers = {}
        elif self._reply is None:
            self._reply = self._whole()
            if not self._parser.should_keep_alive():
                self.close()

    def _whole(self) -> HttpReply:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        return HttpReply(self._parser.get_status_code(), self._headers, body)

    def _settle(self, outcome: HttpReply | TeacherError) -> None:
        waiter, self._waiter, self.due_s = self._waiter, None, math.inf
        self.idle_since_s = self._loop.time()
        if waiter is None or waiter.done():  # who waited has gone
            return
        if isinstance(outcome, HttpReply):
            waiter.set_result(outcome)
        else:
            waiter.set_exception(outcome)


@lru_cache(256)  # each reply has the same
def _in_lower_case(name: bytes) -> str:
    return name.decode("latin-1").lower()


class DirectTransport:
    """Connections to one teacher, as many as requests were in flight; an async context manager.

    stale_after_s: a connection that lay idle for so long may have been closed by the teacher while
    a request was on its way there. If such a one ends before a byte of the reply, the request is
    sent once more, on a new connection. Could it be paid for twice? A teacher that closed an idle
    connection has not read the request, so no. One that read it and died within the moment looks
    the same, but that is what every lost connection may hide, and those are asked again too.
    A connection that was busy a moment ago was not closed for lying idle: its loss is an error.
    handshake_s: who says nothing to a TLS handshake for so long speaks no TLS.
    """

    def __init__(
        self,
        teacher: TeacherSpec,
        *,
        stale_after_s: float = _STALE_AFTER_S,
        handshake_s: float = _HANDSHAKE_S,
    ) -> None:
        self._teacher, self._stale_after_s = teacher, stale_after_s
        self._handshake_s = handshake_s
        url = urlsplit(teacher.url)
        self._tls = tls_context() if url.scheme == "https" else None
        self._session: ssl.SSLSession | None = None  # the last one's, for the next handshake
        self._address = url.hostname or "", url.port or (443 if self._tls else 80)
        self._where = f"{url.hostname}:{self._address[1]}"
        self._is_known = False  # whether anything has ever come from there
        self._target = f"{url.path}?{url.query}" if url.query else url.path
        self._headers = teacher.headers
        self._head = _head(teacher, self._target, self._headers)
        self._connections: set[HttpConnection] = set()
        self._idle: list[HttpConnection] = []
        self._sweep_at_s = math.inf

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sweep_at_s = -math.inf  # no other sweep
        for connection in tuple(self._connections):
            connection.close()
        await asyncio.sleep(0)  # the loop closes their sockets in its next round

    def ask(self, request: Request) -> Coroutine[Any, Any, tuple[Answer, Mapping[str, str]]]:
        """The answer and the reply's headers. Raises TeacherError."""
        # As nearly always; a coroutine within another costs each request a microsecond.
        if self._teacher.token is None and not self._teacher.tier_fallback:
            return self._ask(request, self._teacher)
        return self._ask_again(request)

    async def _ask_again(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """Likewise, with another token or at another tier where those are refused."""
        sent = self._headers
        try:
            return await self._ask(request, self._teacher)
        except TeacherError as error:
            again = await self._teacher.as_asked_again(error, sent)
            if again is None:
                raise
            if is_without_tier(error):
                self._teacher = again
            if again.headers != self._headers:
                self._headers = again.headers
                self._head = _head(again, self._target, self._headers)
            return await self._ask(request, again)

    async def _ask(
        self, request: Request, teacher: TeacherSpec
    ) -> tuple[Answer, Mapping[str, str]]:
        """teacher: this one, or the same at another tier."""
        body = teacher.body(request)
        due_s = self._loop.time() + self._teacher.timeout_s
        whole = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        try:
            reply = await self._exchange(whole, due_s)
        except ConnectionLost as error:
            if not self._is_known:
                await self._explain(error)
            raise
        if not self._is_known:
            if self._tls is None and wants_tls(reply.status, reply.body):
                raise tls_spoken(self._where)
            self._is_known = True
        return self._teacher.answer(reply.status, reply.headers, reply.body), reply.headers

    async def _explain(self, error: ConnectionLost) -> None:
        """Raises Unreachable where the first connection was lost for a reason that lasts: TLS 1.3
        refuses a client after its handshake, and many a TLS port hangs up on who speaks none."""
        if isinstance(error.__cause__, ssl.SSLError):
            raise connect_error(error.__cause__, self._where, is_first=True) from None
        if self._tls is None and error.may_be_paid and await self._speaks_tls():
            raise tls_spoken(self._where) from None

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
        connection = await self._connect(due_s)
        reply = await self._over(connection, request, due_s)
        # TLS 1.3 gives a session with the first reply, not before.
        self._session = connection.new_session or self._session
        return reply

    async def _over(self, connection: HttpConnection, request: bytes, due_s: float) -> HttpReply:
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

    async def _connect(self, due_s: float) -> HttpConnection:
        try:
            async with asyncio.timeout_at(min(due_s, self._loop.time() + CONNECT_S)):
                connection = HttpConnection(self._connections.discard)
                if self._tls is None:
                    await self._loop.create_connection(lambda: connection, *self._address)
                else:
                    await connect_tls(
                        connection, self._address, self._tls, self._session, self._handshake_s
                    )
        except TimeoutError:
            longest_s = min(CONNECT_S, self._teacher.timeout_s)
            message = f"no connection to {self._where} within {longest_s:g} s"
            raise TimedOut(message).paid(maybe=False) from None
        except OSError as error:
            raise connect_error(error, self._where, is_first=not self._is_known) from None
        self._connections.add(connection)
        return connection

    async def _speaks_tls(self) -> bool:
        """Whether a handshake comes about there, whoever it is."""
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        try:
            connection = HttpConnection(self._connections.discard)
            await connect_tls(connection, self._address, anybody, handshake_s=2.0)
        except OSError:
            return False
        connection.close()
        return True

    def _sweep_at(self, at_s: float) -> None:
        self._sweep_at_s = at_s
        self._loop.call_at(at_s, self._sweep, at_s)

    def _sweep(self, planned_s: float) -> None:
        """Give up what is overdue; look again when the next reply may be."""
        if planned_s != self._sweep_at_s:
            return  # an earlier look was planned since, and will plan the next
        now = self._loop.time()
        for connection in [each for each in self._connections if each.due_s <= now]:
            connection.fail(TimedOut(f"no answer within {self._teacher.timeout_s:g} s"))
        self._sweep_at_s = min((each.due_s for each in self._connections), default=math.inf)
        if self._sweep_at_s < math.inf:
            self._sweep_at(self._sweep_at_s)


def _head(teacher: TeacherSpec, target: str, own: Mapping[str, str]) -> bytes:
    """All of a request's head but the length of its body. own: headers of this teacher."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {urlsplit(teacher.url).netloc}"]
    headers = {"Content-Type": "application/json", **own}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Accept: application/json", "Accept-Encoding: identity", "Content-Length: "]
    return "\r\n".join(lines).encode("latin-1")
