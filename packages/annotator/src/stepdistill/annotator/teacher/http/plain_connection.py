"""One connection to a plain http:// teacher: a request goes out, and its reply comes back whole.

httptools (a C parser) takes the bytes apart, so that chunked bodies, folded lines, interim 1xx
replies and `Connection: close` are as the standard has them. This file says what the pieces mean:

    data_received -> on_header, on_body, on_message_complete -> the reply of who waits
    connection_lost -> an error for who waits, unless the end of the stream was the end of the body
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from stepdistill.annotator.errors import ConnectionLost, Overloaded, TeacherError
from stepdistill.annotator.teacher.spec import LARGEST_REPLY

# A reply with neither of these ends where the stream ends.
_FRAMED = {"content-length", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply. headers: by their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class PlainConnection(asyncio.Protocol):
    """Carries one request at a time. lost: told when the connection is gone.

    due_s: when the reply that is waited for has taken too long, by the loop's clock.
    received: bytes that came since the last request. idle_since_s: when its reply was whole.
    """

    def __init__(self, lost: Callable[["PlainConnection"], None]) -> None:
        self._loop, self._lost = asyncio.get_running_loop(), lost
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[HttpReply] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._reply: HttpReply | None = None
        self.due_s = math.inf
        self.received = 0
        self.idle_since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent, as far as one can know."""
        return not self._transport.is_closing()

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
            said = f"the reply is larger than {LARGEST_REPLY} bytes"
            self.fail(Overloaded(said).paid(maybe=True))
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)
        if exc is None and self._body and not self._headers.keys() & _FRAMED:
            return self._settle(self._whole())
        what = "the reply was torn" if self.received else "the connection was dropped"
        why = "closed by the teacher" if exc is None else f"{type(exc).__name__}: {exc}"
        return self._settle(ConnectionLost(f"{what} ({why})"))

    def on_message_begin(self) -> None:
        """A message starts. One after the reply was not asked for."""
        if self._reply is not None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a repeated one replaces the earlier."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

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
