"""Whether a winner is better, by rows that the search has never asked.

A search takes the luckiest of many: on the rows that it searched by, its winner looks better than
it is. On rows that had no say in the choice it is as good as it is, but for their number.
"""

from dataclasses import dataclass

from stepdistill.annotator.study.score import Scored
from stepdistill.annotator.study.statistics import PairedComparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The winner and the best template of the start, on the same rows."""

    winner: Scored
    start: Scored

    @property
    def gain(self) -> PairedComparison:
        """The winner against the other, on the rows that both answered."""
        return PairedComparison.of(self.winner.correct, self.start.correct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The same pair on the rows of the search, and on rows held out from it."""

    searched: Pair
    held_out: Pair

    @property
    def confirmed(self) -> bool:
        """Whether the gain on the held-out rows is above zero by its interval."""
        return self.held_out.gain.interval[0] > 0

    @property
    def bias(self) -> float:
        """By how much the winner's accuracy in the search is above that on held-out rows."""
        return self.searched.winner.score.accuracy - self.held_out.winner.score.accuracy

    @property
    def gain_bias(self) -> float:
        """By how much the search's own gain is above the confirmed one."""
        return self.searched.gain.difference - self.held_out.gain.difference
