"""An experiment: every template is asked the same rows, and they are ranked by what came of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.money.spending import Spender, Spending, noted
from stepdistill.annotator.plan.plan import Unanswered, name_of
from stepdistill.annotator.run.planning import warnings
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import Setting
from stepdistill.annotator.study.race import Race, RaceRules, Right, run_race
from stepdistill.annotator.study.ranking import Rank, rank
from stepdistill.annotator.study.score_book import ScoreBook
from stepdistill.annotator.study.trial import Trial
from stepdistill.annotator.teacher.progress import Progress

_NOTE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a study found. asked, cached: requests of this run; spent_usd: on them."""

    task: str
    setting: Setting
    n_rows: int
    without_gold: int
    remarks: list[str]
    places: list[Rank]
    metadata: Path
    asked: int = 0
    cached: int = 0
    spent_usd: float | None = 0.0
    race: Race | None = None


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One experiment under way, over an open store."""

    config: RunSettings
    trial: Trial
    store: ResponseStore
    notebook: ScoreBook
    screen: ConsoleOutput
    spending: Spending
    asked: list[Progress] = field(default_factory=list[Progress])
    asked_rows: dict[str, int] = field(default_factory=dict[str, int])

    def whole(self) -> None:
        """Ask every template every row."""
        rests = [Unanswered(plan=plan) for plan in self.trial.plans.values()]
        self._ask(rests, self.notebook.note_answered)
        tell = self.screen.pace("templates scored", total=len(self.trial.plans))
        self.notebook.note_rest(tell)

    def raced(self, rules: RaceRules) -> Race:
        """Ask in waves, and the lesser templates no further."""
        return run_race(list(self.trial.plans), self.trial.n_rows, rules, self._wave)

    def _wave(self, names: Sequence[str], rows: int) -> dict[str, Right]:
        self.screen.say(f"{len(names)} templates, {rows} of {self.trial.n_rows} rows")
        rests = [
            Unanswered(
                plan=replace(self.trial.plans[name], samples=rows),
                start=self.asked_rows.get(name, 0),
            )
            for name in names
        ]
        self._ask(rests, lambda: None)
        self.asked_rows |= dict.fromkeys(names, rows)
        return self.notebook.note_rows(names, rows)

    def _ask(self, rests: list[Unanswered], note: Callable[[], None]) -> None:
        if self.config.offline:
            return
        self.asked.append(Progress())
        self.spending.count(self.asked[-1])
        uvloop.run(self._ask_and_note(rests, note))

    async def _ask_and_note(self, rests: list[Unanswered], note: Callable[[], None]) -> None:
        from stepdistill.annotator.run.ask import (
            ask,  # half of all imports: only where somebody is asked
        )

        async with _now_and_then(note):
            await ask(self.config, rests, self.store, self.screen, self.asked[-1])


def run_experiment(
    config: RunSettings,
    trial: Trial,
    metadata: Path,
    screen: ConsoleOutput,
    rules: RaceRules | None = None,
) -> Report:
    """Ask, score and rank; rules make it a race. Raises DistillError; answers are stored."""
    name = name_of(trial.plans.values())
    reader = replace(config.shards, reader=trial.setting.reader)
    config = replace(config.under(name), shards=reader)
    spender = Spender(plan=name, config=config, tariff=trial.tariff, kind="experiment")
    with (
        ResponseStore.open(config.store, write=not config.offline) as store,
        noted(store, spender) as spending,
    ):
        spending.tries(trial.study)
        experiment = Experiment(
            config=config,
            trial=trial,
            store=store,
            notebook=ScoreBook(trial, store, metadata),
            screen=screen,
            spending=spending,
        )
        race = experiment.raced(rules) if rules else None
        if race is None:
            experiment.whole()
    return _report(experiment, metadata, race)


def _report(experiment: Experiment, metadata: Path, race: Race | None) -> Report:
    trial, scored = experiment.trial, experiment.notebook.scored
    answered = [each for each in scored.values() if each.right or each.score.unanswered]
    spent = [spent_usd(trial.tariff, each) for each in experiment.asked]
    told = [trial.plans[each.template] for each in answered]
    remarks = [*trial.remarks, *(line for each in told for line in warnings([each]))]
    if len(answered) < len(trial.plans):
        remarks.append(f"{len(trial.plans) - len(answered)} templates have no answers in the store")
    return Report(
        task=experiment.config.task,
        setting=trial.setting,
        n_rows=trial.n_rows,
        without_gold=trial.without_gold,
        remarks=remarks,
        places=rank(answered, race.stopped if race else ()),
        metadata=metadata,
        asked=sum(each.asked for each in experiment.asked),
        cached=sum(each.cached for each in experiment.asked),
        spent_usd=None if None in spent else sum(each or 0.0 for each in spent),
        race=race,
    )


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
