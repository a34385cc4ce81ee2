#!/usr/bin/env python3
"""A teacher that costs next to nothing, so that its client is what is measured.

It gives every chat completion the same answer: POST /v1/chat/completions at once, /dN/v1/... after
N milliseconds. GET /stats says what it has served since the last time it was asked. It listens on
this machine alone and ends with its standard input, or on Ctrl-C.

Example:

    python benchmarks/static_server.py --port 8900
    annotate run demo --teacher bench --base-url http://127.0.0.1:8900/d300/v1
"""

import argparse
import asyncio
import re
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson
import uvloop

from measuring import allow_many_files

_ANSWER = (
    "Label: entailment\nRationale: The text says that the ferry was repaired before the winter, "
    "so it must have been in use by the time the bridge was opened."
)
_COMPLETION = {
    "id": "chatcmpl-7Tq0bench0000000000000000000001",
    "object": "chat.completion",
    "created": 1_760_000_000,
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": _ANSWER, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 142,
        "completion_tokens": 36,
        "total_tokens": 178,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}
_LIMITS = {
    "limit-requests": "30000000",
    "remaining-requests": "29999999",
    "reset-requests": "2ms",
    "limit-tokens": "2000000000",
    "remaining-tokens": "1999999880",
    "reset-tokens": "6ms",
}
_REQUEST_LINE = re.compile(rb"(GET|POST) /(?:d(\d+)/)?(v1/chat/completions|stats)[ ?]")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_TENTH_S = 0.1


def completion() -> bytes:
    """The body of every answer."""
    return orjson.dumps(_COMPLETION)


def _reply(status: str, content: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


_COMPLETED = _reply(
    "200 OK",
    completion(),
    "x-request-id: req_bench\r\n"
    + "".join(f"x-ratelimit-{name}: {value}\r\n" for name, value in _LIMITS.items()),
)
_NOT_FOUND = _reply("404 Not Found", b'{"error":{"message":"no such page","code":"not_found"}}')
_BAD = _reply("400 Bad Request", b'{"error":{"message":"a body needs a Content-Length"}}')


@dataclass(slots=True)
class Served:
    """What was served. first_s, last_s: first request, last reply. tenths: replies by 0.1 s.
    cpu_s: that the server has taken since it began."""

    replies: int = 0
    first_s: float | None = None
    last_s: float = 0.0
    tenths: list[int] = field(default_factory=list[int])
    cpu_s: float = 0.0

    def count(self, now: float) -> None:
        """One reply went out."""
        self.replies += 1
        self.last_s = now
        tenth = int((now - (self.first_s or now)) / _TENTH_S)
        while len(self.tenths) <= tenth:
            self.tenths.append(0)
        self.tenths[tenth] += 1


class _Connection(asyncio.Protocol):
    """Requests come whole, in pieces or several at once; replies leave in the same order."""

    def __init__(self, served: list[Served]) -> None:
        self._loop = asyncio.get_running_loop()
        self._served = served
        self._buffer = b""
        self._last_due = 0.0
        self._waiting: deque[Callable[[], None]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            end += len(_HEAD_END)
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            if length is None and head.startswith(b"POST"):
                self._transport.write(_BAD)
                return self._transport.close()
            end += int(length[1]) if length else 0
            if len(self._buffer) < end:
                return None
            self._buffer = self._buffer[end:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        asked = _REQUEST_LINE.match(head)
        if asked is None:
            return self._reply_after(0, self._send_not_found)
        if asked[3] == b"stats":
            return self._reply_after(0, self._send_stats)
        served = self._served[0]
        if served.first_s is None:
            served.first_s = self._loop.time()
        return self._reply_after(int(asked[2] or 0) / 1000, self._complete)

    def _reply_after(self, seconds: float, reply: Callable[[], None]) -> None:
        """Whichever timer fires first, the oldest request is answered first."""
        if not seconds and not self._waiting:
            return reply()
        self._last_due = max(self._loop.time() + seconds, self._last_due)
        self._waiting.append(reply)
        self._loop.call_at(self._last_due, self._reply_to_oldest)

    def _reply_to_oldest(self) -> None:
        self._waiting.popleft()()

    def _complete(self) -> None:
        self._served[0].count(self._loop.time())
        self._send(_COMPLETED)

    def _send_not_found(self) -> None:
        self._send(_NOT_FOUND)

    def _send_stats(self) -> None:
        served, self._served[0] = self._served[0], Served()
        served.cpu_s = time.process_time()
        self._send(_reply("200 OK", orjson.dumps(served)))

    def _send(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def serve(port: int, certificate: Path | None = None) -> None:
    """Serve until standard input ends: with the process at its other end, or with Ctrl-D."""
    loop, served, tls = asyncio.get_running_loop(), [Served()], None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = await loop.create_server(
        lambda: _Connection(served), "127.0.0.1", port, backlog=8192, ssl=tls
    )
    scheme = "https" if tls else "http"
    sys.stdout.write(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    threading.Thread(target=_await_end, args=(loop, ended), daemon=True).start()
    async with server:
        await ended.wait()


def _await_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(ended.set)


@contextmanager
def serving(url: str | None = None, certificate: Path | None = None) -> Generator[str]:
    """The URL of a server in a process of its own, or the given one, which is somebody else's."""
    if url is not None:
        yield url.rstrip("/")
        return
    command = [sys.executable, str(Path(__file__).resolve())]
    command += ["--tls", str(certificate)] if certificate else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        try:
            yield child.stdout.readline().decode().strip()
        finally:
            child.stdin.close()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--port", type=int, default=0, help="default: any free one, printed")
    options.add_argument("--tls", type=Path, metavar="FILE", help="its certificate and key, PEM")
    allow_many_files()
    try:
        given = options.parse_args()
        uvloop.run(serve(given.port, given.tls))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
