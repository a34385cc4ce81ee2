#!/usr/bin/env python3
"""What `annotate run` makes of three addresses of one model: one slow, one dying and coming back.

Each is a server on this machine with slots; who finds none free waits. One of them dies while it is
at work: connections break, nobody listens, and a while later it is back at the same port. Share:
the answers, of what all that were there could have given in the same time, slots / seconds of an
answer; from the first request to the last answer, so that finding the windows, noticing a death and
a return, and running dry count. Every row has to become a record; one that was answered twice is no
more than what was in flight.

Example:

    python benchmarks/several_addresses.py --check --json benchmarks/results/several_addresses.json
"""

import asyncio
import hashlib
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson

from annotate_command import Annotate
from made_task import make_task
from measuring import Figure, Results, parser, report

SHARE_BAR, SLOTS = 0.9, 32
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = orjson.dumps(
    {
        "object": "chat.completion",
        "model": "bench",
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "Label: neutral\nRationale: It is open.",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 120, "completion_tokens": 12},
    }
)
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_ANSWER), _ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Three servers and a run. dies_s, back_s: after the third one's first request."""

    rows: int
    answers_s: tuple[float, float, float] = (0.1, 0.8, 0.1)
    dies_s: float = 5.0
    back_s: float = 12.0


SCENE = Scene(rows=15_000)
SMOKE = Scene(rows=600, dies_s=0.4, back_s=0.9)


@dataclass(slots=True)
class Address:
    """A server of one address, in the loop of the benchmark's own thread, and its books."""

    answer_s: float
    port: int = 0
    first_s: float = 0.0
    answered: Counter[bytes] = field(default_factory=Counter[bytes])  # by what was asked
    answered_at_s: list[float] = field(default_factory=list[float])
    away_s: list[float] = field(default_factory=list[float])  # died, came back
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _server: asyncio.Server | None = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def open(self) -> None:
        """Listen; at the same port, if it did so before."""
        self._slots = asyncio.Semaphore(SLOTS)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """As a process that is killed: nobody listens, and connections break."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def die_and_come_back(self, scene: Scene) -> None:
        """What happens to the third one."""
        await self._asked.wait()
        await asyncio.sleep(scene.dies_s)
        await self.die()
        self.away_s.append(time.monotonic())
        await asyncio.sleep(scene.back_s - scene.dies_s)
        await self.open()
        self.away_s.append(time.monotonic())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        slots = self._slots
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.first_s = self.first_s or time.monotonic()
                self._asked.set()
                async with slots:
                    await asyncio.sleep(self.answer_s)
                if writer.is_closing():
                    break
                self.answered[hashlib.blake2b(body, digest_size=16).digest()] += 1
                self.answered_at_s.append(time.monotonic())
                writer.write(_REPLY)
        self._writers.discard(writer)
        writer.close()

    def between(self, from_s: float, to_s: float) -> int:
        """Answers in this time."""
        return sum(from_s <= at_s < to_s for at_s in self.answered_at_s)

    def able(self, from_s: float, to_s: float) -> float:
        """Answers that it could have given in it, had it had enough to do."""
        there_s = to_s - from_s
        if self.away_s:
            died_s, back_s = (*self.away_s, to_s)[:2]
            there_s -= max(0.0, min(to_s, back_s) - max(from_s, died_s))
        return there_s * SLOTS / self.answer_s


class Servers:
    """The three, in a thread; a context manager."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._loop = scene, asyncio.new_event_loop()
        self.each = [Address(answer_s) for answer_s in scene.answers_s]

    def __enter__(self) -> Self:
        for each in self.each:
            self._loop.run_until_complete(each.open())
        dying = self.each[-1].die_and_come_back(self._scene)
        self._dying = self._loop.create_task(dying)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def share(self, from_s: float, to_s: float) -> float:
        """What they gave in this time, of what they could have given."""
        return sum(each.between(from_s, to_s) for each in self.each) / sum(
            each.able(from_s, to_s) for each in self.each
        )


def measure(scene: Scene, folder: Path) -> dict[str, float]:
    """One run."""
    task = make_task(folder, scene.rows)
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(scene))
        first, *others = servers.each
        more = [word for each in others for word in ("--base-url", each.url)]
        Annotate(task=task, base_url=first.url, concurrency=SLOTS, options=(*more,)).run()
    began_s = min(each.first_s for each in servers.each if each.first_s)
    ended_s = max(max(each.answered_at_s, default=0.0) for each in servers.each)
    total = sum((each.answered for each in servers.each), Counter[bytes]())
    values = {
        "share": servers.share(began_s, ended_s + 1e-6),
        "lost": float(scene.rows - len(total)),
        "twice": float(sum(total.values()) - len(total)),
        "seconds": ended_s - began_s,
    }
    died_s, back_s = (*servers.each[-1].away_s, ended_s, ended_s)[:2]
    if back_s < ended_s - 1:
        values["share while it is gone"] = servers.share(died_s, back_s)
        values["share once it is back"] = servers.share(back_s, ended_s)
        came = [at_s for at_s in servers.each[-1].answered_at_s if at_s > back_s]
        values["let in after"] = min(came, default=ended_s) - back_s
    return values


def main() -> int:
    given = parser(__doc__, rounds=3).parse_args()
    rounds, scene = (1, SMOKE) if given.smoke else (given.rounds, SCENE)
    results = Results(
        benchmark="several_addresses", settings={"rounds": rounds, "rows": scene.rows}
    )
    samples: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            values = measure(scene, Path(folder))
        for name, value in values.items():
            samples.setdefault(name, []).append(value)
        results.raw.append({**values})
        print({name: round(value, 3) for name, value in values.items()}, flush=True)
    unit, gone = "of what is left", "share while it is gone"
    results.figures = [
        Figure(name="share", samples=samples["share"], unit=unit, at_least=SHARE_BAR),
        Figure(name="rows lost", samples=samples["lost"], unit="", at_most=0),
        Figure(name="answered twice", samples=samples["twice"], unit="", at_most=SLOTS),
    ]
    if gone in samples:
        back = samples["share once it is back"]
        results.figures += [
            Figure(name=gone, samples=samples[gone], unit=unit, at_least=SHARE_BAR),
            Figure(name="share once it is back", samples=back, unit=unit),
            Figure(name="let in after", samples=samples["let in after"], unit="s"),
        ]
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
