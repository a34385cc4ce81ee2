"""What a person sees: progress on a terminal or as lines in a log, and the summary at the end.

Progress goes to standard error, results to standard output, so that a pipe gets the results alone.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from annotator.request.progress import Progress

_LINE_EVERY_S = 10.0
_DRAW_EVERY_S = 0.25


class Screen:
    """quiet: no progress and no remarks, only results."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet

    def say(self, line: str) -> None:
        """A remark on the way."""
        if not self._quiet:
            self._err.print(line, markup=False)

    def show(self, line: str) -> None:
        """A line of the result."""
        self._out.print(line, markup=False)

    def json(self, content: dict[str, object]) -> None:
        """The result as one line for programs."""
        sys.stdout.write(orjson.dumps(content).decode() + "\n")

    def table(self, table: Table) -> None:
        """A table of the result; plain columns when piped."""
        self._out.print(table)

    @asynccontextmanager
    async def asking(self, progress: Progress) -> AsyncGenerator[None]:
        """Show progress while the body runs."""
        if self._quiet:
            yield
            return
        show = self._bar if self._err.is_terminal else self._lines
        task = asyncio.create_task(show(progress))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _bar(self, progress: Progress) -> None:
        columns = (
            TextColumn("asking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task("asking", total=progress.total, detail="")
            while True:
                bar.update(task, completed=progress.settled, detail=_detail(progress))
                await asyncio.sleep(_DRAW_EVERY_S)

    async def _lines(self, progress: Progress) -> None:
        start, last = time.monotonic(), 0
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            rate = (progress.settled - last) / _LINE_EVERY_S
            last = progress.settled
            of = f" of {progress.total}" if progress.total is not None else ""
            eta = _eta(progress, time.monotonic() - start)
            self._err.print(
                f"{last}{of} requests, {rate:.0f}/s, {_detail(progress)}{eta}", markup=False
            )


def _detail(progress: Progress) -> str:
    retries = "".join(f", {n} x {cause}" for cause, n in progress.retries.items())
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.asked} asked, {progress.cached} stored{failed}{retries}"


def _eta(progress: Progress, elapsed_s: float) -> str:
    if not progress.total or not progress.settled:
        return ""
    left_s = elapsed_s * (progress.total - progress.settled) / progress.settled
    return f", {left_s:.0f} s left"
