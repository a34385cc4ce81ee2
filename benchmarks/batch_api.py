#!/usr/bin/env python3
"""`annotate run --batch-api` on many rows: memory, what it writes, and the same shards as online.

The simulator is the teacher, in this process. Three runs: online; through the Batch API, killed
(SIGKILL) while the second batch is created; and the same command again, to its end. Memory is the
most that was seen of either batch run, the map of the store left out. Part files are counted as
they are written, over both.

Example:

    python benchmarks/batch_api.py --check --json benchmarks/results/batch_api.json
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from annotate_command import Annotate
from made_task import LABELS, MadeTask, make_task
from measuring import Figure, Results, environment, parser, report, rss_mb
from stepdistill.annotator.simulator.batch.log import BatchCall, CallKind
from stepdistill.annotator.simulator.server import Simulator

ROWS, PER_PART = 120_000, 50_000
MEMORY_BAR_MB = 300.0
_LOOK_EVERY_S = 0.1


class Judge:
    """A teacher with an opinion on every prompt: the same one each time."""

    def answer(self, body: Mapping[str, object]) -> str:
        """Label and rationale, by the prompt's hash."""
        digest = hashlib.blake2b(orjson.dumps(body["messages"]), digest_size=8).hexdigest()
        label = LABELS[int(digest, 16) % len(LABELS)]
        return f"Label: {label}\nRationale: All of it taken together, {digest} points to {label}."


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen of a command from outside. peak_mb: of memory."""

    code: int = 0
    peak_mb: float = 0.0
    wall_s: float = 0.0
    files: dict[str, set[int]] = field(default_factory=dict[str, set[int]])


@contextmanager
def serving() -> Generator[Simulator]:
    """The simulator, in a thread with a loop of its own."""
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    simulator = Simulator(Judge())

    async def serve() -> None:
        async with simulator:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield simulator
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def watch(annotate: Annotate, simulator: Simulator, *, kill_at: int | None = None) -> Seen:
    """Run a command to its end, or kill it at the creation of this batch, from 1."""
    seen, start_s = Seen(), time.perf_counter()
    parts = annotate.store / "batches"
    with tempfile.TemporaryFile() as out:
        command = [str(word) for word in annotate.command()]
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=environment())
        creations = 0

        def kill(call: BatchCall) -> None:
            nonlocal creations
            creations += call.kind is CallKind.CREATE
            if call.kind is CallKind.CREATE and creations == kill_at:
                os.kill(child.pid, signal.SIGKILL)

        simulator.log.batch.on_call = kill
        while child.poll() is None:
            seen.peak_mb = max(seen.peak_mb, rss_mb(child.pid))
            for path in parts.glob("part-*.jsonl"):
                with suppress(FileNotFoundError):  # collected since it was listed
                    seen.files.setdefault(path.name, set()).add(path.stat().st_ino)
            time.sleep(_LOOK_EVERY_S)
        simulator.log.batch.on_call = None
        seen.code, seen.wall_s = child.returncode, time.perf_counter() - start_s
    return seen


def written(log: Path) -> list[int]:
    """Bytes of each part file that was written, from the log of the runs."""
    events = [json.loads(line) for line in log.read_bytes().splitlines()]
    return [event["bytes"] for event in events if event.get("state") == "prepared"]


def shards(annotate: Annotate) -> str:
    """sha256 of all that a run wrote but its manifest, which says in which mode it was asked."""
    digest = hashlib.sha256()
    for path in sorted(annotate.out.rglob("*.jsonl")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The three runs, and what they left behind. part_bytes: of each part file as written."""

    online: Seen
    killed: Seen
    went_on: Seen
    part_bytes: list[int]
    created: int
    paid: int
    is_tidy: bool
    is_same: bool

    @property
    def inodes(self) -> dict[str, int]:
        """How many files each part file's name has stood for; 1 each if it was written once."""
        first, second = self.killed.files, self.went_on.files
        return {
            name: len(first.get(name, set()) | second.get(name, set()))
            for name in {**first, **second}
        }


def measure(task: MadeTask, per_part: int) -> Measured:
    """Carry out the three runs."""
    more = ("--batch-api", "--max-batch-requests", str(per_part))
    with serving() as simulator:
        url, books = simulator.base_url, simulator.log.batch
        online = Annotate(task=task, base_url=url, name="online")
        batch = Annotate(task=task, base_url=url, name="batch", options=more)
        asked = watch(online, simulator)
        killed, went_on = watch(batch, simulator, kill_at=2), watch(batch, simulator)
        if (asked.code, killed.code, went_on.code) != (0, -signal.SIGKILL, 0):
            raise RuntimeError(f"exit codes {asked.code}, {killed.code}, {went_on.code}")
        return Measured(
            online=asked,
            killed=killed,
            went_on=went_on,
            part_bytes=written(batch.log),
            created=len(books.batches),
            paid=sum(books.paid().values()),
            is_tidy=not books.orphans() and not books.unused_files(),
            is_same=shards(online) == shards(batch),
        )


def figures(done: Measured, rows: int, per_part: int) -> list[Figure]:
    """The figures with their bars."""
    parts = -(-rows // per_part)
    peak_mb = max(done.killed.peak_mb, done.went_on.peak_mb)
    sizes = done.part_bytes
    return [
        Figure(name="memory", samples=[peak_mb], unit="MB", at_most=MEMORY_BAR_MB),
        Figure(name="memory, online", samples=[done.online.peak_mb], unit="MB"),
        Figure(name="part files written", samples=[float(len(sizes))], unit="", at_most=parts),
        Figure(name="  together", samples=[sum(sizes) / 1e6], unit="MB"),
        Figure(name="batches created", samples=[float(done.created)], unit="", at_most=parts),
        Figure(name="rows paid / rows", samples=[done.paid / rows], unit="x", at_most=1.0),
        Figure(name="left at the teacher's", samples=[float(not done.is_tidy)], unit="",
               at_most=0.0),
        Figure(name="shards as online", samples=[float(done.is_same)], unit="", at_least=1.0),
        Figure(name="batch run, to the kill", samples=[done.killed.wall_s], unit="s"),
        Figure(name="  and on", samples=[done.went_on.wall_s], unit="s"),
        Figure(name="online run", samples=[done.online.wall_s], unit="s"),
    ]  # fmt: skip


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=1)
    given.add_argument("--rows", type=int, default=ROWS, help=f"rows to annotate ({ROWS:,})")
    return given.parse_args()


def main() -> int:
    given = options()
    rows, per_part = (300, 125) if given.smoke else (given.rows, PER_PART)
    results = Results(benchmark="batch_api", settings={"rows": rows, "requests a part": per_part})
    with tempfile.TemporaryDirectory() as folder:
        done = measure(make_task(Path(folder), rows), per_part)
    runs = {"online": done.online, "killed": done.killed, "went on": done.went_on}
    for name, seen in runs.items():
        results.raw.append({"run": name, "peak_mb": seen.peak_mb, "wall_s": seen.wall_s})
    results.raw.append({"part_bytes": done.part_bytes, "inodes": done.inodes})
    results.figures = figures(done, rows, per_part)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
