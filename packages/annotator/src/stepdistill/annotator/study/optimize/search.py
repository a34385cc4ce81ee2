"""A prompt search: a model proposes templates, rows decide, the best are shown to it again (OPRO).

    meta-prompt -> proposals -> filter -> candidate pool -> meta-prompt ...

All of it follows from the seed and the store, so a search that was killed is replayed, without
anybody being asked, up to where it stopped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.errors import RowsUnanswered
from stepdistill.annotator.money.bill import Bill, spent_usd
from stepdistill.annotator.plan.plan import Plan, RequestSource, Unanswered
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.planning import prepare_run
from stepdistill.annotator.run.run_notes import Spending, Study
from stepdistill.annotator.run.unread import why_unanswered
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.optimize.history import HistoryLine, write_history
from stepdistill.annotator.study.optimize.prepare import Prepared
from stepdistill.annotator.study.optimize.proposal import (
    ProposalFilter,
    ProposalRequests,
    RefusedProposal,
)
from stepdistill.annotator.study.optimize.report import Confirmation, Pair
from stepdistill.annotator.study.race import Correct, RaceRules, expected_shares, run_race
from stepdistill.annotator.study.score import Scored, score_template, total_usd
from stepdistill.annotator.teacher.progress import Progress


@dataclass(frozen=True, slots=True)
class SearchContext:
    """What all who ask in a search share."""

    store: ResponseStore
    console: ConsoleOutput
    spending: Spending  # where the store remembers what is asked
    simulated: AnswerSource  # who answers where a model is the embedded simulator


class Asker:
    """One model of a search, asked under the ceiling and limits of its settings."""

    def __init__(self, config: RunSettings, context: SearchContext) -> None:
        self.context = context
        self.progress: list[Progress] = []  # of each time that we ask
        self._run = prepare_run(config)
        # Of all texts that the search has used, whichever run paid for them.
        self.bill = Bill(tariff=self._run.tariff)

    def ask(self, sources: Sequence[RequestSource]) -> None:
        """Settle these. Raises RunStopped, StoreError, Interrupted, RowsUnanswered: a template is
        not to be judged by what the teacher did not get to; answers are stored."""
        keys = [request.key for each in sources for request in each.requests()]
        context, progress = self.context, Progress()
        self.progress.append(progress)
        context.spending.count(progress, self._run.tariff)
        # A replay: no server, no connection.
        if all(context.store.has(keys, self._run.settings.max_tokens)):
            progress.cached = len(keys)
            return
        # Half of all imports: only where somebody is asked.
        from stepdistill.annotator.run.ask import ask

        store, console, simulated = context.store, context.console, context.simulated
        uvloop.run(ask(self._run, sources, store, console, progress, lambda _: simulated))
        error = why_unanswered([progress])
        if isinstance(error, RowsUnanswered):
            raise error

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
        rules = make_rules(plan, self._run.settings.shards)
        with self.context.store.reading() as stored:
            return score_template(plan, stored, rules, self._run.tariff)

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


_Proposal = Template | RefusedProposal


@dataclass(slots=True, kw_only=True)
class Search:
    """One search under way."""

    prepared: Prepared
    pool: CandidatePool  # on the rows searched by
    optimizer: Asker  # asks for templates
    confirmer: Asker  # asks the held-out rows, under the whole ceiling
    proposal_filter: ProposalFilter
    history: Path
    lines: list[HistoryLine] = field(default_factory=list[HistoryLine])  # of the history so far
    iterations: int = 0  # that are finished
    best_of_start: str = ""  # the best template of the start, once they have been tried
    held_out: CandidatePool | None = None  # None: the winner has not been confirmed

    def begin(self) -> None:
        """Try the templates of the start. Raises RunStopped, StoreError, Interrupted."""
        self._try(self.prepared.start)
        self.best_of_start = self.winner
        self._note(0, self.prepared.start)

    def iterate(self) -> None:
        """One iteration more. Raises RunStopped, StoreError, Interrupted; answers are stored."""
        number = self.iterations + 1
        proposals = list(self._proposals(number))
        self._try([each for each in proposals if isinstance(each, Template)])
        self._note(number, proposals)
        self.iterations = number

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do, or nothing more to see: no row is wrong any more."""
        n = self.prepared.settings.iterations
        return self.iterations >= n or all(self.pool.correct[self.winner])

    @property
    def winner(self) -> str:
        """The best template that was asked every row, once the start has been tried."""
        return self.pool.best

    def confirm(self) -> Confirmation:
        """Ask winner and start the held-out rows. Raises RunStopped, StoreError, Interrupted."""
        winner, start = self.winner, self.best_of_start
        rows = self.prepared.rows
        self.held_out = CandidatePool(
            plan=self.pool.plan,
            rows=rows.held_out,
            n_rows=rows.n_held_out,
            rules=None,  # nobody is stopped: the pair is compared on all rows
            asker=self.confirmer,
        )
        templates = [self.pool.templates[name] for name in (winner, start)]
        self._remember(rows.n, templates)
        self.held_out.add(templates)
        searched, held_out = (
            Pair(winner=pool.scored[winner], start=pool.scored[start])
            for pool in (self.pool, self.held_out)
        )
        return Confirmation(searched=searched, held_out=held_out)

    def all_scored(self) -> list[Scored]:
        """Every template's answers, on whichever rows."""
        held_out = self.held_out.scored if self.held_out else {}
        return [*self.pool.scored.values(), *held_out.values()]

    def _try(self, templates: Sequence[Template]) -> None:
        if templates:
            self._remember(self.pool.n_rows, templates)
            self.pool.add(templates)

    def _remember(self, n_rows: int, templates: Sequence[Template]) -> None:
        """Let the store know what is going to be asked on the first n rows, for its report."""
        study = Study(
            split=self.pool.plan.split,
            test_size=n_rows,
            seed=self.prepared.settings.seed,
            templates=tuple(templates),
        )
        self.optimizer.context.spending.tries(study)

    def _proposals(self, iteration: int) -> Iterator[_Proposal]:
        """What becomes of each candidate of an iteration."""
        settings = self.prepared.settings
        requests = ProposalRequests(
            plan=self.prepared.optimizer_plan,
            meta_prompt=self.prepared.meta_prompt.filled(self._best_last()),
            first=(iteration - 1) * settings.candidates,
            n=settings.candidates,
            temperature=settings.temperature,
        )
        self.optimizer.ask([requests])
        like = self.pool.templates[self.best_of_start]
        for answer in self.optimizer.texts(requests):
            if answer is None:
                yield RefusedProposal(reason="no_answer", detail="the optimiser did not answer")
            else:
                yield self.proposal_filter.check(answer, like)

    def _best_last(self) -> list[tuple[Template, float]]:
        """The templates that the optimiser is shown, with what they are expected to score."""
        best = list(self.pool.expected().items())[: self.prepared.settings.keep]
        # Models heed most what they read last (as in OPRO's own prompts).
        return [(self.pool.templates[name], score) for name, score in reversed(best)]

    def _note(self, iteration: int, proposals: Iterable[_Proposal]) -> None:
        expected = self.pool.expected()
        for candidate, each in enumerate(proposals):
            self.lines.append(self._line(iteration, candidate, each, expected))
        write_history(self.history, self.lines)

    def _line(
        self, iteration: int, candidate: int, each: _Proposal, expected: dict[str, float]
    ) -> HistoryLine:
        best = self.winner
        tried: dict[str, Any]
        if isinstance(each, RefusedProposal):
            tried = {"state": "refused", **asdict(each)}
        else:
            correct = self.pool.correct[each.id]
            tried = {
                "state": "scored" if len(correct) == self.pool.n_rows else "stopped",
                "template": each.id,
                "rows": len(correct),
                "correct": sum(correct),
                "expected": round(expected[each.id], 6),
                "text": "\n\n".join(filter(None, (each.system, each.user))),
            }
        return HistoryLine(
            iteration=iteration,
            candidate=candidate,
            best=best,
            best_score=sum(self.pool.correct[best]) / self.pool.n_rows,
            **tried,
        )
