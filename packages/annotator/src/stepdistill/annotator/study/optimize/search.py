"""A prompt search: a model proposes templates, rows decide, the best are shown to it again (OPRO).

    meta-prompt -> proposals -> filter -> candidate pool -> meta-prompt ...

All of it follows from the seed and the store, so a search that was killed is replayed, without
anybody being asked, up to where it stopped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.run.run_notes import Study
from stepdistill.annotator.study.optimize.candidate_pool import Asker, CandidatePool
from stepdistill.annotator.study.optimize.history import HistoryLine, write_history
from stepdistill.annotator.study.optimize.prepare import Prepared
from stepdistill.annotator.study.optimize.proposal import (
    ProposalFilter,
    ProposalRequests,
    RefusedProposal,
)
from stepdistill.annotator.study.optimize.report import Confirmation, Pair
from stepdistill.annotator.study.score import Scored

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
