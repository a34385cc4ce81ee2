"""What a person sees: progress on a terminal or as lines in a log, and the summary at the end.

Progress goes to standard error, results to standard output, so that a pipe gets the results alone.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import orjson
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from annotator.request.progress import Progress

_LINE_EVERY_S = 10.0
_SAY_EVERY_S = 5.0
_DRAW_EVERY_S = 0.25
_PIPED_WIDTH = 200
_LIVE_EVERY_S = 1.0


class Screen:
    """quiet: no progress and no remarks, only results."""

    def __init__(self, *, quiet: bool = False) -> None:
        # A pipe has no width: tables are to keep theirs.
        width = None if sys.stdout.isatty() else _PIPED_WIDTH
        self._out = Console(highlight=False, soft_wrap=True, width=width)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet

    def say(self, line: str) -> None:
        """A remark on the way."""
        if not self._quiet:
            self._err.print(line, markup=False)

    def warn(self, line: str) -> None:
        """A warning: said whether or not remarks are wanted, and easy to see."""
        self._err.print(f"WARNING: {line}", markup=False, style="bold yellow")

    def pace(self, verb: str, total: int | None = None) -> Callable[[int], None]:
        """What says how far a command is, every few seconds; to be called with how much is done."""
        start_s = last_s = time.monotonic()

        def tell(done: int) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s < _SAY_EVERY_S:
                return
            last_s = now_s
            left = "" if total is None else _left(done, total, now_s - start_s)
            self.say(f"{done:,} {verb}{left}")

        return tell

    def show(self, line: str) -> None:
        """A line of the result."""
        self._out.print(line, markup=False)

    def json(self, content: dict[str, object]) -> None:
        """The result as one line for programs."""
        sys.stdout.write(orjson.dumps(content).decode() + "\n")

    def data(self, content: bytes) -> None:
        """A result for programs, untouched."""
        sys.stdout.flush()
        sys.stdout.buffer.write(content)

    def table(self, table: Table) -> None:
        """A table of the result; plain columns when piped."""
        self._out.print(table)

    @asynccontextmanager
    async def asking(
        self, progress: Progress, spent_usd: Callable[[Progress], float | None]
    ) -> AsyncGenerator[None]:
        """Show progress, and what it costs, while the body runs."""
        if self._quiet:
            yield
            return
        show = self._bar if self._err.is_terminal else self._lines
        task = asyncio.create_task(show(progress, _Rates(progress, spent_usd)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def waiting(
        self, line: Callable[[], str], table: Callable[[], Table]
    ) -> AsyncGenerator[None]:
        """Show what is waited for while the body runs: a live table, or lines when piped."""
        if self._quiet:
            yield
            return
        show = self._live(table) if self._err.is_terminal else self._changes(line)
        task = asyncio.create_task(show)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self, table: Callable[[], Table]) -> None:
        with Live(
            get_renderable=table, console=self._err, transient=True, auto_refresh=False
        ) as at:
            while True:
                at.refresh()
                await asyncio.sleep(_LIVE_EVERY_S)

    async def _changes(self, line: Callable[[], str]) -> None:
        said = ""
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            if line() != said:
                said = line()
                self._err.print(said, markup=False)

    async def _bar(self, progress: Progress, rates: "_Rates") -> None:
        columns = (
            TextColumn("asking"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task("asking", total=progress.total, detail="")
            while True:
                bar.update(task, completed=progress.settled, detail=rates.line())
                await asyncio.sleep(_DRAW_EVERY_S)

    async def _lines(self, progress: Progress, rates: "_Rates") -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            of = f" of {progress.total:,}" if progress.total is not None else ""
            line = f"{progress.settled:,}{of} requests, {rates.line()}{rates.eta()}"
            self._err.print(line, markup=False)


def _left(done: int, total: int, elapsed_s: float) -> str:
    return f" of {total:,}, {(total - done) * elapsed_s / max(1, done):,.0f} s left"


class _Rates:
    """Speed and money of a run, over the last ten seconds or so."""

    def __init__(self, progress: Progress, spent_usd: Callable[[Progress], float | None]) -> None:
        self._progress, self._spent_usd = progress, spent_usd
        self._seen: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])

    def line(self) -> str:
        """One line: rates, what is in flight, stored, failed and tried again, and the money."""
        progress = self._progress
        requests_per_s, tokens_per_minute = self._rates()
        parts = [
            f"{requests_per_s:,.0f}/s",
            f"{tokens_per_minute / 1000:,.0f}k tokens/min",
            f"{progress.in_flight:,} in flight",
        ]
        parts += [f"{progress.cached:,} stored"] if progress.cached else []
        parts += [f"{progress.failed:,} failed"] if progress.failed else []
        parts += [f"{n:,} x {cause}" for cause, n in progress.retries.items()]
        return ", ".join([*parts, *self._money()])

    def eta(self) -> str:
        """How long the rest takes at this rate."""
        requests_per_s, _ = self._rates()
        if self._progress.total is None or not requests_per_s:
            return ""
        return f", {(self._progress.total - self._progress.settled) / requests_per_s:,.0f} s left"

    def _rates(self) -> tuple[float, float]:
        progress, now = self._progress, time.monotonic()
        tokens = progress.prompt_tokens + progress.completion_tokens
        self._seen.append((now, progress.asked, tokens))
        while len(self._seen) > 2 and now - self._seen[0][0] > _LINE_EVERY_S:
            self._seen.popleft()
        first_s, asked, before = self._seen[0]
        elapsed_s = max(now - first_s, 1e-9)
        return (progress.asked - asked) / elapsed_s, (tokens - before) / elapsed_s * 60

    def _money(self) -> list[str]:
        spent = self._spent_usd(self._progress)
        if not spent:
            return []
        asked, total = self._progress.asked, self._progress.total
        left = total - self._progress.settled if total is not None else 0
        return [f"{spent:.4f} USD of about {spent * (1 + left / max(1, asked)):.4f}"]
