#!/usr/bin/env python3
"""What `annotate run`, all defaults, makes of servers that name no limits and have some.

Each is a server on this machine that keeps books: what it could have done from its first request to
its last answer, and what it did. The share is what counts, with the requests that it refused or
that were given up for each answer. Every row has to become a record.

    two slots     a small server of one's own: two answers at a time, the others wait; it drops what
                  its client gave up, or works that off all the same
    limiter       nginx's `limit_req rate=20r/s burst=5 nodelay`: 429 (or 503) without Retry-After
    minute        so many a minute, from full minute to full minute, 429 without Retry-After
    at once       so many at a time, the next gets a 429
    wide          256 at a time, each as quick as one alone: how soon are they found?
    at random     32 at a time, the others wait, and a share is refused whatever comes in a second

Example:

    python benchmarks/odd_servers.py --check --json benchmarks/results/odd_servers.json
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from annotate_command import Annotate
from made_task import make_task
from measuring import Figure, Results, parser, report

SHARE_BAR, WASTE_BAR, WIDE_BAR = 0.9, 0.5, 0.5
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = {
    "object": "chat.completion",
    "model": "bench",
    "choices": [
        {
            "message": {"role": "assistant", "content": "Label: neutral\nRationale: It is open."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 12},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A server and a run. Of rate_per_s, per_minute and at_most each is a limit, 0 for none."""

    name: str
    rows: int
    timeout_s: float = 120.0
    answer_s: float = 0.002
    spread: float = 0.0  # of the logarithm of answer_s
    slots: int = 0  # answers that are worked on together; the others wait
    drops: bool = True  # what the client gave up
    rate_per_s: float = 0.0
    burst: int = 5  # beside rate_per_s
    per_minute: int = 0
    at_most: int = 0  # requests that are let in together
    at_random: float = 0.0  # the share that is refused beside all that
    status: int = 429  # of a refusal
    share_bar: float = SHARE_BAR


SCENES = (
    Scene(name="two slots, dropping", rows=120, timeout_s=8, answer_s=0.5, slots=2),
    Scene(name="two slots, working off", rows=120, timeout_s=8, answer_s=0.5, slots=2, drops=False),
    Scene(name="two slots, uneven", rows=120, timeout_s=10, answer_s=0.4, spread=0.6, slots=2),
    Scene(name="limiter 20/s", rows=800, rate_per_s=20),
    Scene(name="limiter 20/s, 503, 1 s an answer", rows=800, rate_per_s=20, status=503, answer_s=1),
    Scene(name="limiter 300/s", rows=6000, rate_per_s=300, burst=20),
    Scene(name="90 a minute", rows=270, per_minute=90),
    Scene(name="4 at once", rows=300, at_most=4, answer_s=0.3, spread=0.6),
    Scene(
        name="a fourth at random",
        rows=2500,
        slots=32,
        answer_s=0.3,
        at_random=0.25,
        status=498,
        share_bar=0.6,
    ),
    Scene(
        name="one in 50 at random", rows=2500, slots=32, answer_s=0.3, at_random=0.02, status=529
    ),
    Scene(name="wide", rows=6000, answer_s=0.3, share_bar=WIDE_BAR, at_most=256, status=503),
)
SMOKE = (
    Scene(name="two slots, dropping", rows=20, timeout_s=8, answer_s=0.1, slots=2),
    Scene(name="limiter 20/s", rows=40, rate_per_s=20),
)


@dataclass(slots=True, kw_only=True)
class Books:
    """What a server did. first_s, last_s: first request, last answer. worked_s: on answers that
    came home."""

    requests: int = 0
    answers: int = 0
    refused: int = 0
    worked_s: float = 0.0
    most_in_flight: int = 0
    first_s: float = 0.0
    last_s: float = 0.0

    def share(self, scene: Scene) -> float:
        """What it did, of what it could have done in that time."""
        span_s = self.last_s - self.first_s
        if scene.rate_per_s:
            return self.answers / (scene.burst + 1 + scene.rate_per_s * span_s)
        if scene.per_minute:
            return self.answers / (scene.per_minute * span_s / 60)
        return self.worked_s / ((scene.slots or scene.at_most) * span_s)


