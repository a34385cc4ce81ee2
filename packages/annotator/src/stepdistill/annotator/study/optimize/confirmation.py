"""Whether a winner is better, by rows that the search has never asked.

A search takes the luckiest of many: on the rows that it searched by, its winner looks better than
it is. On rows that had no say in the choice it is as good as it is, but for their number.
"""

from dataclasses import dataclass

from stepdistill.annotator.study.score_template import Scored
from stepdistill.annotator.study.statistics import mcnemar, paired_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The winner and the best template of the start, on the same rows."""

    winner: Scored
    start: Scored

    @property
    def gain(self) -> float:
        """The winner's accuracy less the other's, on the rows that both answered."""
        _, only_winner, only_start, _ = self._table
        return (only_winner - only_start) / self.n_rows if self.n_rows else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The gain's 95 % interval."""
        return paired_interval(*self._table)

    @property
    def p(self) -> float:
        """McNemar's exact p-value that both are equally good."""
        _, only_winner, only_start, _ = self._table
        return mcnemar(only_winner, only_start)

    @property
    def n_rows(self) -> int:
        """Rows that both answered."""
        return sum(self._table)

    @property
    def _table(self) -> tuple[int, int, int, int]:
        """Both right, the winner alone, the start alone, neither."""
        one, other = self.winner.right, self.start.right
        rows = one.keys() & other.keys()
        both = sum(one[row] and other[row] for row in rows)
        only_one = sum(one[row] and not other[row] for row in rows)
        only_other = sum(other[row] and not one[row] for row in rows)
        return both, only_one, only_other, len(rows) - both - only_one - only_other


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The same pair on the rows of the search, and on rows held out from it."""

    searched: Pair
    held_out: Pair

    @property
    def confirmed(self) -> bool:
        """Whether the gain on the held-out rows is above zero by its interval."""
        return self.held_out.interval[0] > 0

    @property
    def bias(self) -> float:
        """By how much the winner's accuracy in the search is above that on held-out rows."""
        return self.searched.winner.score.accuracy - self.held_out.winner.score.accuracy

    @property
    def gain_bias(self) -> float:
        """By how much the search's own gain is above the confirmed one."""
        return self.searched.gain - self.held_out.gain
