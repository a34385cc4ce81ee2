"""A race of contenders that have prices: asked in waves of rows, and left out once of no use.

After each wave those are left out that are almost surely no more accurate than another that costs
no more. Who is left out is decided anew each time, by all that is known then: one that was left out
comes back where the others turn out worse than they looked. The race ends when it is clear enough
what to buy, when all rows are asked, or when the share of the whole cost that it may take is spent.
In any case it is stated how likely it is that what was left out belonged to the efficient frontier,
and that another purchase would be right (`draws.py`).

Nothing here asks anybody: `ask` is given, so a race over answers of the store is the same race.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stepdistill.annotator.study.tournament.draws import (
    BuyRule,
    Flags,
    Floats,
    RowResults,
    accuracies,
    left_out_risk,
    no_dearer,
)

# (contenders, n) -> what came of the first n rows of each; one whose teacher fails is missing.
Ask = Callable[[Sequence[str], int], Mapping[str, RowResults]]
# Of all rows, the share asked by the end of a wave: twice as many each time.
_WAVES = (0.06, 0.12, 0.25, 0.5, 1.0)
_TINY = 1e-12  # USD: what is free is not dropped for what it saves
_FIRST_ROWS = 16  # fewer tell nothing
_NEARLY = 0.99  # of the share: what answers cost is known once they are there
_LEAST_MORE = 0.1  # a wave of fewer new rows than this share of the old ones decides nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TournamentRules:
    """What is bought, how sure that has to be, and how much it may cost to find out."""

    buy: BuyRule = field(default_factory=BuyRule)
    error: float = 0.05  # accepted chance that another purchase would have been right
    share: float = 0.4  # of what it would cost to ask everybody everything
    seed: int = 0
    all_rows: bool = False  # ask everybody everything


@dataclass(slots=True, kw_only=True)
class Elimination:
    """How a race stands, and how it ended."""

    n_rows: int
    rules: TournamentRules
    running: list[str]  # contenders that are asked on, as they were named
    results: dict[str, RowResults] = field(default_factory=dict[str, RowResults])
    buy: str = ""  # the contender to buy; empty before the first wave
    doubt: float = 1.0  # chance that another purchase would be right, looks counted
    is_settled: bool = False  # whether it ended as the doubt was small enough
    left_out_risk: float = 0.0  # chance that a left out one belonged to the efficient frontier
    draws: Floats = field(default_factory=lambda: np.empty((0, 0)))  # accuracies, as results

    def run(self, ask: Ask) -> None:
        """Ask wave by wave. What was found by then stands here, whatever `ask` raises."""
        waves = self._waves()
        for rows in waves:
            affordable = self._affordable(rows)
            if affordable < self.rows * (1 + _LEAST_MORE) and affordable < self.n_rows:
                return
            asked = [*self.running]
            found = ask(asked, affordable)
            gone = set(asked) - found.keys()
            self.results = {
                name: each for name, each in {**self.results, **found}.items() if name not in gone
            }
            if not self.results:
                return
            self._judge()
            # Who looks several times, and stops once it looks well, errs in any of these: the
            # chances are added up.
            is_clear = self.doubt * len(waves) <= self.rules.error >= self.left_out_risk
            if affordable < self.n_rows and is_clear:
                self.doubt, self.is_settled = self.doubt * len(waves), True
                return
            self.is_settled = self.doubt <= self.rules.error

    @property
    def left_out(self) -> list[str]:
        """The contenders that were asked fewer rows than others, as they were named."""
        return [name for name, each in self.results.items() if each.rows < self.rows]

    @property
    def share(self) -> float:
        """What the race asked, of what asking everybody everything would cost: in US dollars, or
        in answers where some price is not known, or there is none."""
        weights = self._weights()
        whole = self.n_rows * sum(weights.values())
        return sum(weights[name] * each.rows for name, each in self.results.items()) / whole

    @property
    def rows(self) -> int:
        """How many the most asked ones were asked."""
        return max((each.rows for each in self.results.values()), default=0)

    def _waves(self) -> list[int]:
        if self.rules.all_rows:
            return [self.n_rows]
        least = min(_FIRST_ROWS, self.n_rows)
        return sorted({max(least, round(share * self.n_rows)) for share in _WAVES})

    def _weights(self) -> dict[str, float]:
        """What a row of each contender costs."""
        costs = {name: each.mean_usd for name, each in self.results.items()}
        known = {name: usd for name, usd in costs.items() if usd is not None}
        return (
            known if len(known) == len(costs) and any(known.values()) else dict.fromkeys(costs, 1)
        )

    def _affordable(self, rows: int) -> int:
        """As many rows as may be asked of those that run, rows at most."""
        if not self.results or self.rules.all_rows:
            return rows
        weights = self._weights()
        allowed = _NEARLY * self.rules.share * self.n_rows * sum(weights.values())
        spent = sum(
            weights[name] * each.rows
            for name, each in self.results.items()
            if name not in self.running
        )
        a_row = sum(weights[each] for each in self.running)
        return min(rows, int((allowed - spent) / a_row + 1e-9)) if a_row else rows

    def _judge(self) -> None:
        names, each = list(self.results), list(self.results.values())
        rule = self.rules.buy
        self.draws = accuracies(each, self.rules.seed)
        cheaper = no_dearer(each)
        kept = np.ones(len(each), dtype=np.bool_)
        if not self.rules.all_rows:
            kept = self._kept(cheaper)
        self.running = [name for name, is_kept in zip(names, kept, strict=True) if is_kept]
        whole = np.array([one.rows == self.rows for one in each])
        self.left_out_risk = left_out_risk(self.draws, cheaper, whole, rule.slack)
        # What comes back is not bought before it has caught up.
        kept = kept & whole if (kept & whole).any() else whole
        usd = np.array([np.inf if one.mean_usd is None else one.mean_usd for one in each])
        good = np.where(kept, rule.good(self.draws, usd).mean(axis=0), -1)
        # Of those that are as good the one that the means speak for: not whoever comes first.
        means = np.where(kept, self.draws.mean(axis=0), -np.inf)
        place = rule.choice(means, usd)
        if good[place] < good.max() - self.rules.error / 2:
            place = int(good.argmax())
        self.buy, self.doubt = names[place], 1 - float(good[place])

    def _kept(self, cheaper: Flags) -> Flags:
        """Who is to be asked on: without those that save most, as risk allows."""
        accuracy, slack, risk = self.draws, self.rules.buy.slack, self.rules.error / 2
        weights, n = list(self._weights().values()), accuracy.shape[1]
        kept = np.ones(n, dtype=np.bool_)
        all_but = ~np.eye(n, dtype=np.bool_)
        alone = [left_out_risk(accuracy, cheaper, all_but[one], slack) for one in range(n)]
        means = accuracy.mean(axis=0)

        def worth_dropping(one: int) -> tuple[float, float]:
            return alone[one] / max(weights[one], _TINY), means[one]

        for one in sorted(range(n), key=worth_dropping):
            if alone[one] > risk:
                continue
            kept[one] = False
            if not kept.any() or left_out_risk(accuracy, cheaper, kept, slack) > risk:
                kept[one] = True
        return kept
