"""What a search came to: for people, and for programs."""

from dataclasses import dataclass
from pathlib import Path

from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.study.metadata import Setting
from stepdistill.annotator.study.optimize.confirmation import Confirmation
from stepdistill.annotator.study.optimize.history import HistoryLine
from stepdistill.annotator.study.ranking import Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Requests and USD; None where no price is known.

    asked, cached, run_usd: of this run. proposals_usd, answers_usd: of all that the search used,
    whichever run paid for it.
    """

    asked: int
    cached: int
    run_usd: float | None
    proposals_usd: float | None
    answers_usd: float | None

    @property
    def search_usd(self) -> float | None:
        """Of all answers that the search used."""
        if self.proposals_usd is None or self.answers_usd is None:
            return None
        return self.proposals_usd + self.answers_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """A search that has ended, or was stopped by its ceiling.

    setting: of the rows searched by. stopped: why before its last iteration, if so.
    start: the best template that it began with. unconfirmed: why there is no confirmation.
    places: the templates that were asked every row of the search, the best first.
    written: the file that the winner was appended to.
    """

    task: str
    optimizer: str
    setting: Setting
    settings: SearchSettings
    n_searched: int
    n_held_out: int
    iterations: int
    stopped: str | None
    lines: list[HistoryLine]
    places: list[Rank]
    winner: Template
    start: str
    confirmation: Confirmation | None
    unconfirmed: str | None
    spent: Spent
    history: Path
    metadata: Path
    remarks: list[str]
    written: Path | None = None

    @property
    def found_better(self) -> bool:
        """Whether the winner is not the one that the search began with."""
        return self.winner.id != self.start

    def counts(self) -> dict[str, int]:
        """Proposals by what became of them; those refused by the reason."""
        found: dict[str, int] = {}
        for line in self.lines:
            if line.iteration:
                what = line.reason or line.state
                found[what] = found.get(what, 0) + 1
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))
