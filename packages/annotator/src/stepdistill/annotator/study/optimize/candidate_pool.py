"""Asking models during a search, and the pool of templates that race on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.money.bill import Bill, spent_usd
from stepdistill.annotator.plan.plan import Plan, RequestSource, Unanswered
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.readers import VERDICT, make_readers
from stepdistill.annotator.run.planning import prepare_run
from stepdistill.annotator.run.run_notes import Spending
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.race import Correct, RaceRules, run_race
from stepdistill.annotator.study.score import Scored, score_template, total_usd
from stepdistill.annotator.study.stop_risk import expected_shares
from stepdistill.annotator.teacher.progress import Progress


@dataclass(frozen=True, slots=True)
class SearchContext:
    """What all who ask in a search share."""

    store: ResponseStore
    console: ConsoleOutput
    spending: Spending  # where the store remembers what is asked
    simulated: AnswerSource  # who answers where a model is the embedded simulator


class Asker:
    """Asks the model of these settings, under their ceiling and limits."""

    def __init__(self, config: RunSettings, context: SearchContext) -> None:
        self.context = context
        self.progress: list[Progress] = []  # of each time that we ask
        self._run = prepare_run(config)
        # Of all texts that the search has used, whichever run paid for them.
        self.bill = Bill(tariff=self._run.tariff)

    def ask(self, sources: Sequence[RequestSource]) -> None:
        """Settle these. Raises RunStopped, StoreError, Interrupted; answers are stored."""
        keys = [request.key for each in sources for request in each.requests()]
        context, progress = self.context, Progress()
        self.progress.append(progress)
        context.spending.count(progress, self._run.tariff)
        if all(context.store.has(keys)):  # a replay: no server, no connection
            progress.cached = len(keys)
            return
        # Half of all imports: only where somebody is asked.
        from stepdistill.annotator.run.ask import ask

        store, console, simulated = context.store, context.console, context.simulated
        uvloop.run(ask(self._run, sources, store, console, progress, lambda _: simulated))

    def texts(self, source: RequestSource) -> list[str | None]:
        """The answers in order, None where there is none."""
        with self.context.store.reading() as stored:
            answers = [stored.answer(request.key) for request in source.requests()]
        for answer in answers:
            if answer is not None:
                self.bill.add(answer)
        return [None if answer is None else answer.text for answer in answers]

    def score(self, plan: Plan) -> Scored:
        """How the one template of a plan did on its rows."""
        readers = make_readers(VERDICT, plan.task.label, plan.templates)
        with self.context.store.reading() as stored:
            return score_template(plan, stored, readers, self._run.tariff)

    @property
    def spent_usd(self) -> float | None:
        """What this run's own answers cost; None where no price is known."""
        return total_usd(spent_usd(self._run.tariff, each) for each in self.progress)


@dataclass(slots=True, kw_only=True)
class CandidatePool:
    """Rows in order, and how every template did on them."""

    plan: Plan  # whom the rows go to
    rows: Source
    n_rows: int
    rules: RaceRules | None  # None: ask every template every row
    asker: Asker
    # By template id:
    templates: dict[str, Template] = field(default_factory=dict[str, Template])
    correct: dict[str, Correct] = field(default_factory=dict[str, Correct])
    scored: dict[str, Scored] = field(default_factory=dict[str, Scored])

    def add(self, templates: Sequence[Template]) -> None:
        """Ask and score these, too. Raises RunStopped, StoreError, Interrupted."""
        if not templates:
            return
        self.templates |= {each.id: each for each in templates}
        names = [each.id for each in templates]
        if self.rules is None:
            self._ask(names, self.n_rows)
        else:
            run_race(names, self.n_rows, self.rules, self._ask, self._whole())

    @property
    def best(self) -> str:
        """The best of the templates that were asked every row: the cheapest of equals."""
        return min(self._whole(), key=self._best_first)

    def whole(self) -> list[Scored]:
        """The templates that were asked every row."""
        return [self.scored[name] for name in self._whole()]

    def expected(self) -> dict[str, float]:
        """What share of the rows each template is expected to get right, the best first."""
        shares = expected_shares(self.correct, self.n_rows)
        return dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))

    def _whole(self) -> dict[str, Correct]:
        return {name: each for name, each in self.correct.items() if len(each) == self.n_rows}

    def _best_first(self, name: str) -> tuple[int, float, str]:
        return -sum(self.correct[name]), self.scored[name].score.cost_per_row_usd or 0.0, name

    def _ask(self, names: Sequence[str], rows: int) -> dict[str, Correct]:
        plans = {name: self._plan(name, rows) for name in names}
        n_asked = {name: len(self.correct.get(name, ())) for name in names}
        self.asker.ask([Unanswered(plan=plans[name], start=n_asked[name]) for name in names])
        for name, plan in plans.items():
            self.scored[name] = self.asker.score(plan)
            self.correct[name] = self.scored[name].correct_rows(plan)
        return {name: self.correct[name] for name in names}

    def _plan(self, name: str, rows: int) -> Plan:
        """The first rows, asked with one template."""
        template = {name: self.templates[name]}
        return replace(
            self.plan, source=self.rows, samples=rows, mix=single(name), templates=template
        )
