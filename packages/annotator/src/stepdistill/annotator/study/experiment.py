"""An experiment: every template is asked the same rows, and they are ranked by what came of it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.plan.plan import Plan, Unanswered, name_of
from stepdistill.annotator.run.planning import warnings
from stepdistill.annotator.run.run_notes import Spender, Spending, noted
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.unread import why_unanswered
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import TemplateResult, load_metadata, save_metadata
from stepdistill.annotator.study.race import Correct, Race, RaceRules, run_race
from stepdistill.annotator.study.ranking import compared, rank, unread_remarks
from stepdistill.annotator.study.report import Report
from stepdistill.annotator.study.score import Scored, score_template, total_usd
from stepdistill.annotator.study.trial import Trial
from stepdistill.annotator.teacher.progress import Progress

_SCORE_EVERY_S = 1.0


class ScoreBook:
    """The scores of a trial's templates, in memory and in the task's metadata file.

    The file is written whole after every template, as soon as its answers are in, so a kill loses
    nothing that cannot be recomputed from the store in a moment.
    """

    def __init__(self, trial: Trial, store: ResponseStore, path: Path) -> None:
        """Raises PromptError where the file at this path cannot be read."""
        self._trial, self._store, self._path = trial, store, path
        task = next(iter(trial.plans.values())).task.task
        self._metadata = load_metadata(path, task)
        self._pending = list(trial.plans)
        self._keys: dict[tuple[str, int], list[bytes]] = {}
        self.scored: dict[str, Scored] = {}

    def score_answered(self) -> None:
        """Score the templates whose last answer has come in since the last call."""
        answered: list[str] = []
        for name in self._pending:
            stored = self._store.has(self._keys_of(name), self._trial.run.settings.max_tokens)
            if all(stored):
                answered.append(name)
            elif not any(stored):
                break  # they are asked in this order: nor will those behind it be complete
        for name in answered:
            self._pending.remove(name)
            self._score(self._trial.plans[name])

    def score_rest(self, tell: Callable[[int], None]) -> None:
        """Score what is left, with the answers there are; tell: called with how many are scored."""
        while self._pending:
            self._score(self._trial.plans[self._pending.pop(0)])
            tell(len(self.scored))

    def score_rows(self, names: Sequence[str], rows: int) -> dict[str, Correct]:
        """Score templates on their first rows; which of these were right, in order."""
        plans = {name: replace(self._trial.plans[name], samples=rows) for name in names}
        return {name: self._score(plan).correct_rows(plan) for name, plan in plans.items()}

    def on_common_rows(self, scored: list[Scored]) -> tuple[list[Scored], set[str], list[str]]:
        """The scores on the rows that all were asked; the templates that were asked too few of them
        to be ranked; and what is to be said of both."""
        rows, names = compared(scored)
        apart = {each.template for each in scored} - names
        remarks = [
            f"template {each.template} was asked {len(each.asked & rows):,} of the {len(rows):,} "
            "rows that the others were, so it is not ranked; --test-size draws the same for all"
            for each in scored
            if each.template in apart
        ]
        if all(each.asked == rows for each in scored if each.template in names):
            return scored, apart, remarks
        most = max(len(each.asked) for each in scored)
        remarks.append(
            f"not all templates were asked the same rows: {len(names)} are ranked on the "
            f"{len(rows):,} that they have in common, of {most:,} that one was asked"
        )
        found = {each.template: each for each in scored}
        with self._store.reading() as stored:
            for name in names:
                plan = self._trial.plans[name]
                rules, tariff = self._trial.rules, self._trial.tariff
                found[name] = score_template(plan, stored, rules, tariff, rows)
        return list(found.values()), apart, remarks

    def _keys_of(self, name: str) -> list[bytes]:
        plan = self._trial.plans[name]
        # Where the teacher refuses a format, the plan's requests are others from then on.
        known = name, len(plan.refused_formats)
        if known not in self._keys:
            self._keys[known] = [row.label.key for row in plan.rows()]
        return self._keys[known]

    def _score(self, plan: Plan) -> Scored:
        trial = self._trial
        with self._store.reading() as stored:
            scored = score_template(plan, stored, trial.rules, trial.tariff)
        self.scored[scored.template] = scored
        if scored.correct:
            result = TemplateResult(
                setting=trial.setting,
                reader_version=trial.rules.readers.version,
                data=plan.source.digest,
                templates={scored.template: scored.score},
            )
            self._metadata = self._metadata.with_scores(result)
            save_metadata(self._path, self._metadata)
        return scored


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One experiment under way, over an open store."""

    config: RunSettings
    trial: Trial
    store: ResponseStore
    score_book: ScoreBook
    console: ConsoleOutput
    spending: Spending  # where the store remembers what is asked
    progress: list[Progress] = field(default_factory=list[Progress])  # of each time that we ask
    asked_rows: dict[str, int] = field(default_factory=dict[str, int])  # by template, in a race

    def ask_all(self) -> None:
        """Ask every template every row."""
        every_row = [Unanswered(plan=plan) for plan in self.trial.plans.values()]
        self._ask(every_row, self.score_book.score_answered)
        tell = self.console.progress_line("templates scored", total=len(self.trial.plans))
        self.score_book.score_rest(tell)

    def ask_wave(self, names: Sequence[str], rows: int) -> dict[str, Correct]:
        """Ask some templates up to their first n rows, for a race."""
        self.console.say(f"{len(names)} templates, {rows} of {self.trial.n_rows} rows")
        plans = {name: replace(self.trial.plans[name], samples=rows) for name in names}
        starts = {name: self.asked_rows.get(name, 0) for name in names}
        new_rows = [Unanswered(plan=plan, start=starts[name]) for name, plan in plans.items()]
        self._ask(new_rows, lambda: None)  # scored when the wave is over
        self.asked_rows |= dict.fromkeys(names, rows)
        return self.score_book.score_rows(names, rows)

    def _ask(self, unanswered: list[Unanswered], score: Callable[[], None]) -> None:
        if self.config.offline:
            return
        self.progress.append(Progress())
        self.spending.count(self.progress[-1])
        uvloop.run(self._ask_and_score(unanswered, score))

    async def _ask_and_score(self, unanswered: list[Unanswered], score: Callable[[], None]) -> None:
        # Half of all imports: only where somebody is asked.
        from stepdistill.annotator.run.ask import ask

        async def keep_scoring() -> None:
            while True:
                await asyncio.sleep(_SCORE_EVERY_S)
                score()

        scoring = asyncio.create_task(keep_scoring())
        try:
            run = replace(self.trial.run, settings=self.config)
            await ask(run, unanswered, self.store, self.console, self.progress[-1])
        finally:  # however it ends, what has come in is scored
            scoring.cancel()
            score()


