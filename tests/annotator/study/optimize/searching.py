"""A search in this process, over a live teacher in a thread of its own."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.simulator.rehearsal import rehearse_search
from stepdistill.annotator.simulator.search_teacher import Taste
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.study.optimize.report import SearchOutcome
from stepdistill.annotator.study.optimize.run import run_search
from tests.journeys.money import with_prices

MILLION = Decimal(1_000_000)


def a_config(folder: Path, **changes: Any) -> RunSettings:
    parts: dict[str, Any] = {
        "task": "demo",
        "splits": ("train",),
        "teacher": "priced",
        "prompts": shipped_tasks(),
        "store": folder / "store",
        "out": folder,
        "prices": folder / "prices.yaml",
        "max_tokens": 60,
        "concurrency": 1,
    }
    return RunSettings(**{**parts, **changes})


@contextmanager
def a_teacher(folder: Path, seed: int) -> Generator[Simulator]:
    """A teacher of the demo task who likes some words better than others."""
    with_prices(folder)
    plan = make_template_plan(a_config(folder), ())
    teacher = Simulator(rehearse_search([plan], Taste(seed=seed), seed=seed))
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        stop = asyncio.Event()
        async with teacher:
            stops.append(stop)
            started.set()
            await stop.wait()

    stops: list[asyncio.Event] = []
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait()
    try:
        yield teacher
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join()
        loop.close()


def search(
    folder: Path, teacher: Simulator, seed: int, *, ceiling: str | None = None, **settings: Any
) -> SearchOutcome:
    """Search with the templates of the demo task."""
    config = a_config(
        folder,
        base_url=teacher.base_url,
        max_cost_usd=None if ceiling is None else Decimal(ceiling),
    )
    what = replace(SearchSettings(seed=seed), **settings)
    optimizer = replace(config, max_tokens=1024)
    return run_search(config, optimizer, what, folder / "search", ConsoleOutput(quiet=True))


def billed_usd(teacher: Simulator) -> Decimal:
    """By the teacher's books."""
    prompt, answer = teacher.log.billed_tokens()
    return (prompt + 4 * answer) / MILLION
