"""An experiment: every template is asked the same rows, and they are ranked by what came of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from annotator.asking import Rest, ask
from annotator.config import RunConfig
from annotator.cost.bill import spent_usd
from annotator.planning import warnings
from annotator.request.progress import Progress
from annotator.request.store import ResponseStore
from annotator.screen import Screen
from annotator.study.metadata import Setting
from annotator.study.notebook import Notebook
from annotator.study.ranking import Place, rank
from annotator.study.scoring import Scored
from annotator.study.trial import Trial

_NOTE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a study found. asked, cached: requests of this run; spent_usd: on them."""

    task: str
    setting: Setting
    n_rows: int
    without_gold: int
    remarks: list[str]
    places: list[Place]
    metadata: Path
    asked: int = 0
    cached: int = 0
    spent_usd: float | None = 0.0


def run_experiment(config: RunConfig, trial: Trial, metadata: Path, screen: Screen) -> Report:
    """Ask, score and rank. Raises DistillError; whatever was answered until then is stored."""
    with ResponseStore.open(config.store, write=not config.offline) as store:
        notebook = Notebook(trial, store, metadata)
        progress = Progress()
        if not config.offline:
            uvloop.run(_ask(config, trial, store, screen, notebook, progress))
        notebook.note_rest()
    plan = next(iter(trial.plans.values()))
    scored = [each for each in notebook.scored.values() if each.right or each.score.unanswered]
    return Report(
        task=config.task,
        setting=trial.setting,
        n_rows=trial.n_rows,
        without_gold=trial.without_gold,
        remarks=[*trial.remarks, *_remarks(trial, scored)],
        places=rank(scored),
        metadata=metadata,
        asked=progress.asked,
        cached=progress.cached,
        spent_usd=spent_usd(config.teacher, plan.endpoint.name, progress),
    )


def _remarks(trial: Trial, scored: list[Scored]) -> list[str]:
    told = [trial.plans[each.template] for each in scored]
    silent = len(trial.plans) - len(scored)
    return [
        *(line for plan in told for line in warnings([plan])),
        *([f"{silent} templates have no answers in the store"] if silent else []),
    ]


async def _ask(
    config: RunConfig,
    trial: Trial,
    store: ResponseStore,
    screen: Screen,
    notebook: Notebook,
    progress: Progress,
) -> None:
    rests = [Rest(plan=plan, start=0) for plan in trial.plans.values()]
    async with _now_and_then(notebook.note_answered):
        await ask(config, rests, store, screen, progress)


@asynccontextmanager
async def _now_and_then(work: Callable[[], None]) -> AsyncGenerator[None]:
    """Do this every second, and once more at the end, however the body ends."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(_NOTE_EVERY_S)
            work()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        work()