class OddServer:
    """A teacher with the limits of a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self.books, self._in_flight = scene, Books(), 0
        self._slots = asyncio.Semaphore(scene.slots or 1 << 20)
        self._free_s, self._minute_s, self._in_minute = 0.0, 0.0, 0
        self._random = random.Random(7)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                self._in_flight += 1
                try:
                    await self._reply(reader, writer)
                finally:
                    self._in_flight -= 1
        writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        books, now = self.books, time.monotonic()
        books.requests += 1
        books.first_s = books.first_s or now
        books.most_in_flight = max(books.most_in_flight, self._in_flight)
        if not self._lets_in(now):
            books.refused += 1
            return _send(writer, self._scene.status, {"error": {"message": "too many requests"}})
        seconds = self._scene.answer_s
        if self._scene.spread:
            seconds *= self._random.lognormvariate(0, self._scene.spread)
        working = asyncio.create_task(self._work(seconds))
        gone = asyncio.create_task(reader.read(1))  # nothing is sent before the reply
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            if self._scene.drops:
                working.cancel()
            await asyncio.wait((working,))
            writer.close()
            return None
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        books.answers += 1
        books.worked_s += seconds
        books.last_s = time.monotonic()
        return _send(writer, 200, _ANSWER)

    async def _work(self, seconds: float) -> None:
        async with self._slots:
            await asyncio.sleep(seconds)

    def _lets_in(self, now: float) -> bool:
        scene = self._scene
        if scene.at_random and self._random.random() < scene.at_random:
            return False
        if scene.at_most:
            return self._in_flight <= scene.at_most
        if scene.per_minute:
            if now - self._minute_s >= 60:
                self._minute_s, self._in_minute = now, 0
            self._in_minute += 1
            return self._in_minute <= scene.per_minute
        if scene.rate_per_s:
            self._free_s = max(self._free_s, now)
            if (self._free_s - now) * scene.rate_per_s > scene.burst:
                return False
            self._free_s += 1 / scene.rate_per_s
        return True


def _send(writer: asyncio.StreamWriter, status: int, body: object) -> None:
    content = orjson.dumps(body)
    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(content), content))


@contextmanager
def serving(scene: Scene) -> Generator[tuple[str, Books]]:
    """A server in a thread of its own: its address, and its books."""
    loop = asyncio.new_event_loop()
    odd = OddServer(scene)
    starting = asyncio.start_server(odd.serve, "127.0.0.1", 0, backlog=4096)
    server = loop.run_until_complete(starting)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", odd.books
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def measure(scene: Scene, folder: Path, keep: Callable[[str, dict[str, float]], None]) -> None:
    """One run against one server."""
    task = make_task(folder, scene.rows)
    with serving(scene) as (url, books):
        annotate = Annotate(
            task=task,
            base_url=url,
            concurrency="auto",
            options=("--timeout", f"{scene.timeout_s:g}"),
        )
        annotate.run()
    values = {
        "share": books.share(scene),
        "waste": (books.requests - books.answers) / books.answers,
        "most in flight": float(books.most_in_flight),
        "refused": float(books.refused),
        "requests": float(books.requests),
        "seconds": books.last_s - books.first_s,
    }
    keep(scene.name, values)


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=3)
    given.add_argument("--only", metavar="NAME", help="scenes whose name has this in it")
    return given.parse_args()


def main() -> int:
    given = options()
    rounds = 1 if given.smoke else given.rounds
    scenes = [
        s for s in (SMOKE if given.smoke else SCENES) if not given.only or given.only in s.name
    ]
    results = Results(benchmark="odd_servers", settings={"rounds": rounds})
    samples: dict[str, dict[str, list[float]]] = {}

    def keep(name: str, values: dict[str, float]) -> None:
        for key, value in values.items():
            samples.setdefault(name, {}).setdefault(key, []).append(value)
        results.raw.append({"scene": name, **values})
        print(name, {key: round(value, 3) for key, value in values.items()}, flush=True)

    for _ in range(rounds):
        for scene in scenes:
            with tempfile.TemporaryDirectory() as folder:
                measure(scene, Path(folder), keep)
    for scene in scenes:
        of = samples[scene.name]
        results.figures += [
            Figure(name=f"{scene.name}: share", samples=of["share"], unit="of what it can",
                   at_least=scene.share_bar),
            Figure(name="  in vain", samples=of["waste"], unit="for an answer", at_most=WASTE_BAR),
            Figure(name="  in flight", samples=of["most in flight"], unit="at most"),
        ]  # fmt: skip
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
