"""A race: templates are asked in waves of rows, and the lesser ones are stopped on the way.

Waves halve the field (sequential halving, Karnin et al. 2013), every template on the same rows, so
that easy and hard rows are nobody's luck. When the finalists have been asked everything, it is
estimated how likely it is that some stopped template would have ended ahead after all
(`study/stop_risk.py`); those with the highest risk are taken up again until it is low enough, or
the share of answers that the race may cost is used up.

Nothing here asks anybody: `ask` is given, so that a race over recorded answers is the same race.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from stepdistill.annotator.study.stop_risk import stop_risks

# Whether each label is right, row by row in the order drawn; a stopped template has fewer rows.
Correct = list[bool]
# (templates, n) -> how each of them did on the first n rows.
Ask = Callable[[Sequence[str], int], Mapping[str, Correct]]
_MIN_FINALISTS = 2  # with one, nothing would be compared in the end
SLACK = 0.02  # share of the rows that a template may be behind the best and be as good a find


# Of all rows, the share asked by the end of a wave; of all templates, the share that goes on.
_WAVES = ((0.16, 0.5), (0.32, 0.25), (0.56, 0.125), (1.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceRules:
    """How sure a race has to be, and how much that may cost."""

    error: float = 0.05  # accepted chance that a stopped one would have ended over SLACK ahead
    share: float = 0.4  # of all answers, how many may be asked to come down to that chance


@dataclass(slots=True, kw_only=True)
class Race:
    """How a race ended."""

    n_rows: int
    correct: dict[str, Correct] = field(default_factory=dict[str, Correct])  # by template
    error: float = 0.0  # chance that a stopped one would have ended over SLACK ahead, 0 to 1

    @property
    def finalists(self) -> list[str]:
        """The templates that were asked every row, best first."""
        whole = [name for name, each in self.correct.items() if len(each) == self.n_rows]
        return sorted(whole, key=lambda name: -sum(self.correct[name]))

    @property
    def stopped(self) -> list[str]:
        """The others."""
        return [name for name, each in self.correct.items() if len(each) < self.n_rows]

    @property
    def share(self) -> float:
        """The answers that were asked, among those of a whole experiment."""
        return sum(map(len, self.correct.values())) / (self.n_rows * len(self.correct))


def run_race(
    templates: Sequence[str],
    n_rows: int,
    rules: RaceRules,
    ask: Ask,
    known: Mapping[str, Correct] | None = None,
) -> Race:
    """Race templates over n_rows rows; known: others that were asked all of them, to be beaten."""
    race = Race(n_rows=n_rows)
    running, rows = list(templates), 0
    for rows_share, keep_share in _WAVES:
        # One row more at least: with few rows the shares of two waves round to the same number.
        rows = min(n_rows, max(rows + 1, round(rows_share * n_rows)))
        race.correct |= ask(running, rows)
        keep = max(_MIN_FINALISTS, round(keep_share * len(templates)))
        running = sorted(running, key=lambda name: -sum(race.correct[name]))[:keep]
    while True:
        # 1e-9: a product such as 0.02 * 50 may lie just below the whole number that it is.
        slack_rows = int(SLACK * n_rows + 1e-9)
        risks = stop_risks({**(known or {}), **race.correct}, n_rows, slack_rows)
        race.error = _any_of(risks.values())
        resumed = _to_resume(race, risks, rules)
        if not resumed:
            return race
        race.correct |= ask(resumed, n_rows)


def _to_resume(race: Race, risks: Mapping[str, float], rules: RaceRules) -> list[str]:
    """The stopped templates of the highest risk: as many as bring the error down, or as may be."""
    left = dict(sorted(risks.items(), key=lambda pair: -pair[1]))
    share, chosen = race.share, list[str]()
    while left and _any_of(left.values()) > rules.error:
        name = next(iter(left))
        share += (race.n_rows - len(race.correct[name])) / (race.n_rows * len(race.correct))
        if share > rules.share:
            break
        chosen.append(name)
        del left[name]
    return chosen


def _any_of(chances: Iterable[float]) -> float:
    """The chance that any of these happens."""
    return 1 - prod(1 - chance for chance in chances)
