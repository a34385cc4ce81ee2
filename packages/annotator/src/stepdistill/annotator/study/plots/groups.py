"""What figures are drawn of: the templates that were scored in one setting, and their measures."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

from stepdistill.annotator.study.metadata import Metadata, Setting
from stepdistill.annotator.study.score import TemplateScore
from stepdistill.common.figures import COLOURS, MARKERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Templates of one task, by one teacher, on the same rows. number: of its colour and marker."""

    name: str
    number: int
    scores: tuple[TemplateScore, ...]

    @property
    def colour(self) -> str:
        """Of its marks."""
        return COLOURS[self.number % len(COLOURS)]

    @property
    def marker(self) -> str:
        """Another one for each colour, and others again where the colours come round."""
        return MARKERS[(self.number + self.number // len(COLOURS)) % len(MARKERS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of a template. of: None where its answers do not have it. span: where it lies,
    where that is known beforehand."""

    name: str
    axis: str
    of: Callable[[TemplateScore], float | None]
    span: tuple[float, float] | None = None


def _ease(score: TemplateScore) -> float | None:
    return score.style.reading_ease if score.style else None


def _words(score: TemplateScore) -> float | None:
    return score.style.words if score.style else None


def _deviation(score: TemplateScore) -> float | None:
    variance = score.style.characters_variance if score.style else None
    return None if variance is None or not isfinite(variance) else sqrt(variance)


EASE = Measure(name="reading ease", axis="reading ease (Flesch)", of=_ease)
DEVIATION = Measure(
    name="length deviation", axis="standard deviation of length (characters)", of=_deviation
)
MEASURES = (
    EASE,
    Measure(name="words", axis="words in a rationale (mean)", of=_words),
    Measure(
        name="rationale rate",
        axis="answers with a rationale (%)",
        of=lambda score: 100 * score.rationale_rate,
        span=(0, 100),
    ),
    DEVIATION,
)


def groups_of(files: Iterable[Metadata]) -> list[Group]:
    """One for each setting of each file; templates that nothing was answered with are no part."""
    found = [
        (each.task, result.setting, [score for score in result.templates.values() if score.rows])
        for each in files
        for result in each.results
    ]
    found = [each for each in found if each[2]]
    names = _names([(task, setting) for task, setting, _ in found])
    return [
        Group(name=name, number=number, scores=tuple(scores))
        for number, (name, (_, _, scores)) in enumerate(zip(names, found, strict=True))
    ]


def values(group: Group, *measures: Measure) -> list[tuple[TemplateScore, list[float]]]:
    """The templates of a group that have all of these measures, with them."""
    measured = [(score, [each.of(score) for each in measures]) for score in group.scores]
    return [
        (score, [each for each in found if each is not None])
        for score, found in measured
        if None not in found
    ]


def known(groups: Sequence[Group], measures: Iterable[Measure]) -> list[Measure]:
    """The measures that some template has."""
    return [each for each in measures if any(values(group, each) for group in groups)]


def selection(groups: Sequence[Group]) -> str:
    """n, and how the templates were chosen: not at all."""
    counts = "; ".join(f"{group.name}: n = {len(group.scores)}" for group in groups)
    rows = sorted(score.rows for score in _scores(groups))
    each = f"{rows[0]:,}" if rows[0] == rows[-1] else f"{rows[0]:,} to {rows[-1]:,}"
    return (
        f"Templates: {counts}. All that have a score, none selected; each was scored on {each} "
        f"rows, and rows without a readable label count as wrong."
    )


def missing(groups: Sequence[Group], measures: Iterable[Measure]) -> str:
    """How many templates some panel does not show; empty where it shows all."""
    lacks: Mapping[str, int] = {
        each.name: sum(each.of(score) is None for score in _scores(groups)) for each in measures
    }
    said = ", ".join(f"{n} have no {name}" for name, n in lacks.items() if n)
    return f" Not shown, as their answers lack it: {said}." if said else ""


def _scores(groups: Sequence[Group]) -> Iterator[TemplateScore]:
    return (score for group in groups for score in group.scores)


def _names(settings: Sequence[tuple[str, Setting]]) -> list[str]:
    """As short as tells each from all others."""
    ways = [[_name(task, setting, way) for task, setting in settings] for way in range(3)]
    times = [Counter(way) for way in ways]
    return [
        next((name for name, n in zip(each, times, strict=True) if n[name] == 1), each[-1])
        for each in zip(*ways, strict=True)
    ]


def _name(task: str, setting: Setting, detail: int) -> str:
    size = "all" if setting.test_size is None else f"{setting.test_size:g}"
    more = ("", f", {size} rows", f", {setting.rows} of {setting.split}, reader {setting.reader}")
    return f"{task}, {setting.teacher}{more[detail]}"
