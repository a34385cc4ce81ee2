"""What a person sees: progress on a terminal or as lines in a log, and the summary at the end.

Progress goes to standard error, results to standard output, so that a pipe gets the results alone.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from stepdistill.annotator.console.rates import CostMeter, ProgressRates
from stepdistill.annotator.teacher.progress import Progress

_LINE_EVERY_S = 10.0
_SAY_EVERY_S = 5.0
_DRAW_EVERY_S = 0.25
_PIPED_WIDTH = 200
_LIVE_EVERY_S = 1.0


class ConsoleOutput:
    """quiet: no progress and no remarks, only results."""

    def __init__(self, *, quiet: bool = False) -> None:
        # A pipe has no width: tables are to keep theirs.
        width = None if sys.stdout.isatty() else _PIPED_WIDTH
        self._out = Console(highlight=False, soft_wrap=True, width=width)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet

    @property
    def width(self) -> int:
        """How many characters a line of the result may have."""
        return self._out.width

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
    async def asking(self, progress: Progress, spent_usd: CostMeter) -> AsyncGenerator[None]:
        """Show progress, and what it costs, while the body runs."""
        if self._quiet:
            yield
            return
        show = self._bar if self._err.is_terminal else self._lines
        task = asyncio.create_task(show(ProgressRates(progress, spent_usd)))
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

    async def _bar(self, pace: ProgressRates) -> None:
        at = Bar(
            TextColumn("asking"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TaskProgressColumn(),
        )
        task = at.add_task("asking")

        def drawn() -> Group:
            pace.look()
            progress = pace.progress
            at.update(task, total=progress.total, completed=progress.settled)
            rest = [*pace.outcomes(), *pace.money(), *pace.left()]
            lines = [line for line in (pace.speed(), rest, pace.trouble()) if line]
            return Group(at, *(Text(f"  {', '.join(line)}") for line in lines))

        with Live(
            get_renderable=drawn, console=self._err, transient=True, auto_refresh=False
        ) as live:
            while True:
                live.refresh()
                await asyncio.sleep(_DRAW_EVERY_S)

    async def _lines(self, pace: ProgressRates) -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            pace.look()
            self._err.print(pace.line(), markup=False)


def _left(done: int, total: int, elapsed_s: float) -> str:
    return f" of {total:,}, {(total - done) * elapsed_s / max(1, done):,.0f} s left"
