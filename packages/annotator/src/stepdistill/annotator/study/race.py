"""A race: templates are asked in waves of rows, and the lesser ones stopped on the way.

Waves halve the field (sequential halving, Karnin et al. 2013), every template on the same rows, so
that easy and hard rows are nobody's luck. When the finalists have been asked everything, it is
reckoned how likely it is that some stopped template would have ended ahead after all
(`study/doubt.py`); the most doubtful are taken up again until that is unlikely enough, or the share
of answers that the race may cost is used up.

Nothing here asks anybody: `ask` is given, so that a race over recorded answers is the same race.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from stepdistill.annotator.study.stop_risk import doubts

# Right or wrong, row by row in the order drawn; a stopped template has fewer rows.
Right = list[bool]
Ask = Callable[[Sequence[str], int], Mapping[str, Right]]
_FEWEST_FINALISTS = 2
# What a template may be behind the best and still be as good a find: a share of the rows.
SLACK = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Until `rows` of all rows are asked; then `keep` of all templates go on."""

    rows: float
    keep: float


WAVES = (
    Wave(rows=0.16, keep=0.5),
    Wave(rows=0.32, keep=0.25),
    Wave(rows=0.56, keep=0.125),
    Wave(rows=1.0, keep=0.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceRules:
    """error: the chance that is accepted of having stopped a template that would have ended more
    than SLACK ahead. share: of all answers, how many it may cost to come down to that chance."""

    error: float = 0.05
    share: float = 0.4


@dataclass(slots=True, kw_only=True)
class Race:
    """How a race ended. right: by template; finalists: those that were asked every row.

    known: templates of earlier races with all their rows, that these have to beat.
    error: the chance that some stopped template would have ended more than the slack ahead.
    """

    n_rows: int
    known: Mapping[str, Right] = field(default_factory=dict[str, Right])
    right: dict[str, Right] = field(default_factory=dict[str, Right])
    error: float = 0.0

    @property
    def finalists(self) -> list[str]:
        """The templates that were asked every row, best first."""
        whole = [name for name, right in self.right.items() if len(right) == self.n_rows]
        return sorted(whole, key=lambda name: -sum(self.right[name]))

    @property
    def stopped(self) -> list[str]:
        """The others."""
        return [name for name, right in self.right.items() if len(right) < self.n_rows]

    @property
    def share(self) -> float:
        """The answers that were asked, among those of a whole experiment."""
        return sum(map(len, self.right.values())) / (self.n_rows * len(self.right))


def run_race(
    templates: Sequence[str],
    n_rows: int,
    rules: RaceRules,
    ask: Ask,
    known: Mapping[str, Right] | None = None,
) -> Race:
    """Race these templates. ask: how they did on the first so many rows."""
    race = Race(n_rows=n_rows, known=known or {})
    alive, rows = list(templates), 0
    for wave in WAVES:
        rows = min(n_rows, max(rows + 1, round(wave.rows * n_rows)))
        race.right |= ask(alive, rows)
        keep = max(_FEWEST_FINALISTS, round(wave.keep * len(templates)))
        alive = sorted(alive, key=lambda name: -sum(race.right[name]))[:keep]
    while True:
        doubt = doubts({**race.known, **race.right}, n_rows, int(SLACK * n_rows + 1e-9))
        race.error = _any(doubt.values())
        again = _worth_asking(race, doubt, rules)
        if not again:
            return race
        race.right |= ask(again, n_rows)


def _worth_asking(race: Race, doubt: Mapping[str, float], rules: RaceRules) -> list[str]:
    """The most doubtful of the stopped templates, as many as bring the error down, or as may be."""
    left = dict(sorted(doubt.items(), key=lambda pair: -pair[1]))
    cost, may_cost = race.share, rules.share
    chosen: list[str] = []
    while left and _any(left.values()) > rules.error:
        name = next(iter(left))
        cost += (race.n_rows - len(race.right[name])) / (race.n_rows * len(race.right))
        if cost > may_cost:
            break
        chosen.append(name)
        del left[name]
    return chosen


def _any(chances: Iterable[float]) -> float:
    """The chance that any of these happens."""
    return 1 - prod(1 - chance for chance in chances)
