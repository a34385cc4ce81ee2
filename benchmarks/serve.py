#!/usr/bin/env python3
"""What `stepdistill serve` costs beside its student, and whether it grows: 50 callers at once.

A tiny student with random weights tells classes apart; how well does not matter. In turns, the same
rows are answered by Predictor itself, in batches as large as the server's, and by the server, a row
a call, over connections that stay open. Either has one thread for its matrices. CPU is the server
process's own. Then the server is called on and on: its memory after that less before.

Example:

    python benchmarks/serve.py --check --json benchmarks/results/serve.json
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import orjson
import uvloop

from made_student import CLASSES, texts_of, write_student
from measuring import Figure, Results, environment, parser, report, rss_mb

CALLERS, BATCH_SIZE = 50, 32
GROWTH_BAR_MB, CPU_BAR = 16.0, 1.6
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What calls took. waits: seconds, one for each call."""

    wall_s: float
    cpu_s: float
    waits: list[float]


def make_student(folder: Path) -> None:
    """Write one that has learnt nothing."""
    from transformers.utils import logging

    from stepdistill.trainer.model.student import from_scratch
    from stepdistill.trainer.model.tokenizer import train_pieces
    from stepdistill.trainer.settings.train import SIZES

    logging.disable_progress_bar()
    pieces = train_pieces([*CLASSES, *texts_of(500)])
    write_student(from_scratch(SIZES["tiny"], pieces, seed=0, dropout=None), folder)


class Direct:
    """The student in this process, without a server."""

    def __init__(self, folder: Path) -> None:
        import torch

        from stepdistill.trainer.inference.predictor import Predictor
        from stepdistill.trainer.inference.rows import RowReader

        torch.set_num_threads(1)
        self._predictor = Predictor(folder)
        self._reader = RowReader(self._predictor.settings)

    def answer(self, texts: Sequence[str]) -> tuple[float, float]:
        """(wall, CPU) seconds that the answers to these texts take, in their order."""
        from stepdistill.trainer.inference.predictor import answer_lines, chunks

        wall, cpu = time.perf_counter(), time.process_time()
        for chunk in chunks(texts, BATCH_SIZE):
            rows = [self._reader.asked({"text": text}, "", "0") for text in chunk]
            answer_lines(self._predictor, rows, explain=False)
        return time.perf_counter() - wall, time.process_time() - cpu


@contextlib.contextmanager
def serving(folder: Path) -> Generator[tuple[int, int]]:
    """(process, port) of a server of that student."""
    command = [Path(sys.executable).parent / "stepdistill", "serve", folder, "--port", "0"]
    with subprocess.Popen(
        [*map(str, command), "--batch-size", str(BATCH_SIZE)],
        env={**environment(), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        try:
            told = next((line for line in child.stderr if line.startswith("serving ")), None)
            if told is None:
                raise RuntimeError(f"the server did not start: exit {child.wait()}")
            yield child.pid, int(told.split("/predict")[0].rpartition(":")[2])
        finally:
            child.terminate()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has taken so far, in its own code and the system's."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


async def _call(port: int, bodies: list[bytes], waits: list[float]) -> None:
    """A caller: a row a call, over one connection. bodies: what is left, of all callers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while bodies:
            body = bodies.pop()
            began = time.perf_counter()
            head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            found = await reader.readexactly(length)
            waits.append(time.perf_counter() - began)
            if not answer.startswith(b"HTTP/1.1 200") or b'"label"' not in found:
                raise RuntimeError(f"the server said {answer + found!r}")
    finally:
        writer.close()


def ask(pid: int, port: int, texts: Sequence[str]) -> Served:
    """Ask the server, each text a call, until all callers have theirs."""
    bodies = [orjson.dumps({"rows": [{"text": text}]}) for text in reversed(texts)]
    waits: list[float] = []

    async def call_all() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(_call(port, bodies, waits))

    wall, cpu = time.perf_counter(), cpu_s(pid)
    uvloop.run(call_all())
    return Served(wall_s=time.perf_counter() - wall, cpu_s=cpu_s(pid) - cpu, waits=waits)


def soak(pid: int, port: int, texts: Sequence[str], calls: int) -> Iterator[float]:
    """MB that the server holds: before so many calls, on the way, and after them."""
    yield rss_mb(pid)
    for start in range(0, calls, len(texts)):
        ask(pid, port, texts[: calls - start])
        yield rss_mb(pid)


def measure(results: Results, folder: Path, rounds: int, calls: int) -> None:
    """Direct and served, in turns, then memory."""
    texts = texts_of(max(100, calls // 10))
    direct = Direct(folder)
    rows: dict[str, list[float]] = {name: [] for name in ("alone", "share", "cpu", "p50", "p99")}
    rates: list[float] = []
    with serving(folder) as (pid, port):
        ask(pid, port, texts)  # caches, arenas
        direct.answer(texts[:BATCH_SIZE])
        for _ in range(rounds):
            wall, cpu = direct.answer(texts)
            served = ask(pid, port, texts)
            rates.append(len(texts) / served.wall_s)
            rows["alone"].append(len(texts) / wall)
            rows["share"].append(wall / served.wall_s)
            rows["cpu"].append(served.cpu_s / cpu)
            percentiles = quantiles(served.waits, n=100)
            rows["p50"].append(1000 * percentiles[49])
            rows["p99"].append(1000 * percentiles[98])
            raw = {"direct_s": wall, "direct_cpu_s": cpu, "served_s": served.wall_s}
            waits = [round(1000 * wait, 1) for wait in served.waits]
            results.raw.append({**raw, "served_cpu_s": served.cpu_s, "waits_ms": waits})
        before, *_, after = memory = list(soak(pid, port, texts, calls))
        results.raw.append({"rss_mb": memory})
    results.figures += [
        Figure(name="rows a second, by Predictor alone", samples=rows["alone"], unit="rows/s"),
        Figure(name="rows a second, served", samples=rates, unit="rows/s"),
        Figure(name="served / alone, by the clock", samples=rows["share"], unit="x"),
        Figure(name="served / alone, CPU", samples=rows["cpu"], unit="x", at_most=CPU_BAR),
        Figure(name="a call waits, median", samples=rows["p50"], unit="ms"),
        Figure(name="a call waits, 99 of 100 less than", samples=rows["p99"], unit="ms"),
        Figure(name="memory before", samples=[before], unit="MB"),
        Figure(
            name=f"growth over {calls:,} calls",
            samples=[after - before],
            unit="MB",
            at_most=GROWTH_BAR_MB,
        ),
    ]


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--calls", type=int, default=20_000, help="over which it may not grow")
    given = options.parse_args()
    rounds, calls = (1, 300) if given.smoke else (given.rounds, given.calls)
    settings: dict[str, object] = {"callers": CALLERS, "batch": BATCH_SIZE, "rounds": rounds}
    results = Results(benchmark="serve", settings={**settings, "calls": calls})
    with tempfile.TemporaryDirectory() as home:
        make_student(Path(home))
        measure(results, Path(home), rounds, calls)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
