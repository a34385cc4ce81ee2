"""What a person sees: progress on a terminal or as lines in a log, and the summary at the end.

Progress goes to standard error, results to standard output, so that a pipe gets the results alone.
"""

import asyncio
import io
import json
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from stepdistill.annotator.console.rates import CostMeter, ProgressRates
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.common.terminal import visible

_LINE_EVERY_S = 10.0
_SAY_EVERY_S = 5.0
_BAR_EVERY_S = 0.25
_TABLE_EVERY_S = 1.0
_PIPED_WIDTH = 200
_Endless = Coroutine[Any, Any, None]


class _PlainConsole(Console):
    """A console that shows texts as they are: `[bold]` is no markup, `:x:` no picture, and a
    control character is seen and not obeyed, wherever it comes from."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(
            stderr=stderr, width=width, markup=False, emoji=False, highlight=False, soft_wrap=True
        )

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(visible(text), **how)  # before its width is measured

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


class ConsoleOutput:
    """What a command writes to its terminal. quiet: no progress and no remarks, only results."""

    def __init__(self, *, quiet: bool = False) -> None:
        # A pipe has no width: tables are to keep theirs.
        width = None if sys.stdout.isatty() else _PIPED_WIDTH
        self._out = _PlainConsole(width=width)
        self._err = _PlainConsole(stderr=True)
        self._quiet = quiet
        self._warned: set[str] = set()

    @property
    def width(self) -> int:
        """How many characters a line of the result may have."""
        return self._out.width

    def say(self, line: str) -> None:
        """A remark on the way."""
        if not self._quiet:
            self._err.print(line)

    def warn(self, line: str) -> None:
        """A warning: shown once, whether or not remarks are wanted, and easy to see."""
        if line not in self._warned:
            self._warned.add(line)
            self._err.print(f"WARNING: {line}", style="bold yellow")

    def progress_line(self, verb: str, total: int | None = None) -> Callable[[int], None]:
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
        self._out.print(line)

    def json(self, content: dict[str, object]) -> None:
        """The result as one line for programs."""
        try:
            line = orjson.dumps(content)
        except orjson.JSONEncodeError:  # a path that is not UTF-8, an integer above 64 bits
            line = json.dumps(content).encode()
        if isinstance(sys.stdout, io.TextIOWrapper):
            self.data(line + b"\n")  # programs read UTF-8, whatever the terminal does
        else:  # a text in memory, a notebook
            sys.stdout.write(f"{line.decode()}\n")

    def data(self, content: bytes) -> None:
        """A result for programs, untouched."""
        sys.stdout.flush()
        sys.stdout.buffer.write(content)

    def table(self, table: Table) -> None:
        """A table of the result; plain columns when piped."""
        self._out.print(table)

    def asking(self, progress: Progress, spent_usd: CostMeter) -> AbstractAsyncContextManager[None]:
        """Show progress, and what it costs, while the body runs."""
        rates = ProgressRates(progress, spent_usd)

        async def tell() -> None:
            while True:
                await asyncio.sleep(_LINE_EVERY_S)
                rates.look()
                self._err.print(rates.line())

        return self._meanwhile(_bar(rates), _BAR_EVERY_S, tell)

    def waiting(
        self, line: Callable[[], str], table: Callable[[], Table]
    ) -> AbstractAsyncContextManager[None]:
        """Show what is waited for while the body runs: a live table, or lines when piped."""

        async def tell() -> None:
            last = ""
            while True:
                await asyncio.sleep(_LINE_EVERY_S)
                if line() != last:
                    last = line()
                    self._err.print(last)

        return self._meanwhile(table, _TABLE_EVERY_S, tell)

    @asynccontextmanager
    async def _meanwhile(
        self, shown: Callable[[], RenderableType], every_s: float, tell: Callable[[], _Endless]
    ) -> AsyncGenerator[None]:
        """On a terminal what is shown is drawn anew every so often; a log gets lines by `tell`."""

        async def redraw() -> None:
            with Live(
                get_renderable=shown, console=self._err, transient=True, auto_refresh=False
            ) as live:
                while True:
                    live.refresh()
                    await asyncio.sleep(every_s)

        if self._quiet:
            yield
            return
        task = asyncio.create_task(redraw() if self._err.is_terminal else tell())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _bar(rates: ProgressRates) -> Callable[[], Group]:
    """A bar with lines below it, as they are at each call."""
    bar = Bar(
        TextColumn("asking"), BarColumn(bar_width=30), MofNCompleteColumn(), TaskProgressColumn()
    )
    task = bar.add_task("asking")

    def drawn() -> Group:
        rates.look()
        progress = rates.progress
        bar.update(task, total=progress.total, completed=progress.settled)
        results = [*rates.outcomes(), *rates.money(), *rates.left()]
        lines = [line for line in (rates.speed(), results, rates.trouble()) if line]
        return Group(bar, *(Text(f"  {', '.join(line)}") for line in lines))

    return drawn


def _left(done: int, total: int, elapsed_s: float) -> str:
    return f" of {total:,}, {(total - done) * elapsed_s / max(1, done):,.0f} s left"