def run_experiment(
    config: RunSettings,
    trial: Trial,
    metadata: Path,
    console: ConsoleOutput,
    rules: RaceRules | None = None,
) -> Report:
    """Ask, score and rank; rules make it a race. Raises DistillError; answers are stored."""
    name = name_of(trial.plans.values())
    spender = Spender(plan=name, config=config, tariff=trial.tariff, kind="experiment")
    with (
        ResponseStore.open(config.store, write=not config.offline) as store,
        noted(store, spender) as spending,
    ):
        recall_formats(store, trial.plans.values())
        spending.tries(trial.study)
        experiment = Experiment(
            config=config,
            trial=trial,
            store=store,
            score_book=ScoreBook(trial, store, metadata),
            console=console,
            spending=spending,
        )
        race = None
        if rules is None:
            experiment.ask_all()
        else:
            race = run_race(list(trial.plans), trial.n_rows, rules, experiment.ask_wave)
    return _report(experiment, metadata, race)


def _report(experiment: Experiment, metadata: Path, race: Race | None) -> Report:
    trial, scored = experiment.trial, experiment.score_book.scored
    answered = [each for each in scored.values() if each.correct or each.score.unanswered]
    remarks = list(trial.remarks)
    for each in answered:
        remarks += warnings([trial.plans[each.template]])
    if len(answered) < len(trial.plans):
        remarks.append(f"{len(trial.plans) - len(answered)} templates have no answers in the store")
    task, apart = experiment.config.task, set[str]()
    if race is None:
        answered, apart, more = experiment.score_book.on_common_rows(answered)
        remarks += more
    ranking = rank(answered, race.stopped if race else (), apart)
    return Report(
        task=task,
        setting=trial.setting,
        n_rows=trial.n_rows,
        without_gold=trial.without_gold,
        remarks=[*remarks, *unread_remarks(ranking, task)],
        ranking=ranking,
        metadata=metadata,
        asked=sum(each.asked for each in experiment.progress),
        cached=sum(each.cached for each in experiment.progress),
        spent_usd=total_usd(spent_usd(trial.tariff, each) for each in experiment.progress),
        race=race,
        right_is=trial.right_is,
        error=why_unanswered(experiment.progress),
    )
