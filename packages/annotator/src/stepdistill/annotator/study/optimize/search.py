"""A prompt search: a model proposes templates, rows decide, the best are shown to it again (OPRO).

    meta-prompt -> proposals -> gatekeeper -> arena -> meta-prompt ...

All of it follows from the seed and the store, so a search that was killed is played again, without
anybody being asked, up to where it stopped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepdistill.annotator.money.run_notes import Study
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.study.optimize.asker import Asker
from stepdistill.annotator.study.optimize.candidate_pool import CandidatePool
from stepdistill.annotator.study.optimize.confirmation import Confirmation, Pair
from stepdistill.annotator.study.optimize.history import HistoryLine, State, write_history
from stepdistill.annotator.study.optimize.meta_prompt import MetaPrompt, Tried
from stepdistill.annotator.study.optimize.proposal_filter import ProposalFilter, RefusedProposal
from stepdistill.annotator.study.optimize.proposer import ProposalRequests
from stepdistill.annotator.study.optimize.search_rows import SearchRows
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.study.score import Scored

_Proposal = Template | RefusedProposal


@dataclass(slots=True, kw_only=True)
class Search:
    """One search under way. optimizer: the plan that its questions go by.

    proposing, confirming: who asks for templates, and who in the end.
    start: the templates to begin with. lines: the history so far.
    """

    settings: SearchSettings
    start: tuple[Template, ...]
    ground: SearchRows
    arena: CandidatePool
    meta_prompt: MetaPrompt
    optimizer: Plan
    proposing: Asker
    confirming: Asker
    gatekeeper: ProposalFilter
    history: Path
    lines: list[HistoryLine] = field(default_factory=list[HistoryLine])
    iterations: int = 0
    held_out: CandidatePool | None = None

    def begin(self) -> None:
        """Try the templates of the start. Raises RunStopped, StoreError, Interrupted."""
        self._enter(self.start)
        self._note(0, self.start)

    def iterate(self) -> None:
        """One iteration more. Raises RunStopped, StoreError, Interrupted; answers are stored."""
        number = self.iterations + 1
        proposals = list(self._proposed(number))
        self._enter([each for each in proposals if isinstance(each, Template)])
        self._note(number, proposals)
        self.iterations = number

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do, or nothing more to see: no row is wrong any more."""
        return self.iterations >= self.settings.iterations or all(self.arena.right[self.winner])

    @property
    def winner(self) -> str:
        """The best template that was asked every row."""
        best = self.arena.best
        assert best is not None, "known as soon as the start has been tried"
        return best

    @property
    def best_of_start(self) -> str:
        """The best of the templates of the start."""
        at_first = next(line.best for line in self.lines if line.iteration == 0)
        assert at_first is not None
        return at_first

    def confirm(self) -> Confirmation:
        """Ask winner and start the held-out rows. Raises RunStopped, StoreError, Interrupted."""
        winner, start = self.winner, self.best_of_start
        self.held_out = CandidatePool(
            plan=self.arena.plan,
            rows=self.ground.held_out,
            n_rows=self.ground.n_held_out,
            rules=None,
            asker=self.confirming,
        )
        templates = tuple(self.arena.templates[name] for name in (winner, start))
        self._remember(self.n_rows, templates)
        self.held_out.enter(templates)
        searched, held_out = (
            Pair(winner=each.scored[winner], start=each.scored[start])
            for each in (self.arena, self.held_out)
        )
        return Confirmation(searched=searched, held_out=held_out)

    def all_scored(self) -> list[Scored]:
        """Every template's answers, on whichever rows."""
        held_out = self.held_out.scored if self.held_out else {}
        return [*self.arena.scored.values(), *held_out.values()]

    def _enter(self, templates: Sequence[Template]) -> None:
        self._remember(self.arena.n_rows, tuple(templates))
        self.arena.enter(templates)

    def _remember(self, n_rows: int, templates: tuple[Template, ...]) -> None:
        """Let the store know what is going to be asked on the first n rows, for its report."""
        if templates:
            split, seed = self.arena.plan.split, self.settings.seed
            study = Study(split=split, test_size=n_rows, seed=seed, templates=templates)
            self.proposing.desk.spending.tries(study)

    @property
    def n_rows(self) -> int:
        """All rows of the search."""
        return self.ground.n_searched + len(self.ground.problems) + self.ground.n_held_out

    def _proposed(self, iteration: int) -> Iterator[_Proposal]:
        """What becomes of each candidate of an iteration."""
        questions = ProposalRequests(
            plan=self.optimizer,
            meta_prompt=self.meta_prompt.text(self._tried()),
            first=(iteration - 1) * self.settings.candidates,
            n=self.settings.candidates,
            temperature=self.settings.temperature,
        )
        self.proposing.ask([questions])
        like = self.arena.templates[self.best_of_start]
        for answer in self.proposing.texts(questions):
            if answer is None:
                yield RefusedProposal(reason="no_answer", detail="the optimiser did not answer")
            else:
                yield self.gatekeeper.judge(answer, like)

    def _tried(self) -> list[Tried]:
        """The best templates, the best last."""
        best = list(self.arena.expected().items())[: self.settings.keep]
        templates = self.arena.templates
        return [Tried(template=templates[name], score=score) for name, score in reversed(best)]

    def _note(self, iteration: int, proposals: Iterable[_Proposal]) -> None:
        expected = self.arena.expected()
        for candidate, each in enumerate(proposals):
            self.lines.append(self._line(iteration, candidate, each, expected))
        write_history(self.history, self.lines)

    def _line(
        self, iteration: int, candidate: int, each: _Proposal, expected: dict[str, float]
    ) -> HistoryLine:
        best = self.winner
        line = HistoryLine(
            iteration=iteration,
            candidate=candidate,
            state="refused",
            best=best,
            best_score=sum(self.arena.right[best]) / self.arena.n_rows,
        )
        if isinstance(each, RefusedProposal):
            said = {"reason": each.reason, "detail": each.detail, "text": each.text}
            return line.model_copy(update=said)
        right = self.arena.right[each.id]
        state: State = "scored" if len(right) == self.arena.n_rows else "stopped"
        asked = {
            "state": state,
            "template": each.id,
            "rows": len(right),
            "correct": sum(right),
            "expected": round(expected[each.id], 6),
            "text": "\n\n".join(filter(None, (each.system, each.user))),
        }
        return line.model_copy(update=asked)
