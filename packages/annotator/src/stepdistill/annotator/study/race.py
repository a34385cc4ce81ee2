"""A race: templates are asked in waves of rows, and the lesser ones are stopped on the way.

Waves halve the field (sequential halving, Karnin et al. 2013), every template on the same rows, so
that easy and hard rows are nobody's luck. When the finalists have been asked everything, it is
estimated how likely it is that some stopped template would have ended ahead after all
(`stop_risks`); those with the highest risk are taken up again until it is low enough, or the share
of answers that the race may cost is used up.

For that risk a template's chance on a row is taken to be how easy the row is plus how good the
template is. How easy: by all templates that were asked it, less what these are better than the
field. How good: by its own rows, drawn towards the field by how little templates differ at all
(empirical Bayes: where they hardly differ, a poor start is mostly luck). The luck of the missing
rows and the uncertainty about the template are summed as a normal distribution.

Nothing here asks anybody: `ask` is given, so that a race over recorded answers is the same race.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from statistics import NormalDist, fmean, variance
from typing import Self

_MIN_CHANCE, _MAX_CHANCE = 0.02, 0.98  # no row is quite hopeless or quite safe
_MIN_SPREAD = 0.02**2  # variance of the templates' accuracies: they differ by two points or so
_GUESSED_SPREAD = 0.01  # of two templates or fewer, which tell nothing of it: ten points


def stop_risks(correct: Mapping[str, Sequence[bool]], n_rows: int, slack: int) -> dict[str, float]:
    """For each template with fewer than n_rows rows, the chance that it would have got more than
    `slack` rows more right than the best of those with all."""
    stopped = [name for name, each in correct.items() if len(each) < n_rows]
    if not stopped:
        return {}
    best = max(sum(each) for each in correct.values() if len(each) == n_rows)
    field = _Field.of(correct)
    return {name: field.chance(name, correct[name], best + slack) for name in stopped}


def expected_shares(correct: Mapping[str, Sequence[bool]], n_rows: int) -> dict[str, float]:
    """The share of n_rows rows that each template gets right: counted where it was asked them all,
    else with what is to be expected of the missing ones."""
    field = _Field.of(correct)
    return {name: field.expected(name, each) / n_rows for name, each in correct.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """What is estimated of rows and templates."""

    easy: list[float]  # of each row, the accuracy of an average template, 0 to 1
    better: dict[str, float]  # by template, its accuracy less that of an average one
    unsure: dict[str, float]  # by template, the variance of that estimate

    @classmethod
    def of(cls, correct: Mapping[str, Sequence[bool]]) -> Self:
        """Estimate wave by wave: each has fewer templates, and those are better than average."""
        easy: list[float] = []
        better = dict.fromkeys(correct, 0.0)
        waves = sorted({len(each) for each in correct.values()})
        spread = _spread([each[: waves[0]] for each in correct.values()])
        unsure = dict.fromkeys(correct, spread)
        for rows in waves:
            asked = [name for name, each in correct.items() if len(each) >= rows]
            lead = fmean(better[name] for name in asked)
            for row in range(len(easy), rows):
                easy.append(_chance(fmean(correct[name][row] for name in asked) - lead))
            luck = sum(share * (1 - share) for share in easy) / rows**2
            trust = spread / (spread + luck)
            for name in asked:
                better[name] = trust * (fmean(correct[name][:rows]) - fmean(easy))
                unsure[name] = spread * (1 - trust)
        return cls(easy=easy, better=better, unsure=unsure)

    def chance(self, name: str, correct: Sequence[bool], to_beat: int) -> float:
        """The chance that a template ends with more than to_beat right rows."""
        missing = self._missing(name, correct)
        luck = sum(chance * (1 - chance) for chance in missing)
        deviation = sqrt(luck + len(missing) ** 2 * self.unsure[name])
        # + 0.5: a count of rows is whole, the normal distribution is not.
        return 1 - NormalDist(sum(correct) + sum(missing), deviation).cdf(to_beat + 0.5)

    def expected(self, name: str, correct: Sequence[bool]) -> float:
        """How many rows a template gets right in all."""
        return sum(correct) + sum(self._missing(name, correct))

    def _missing(self, name: str, correct: Sequence[bool]) -> list[float]:
        """The chance of each row that a template was not asked."""
        return [_chance(easy + self.better[name]) for easy in self.easy[len(correct) :]]


def _spread(correct: Sequence[Sequence[bool]]) -> float:
    """The variance of the templates' accuracies, without what is luck, by rows that all had."""
    rows = len(correct[0])
    if len(correct) < 3:
        return _GUESSED_SPREAD
    shares = [fmean(each[row] for each in correct) for row in range(rows)]
    luck = sum(share * (1 - share) for share in shares) / rows**2
    luck *= len(correct) / (len(correct) - 1)
    return max(_MIN_SPREAD, variance(map(fmean, correct)) - luck)


def _chance(value: float) -> float:
    return min(_MAX_CHANCE, max(_MIN_CHANCE, value))


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
