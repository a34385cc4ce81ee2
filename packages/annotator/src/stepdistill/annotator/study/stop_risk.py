"""How likely a template that was stopped would have ended ahead of the best, had it been asked all.

A template's chance on a row is taken to be how easy the row is plus how good the template is. How
easy: by all templates that were asked it, less what these are better than the field. How good: by
its own rows, drawn towards the field by how little templates differ at all (empirical Bayes: where
they hardly differ, a poor start is mostly luck). The luck of the missing rows and the doubt about
the template are summed as a normal distribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, variance

_LEAST, _MOST = 0.02, 0.98  # no row is quite hopeless or quite safe
_LEAST_SPREAD = 0.02**2  # the variance of accuracies: templates differ by two points or so


def doubts(right: Mapping[str, Sequence[bool]], n_rows: int, slack: int) -> dict[str, float]:
    """For each template with fewer than n_rows rows, the chance that it would have got more than
    `slack` rows more right than the best of those with all."""
    stopped = [name for name, each in right.items() if len(each) < n_rows]
    if not stopped:
        return {}
    best = max(sum(each) for each in right.values() if len(each) == n_rows)
    field = _Field.of(right)
    return {name: field.chance(name, right[name], best + slack) for name in stopped}


def expected(right: Mapping[str, Sequence[bool]], n_rows: int) -> dict[str, float]:
    """The share of n_rows rows that each template gets right: counted where it was asked them all,
    else what is to be expected of the missing ones."""
    field = _Field.of(right)
    return {name: field.expected(name, each) / n_rows for name, each in right.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """easy: of each row, the accuracy of a middling template. better: of each template, by how much
    it is thought to be above that; unsure: the variance of that thought."""

    easy: list[float]
    better: dict[str, float]
    unsure: dict[str, float]

    @classmethod
    def of(cls, right: Mapping[str, Sequence[bool]]) -> "_Field":
        """What can be said of rows and templates, wave by wave: each has fewer templates."""
        easy: list[float] = []
        better = dict.fromkeys(right, 0.0)
        waves = sorted({len(each) for each in right.values()})
        spread = _spread([each[: waves[0]] for each in right.values()])
        unsure = dict.fromkeys(right, spread)
        for rows in waves:
            asked = [name for name, each in right.items() if len(each) >= rows]
            lead = fmean(better[name] for name in asked)
            for row in range(len(easy), rows):
                easy.append(_chance(fmean(right[name][row] for name in asked) - lead))
            luck = sum(share * (1 - share) for share in easy) / rows**2
            trust = spread / (spread + luck)
            for name in asked:
                better[name] = trust * (fmean(right[name][:rows]) - fmean(easy))
                unsure[name] = spread * (1 - trust)
        return cls(easy=easy, better=better, unsure=unsure)

    def chance(self, name: str, right: Sequence[bool], to_beat: int) -> float:
        """The chance that a template ends with more than to_beat right rows."""
        missing = self._missing(name, right)
        luck = sum(chance * (1 - chance) for chance in missing)
        doubt = sqrt(luck + len(missing) ** 2 * self.unsure[name])
        return 1 - NormalDist(sum(right) + sum(missing), doubt).cdf(to_beat + 0.5)

    def expected(self, name: str, right: Sequence[bool]) -> float:
        """How many rows a template gets right in all."""
        return sum(right) + sum(self._missing(name, right))

    def _missing(self, name: str, right: Sequence[bool]) -> list[float]:
        """The chance of each row that a template was not asked."""
        return [_chance(easy + self.better[name]) for easy in self.easy[len(right) :]]


def _spread(right: Sequence[Sequence[bool]]) -> float:
    """The variance of the templates' accuracies, without what is luck, by rows that all had."""
    rows = len(right[0])
    if len(right) < 3:
        return 0.01
    shares = [fmean(each[row] for each in right) for row in range(rows)]
    luck = sum(share * (1 - share) for share in shares) / rows**2
    luck *= len(right) / (len(right) - 1)
    return max(_LEAST_SPREAD, variance(map(fmean, right)) - luck)


def _chance(value: float) -> float:
    return min(_MOST, max(_LEAST, value))
