"""How likely a template that was stopped would have ended ahead of the best, had it been asked all.

A template's chance on a row is taken to be how easy the row is plus how good the template is. How
easy: by all templates that were asked it, less what these are better than the field. How good: by
its own rows, drawn towards the field by how little templates differ at all (empirical Bayes: where
they hardly differ, a poor start is mostly luck). The luck of the missing rows and the uncertainty
about the template are summed as a normal distribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
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
