"""Asking one model during a search: what the store lacks, and nothing twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.money.bill import Bill, spent_usd
from stepdistill.annotator.money.spending import Spending
from stepdistill.annotator.money.tariff import Tariff
from stepdistill.annotator.plan.plan import Plan, RequestSource
from stepdistill.annotator.reading.readers import VERDICT, make_readers
from stepdistill.annotator.run.planning import make_tariff
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.score import Scored, score_template
from stepdistill.annotator.teacher.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchContext:
    """What all who ask in a search share. spending: where the store remembers what was asked.

    rehearsed: who answers where a model is the embedded simulator.
    """

    store: ResponseStore
    screen: ConsoleOutput
    spending: Spending
    rehearsed: AnswerSource


@dataclass(slots=True, kw_only=True)
class Asker:
    """config: of the model, its ceiling and limits.

    progress: of what this run asked. bill: of all answers that the search has used, whoever paid.
    """

    config: RunSettings
    tariff: Tariff
    desk: SearchContext
    bill: Bill
    progress: list[Progress] = field(default_factory=list[Progress])

    @classmethod
    def of(cls, config: RunSettings, desk: SearchContext) -> Self:
        """Who asks the model of these settings."""
        tariff = make_tariff(config)
        return cls(config=config, tariff=tariff, desk=desk, bill=Bill(tariff=tariff))

    def ask(self, questions: Sequence[RequestSource]) -> None:
        """Settle these. Raises RunStopped, StoreError, Interrupted; answers are stored."""
        keys = [request.key for each in questions for request in each.requests()]
        desk, progress = self.desk, Progress()
        self.progress.append(progress)
        desk.spending.count(progress, self.tariff)
        if all(desk.store.has(keys)):
            progress.cached = len(keys)
            return
        from stepdistill.annotator.run.ask import (
            ask,  # half of all imports: only where somebody is asked
        )

        uvloop.run(
            ask(self.config, questions, desk.store, desk.screen, progress, lambda _: desk.rehearsed)
        )

    def texts(self, questions: RequestSource) -> list[str | None]:
        """The answers in order, None where there is none."""
        with self.desk.store.reading() as stored:
            answers = [stored.answer(request.key) for request in questions.requests()]
        for answer in answers:
            if answer is not None:
                self.bill.add(answer)
        return [None if answer is None else answer.text for answer in answers]

    def score(self, plan: Plan) -> Scored:
        """How the one template of a plan did on its rows."""
        readers = make_readers(VERDICT, plan.task.label, plan.templates)
        with self.desk.store.reading() as stored:
            return score_template(plan, stored, readers, self.tariff)

    @property
    def spent_usd(self) -> float | None:
        """What this run's own answers cost; None where no price is known."""
        spent = [spent_usd(self.tariff, each) for each in self.progress]
        return None if None in spent else sum(each or 0.0 for each in spent)
