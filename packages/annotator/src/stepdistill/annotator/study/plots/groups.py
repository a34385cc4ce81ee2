"""What figures are drawn of: templates that were scored in one setting, their measures, panels."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stepdistill.annotator.study.metadata import Metadata, Setting, Style, TemplateScore
from stepdistill.common.figures import COLOURS, MARKERS

WIDTH_IN = 8.0
_ROW_IN = 3.0  # height of a row of panels
_MAX_NAME = 45  # characters; longer names stand below one another in a legend


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Templates of one task, by one teacher, on the same rows."""

    name: str
    number: int  # decides colour and marker
    scores: tuple[TemplateScore, ...]
    names: tuple[str, ...]  # of the templates, as scores

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
    """One number of a template."""

    name: str
    axis: str  # label of its axis, with the unit
    of: Callable[[TemplateScore], float | None]  # None where its answers do not have it
    span: tuple[float, float] | None = None  # lowest and highest value, where they are known


def _of_style(get: Callable[[Style], float | None]) -> Callable[[TemplateScore], float | None]:
    return lambda score: get(score.style) if score.style else None


def _deviation(style: Style) -> float | None:
    variance = style.characters_variance
    return None if variance is None or not isfinite(variance) else sqrt(variance)


EASE = Measure(
    name="reading ease", axis="reading ease (Flesch)", of=_of_style(lambda s: s.reading_ease)
)
DEVIATION = Measure(
    name="length deviation",
    axis="standard deviation of length (characters)",
    of=_of_style(_deviation),
)
MEASURES = (
    EASE,
    Measure(name="words", axis="words in a rationale (mean)", of=_of_style(lambda s: s.words)),
    Measure(
        name="rationale rate",
        axis="answers with a rationale (%)",
        of=lambda score: 100 * score.rationale_rate,
        span=(0, 100),
    ),
    DEVIATION,
)


def groups_of(files: Iterable[Metadata]) -> list[Group]:
    """One for each setting of each file; templates of which no answer could be read are left out,
    as those without any."""
    found = [
        (
            each.task,
            result.setting,
            {name: score for name, score in result.templates.items() if score.labels},
        )
        for each in files
        for result in each.results
    ]
    found = [each for each in found if each[2]]
    names = _names([(task, setting) for task, setting, _ in found])
    return [
        Group(name=name, number=number, scores=tuple(scores.values()), names=tuple(scores))
        for number, (name, (_, _, scores)) in enumerate(zip(names, found, strict=True))
    ]


def unread_in(files: Iterable[Metadata]) -> list[str]:
    """Templates of which no answer could be read, a line each."""
    return [
        f"template {name} of {each.task}, {result.setting.teacher}: none of its {score.rows:,} "
        "answers could be read"
        for each in files
        for result in each.results
        for name, score in result.templates.items()
        if score.is_unread
    ]


def values(group: Group, *measures: Measure) -> list[tuple[TemplateScore, list[float]]]:
    """The templates of a group that have all of these measures, with them."""
    measured = [(score, [each.of(score) for each in measures]) for score in group.scores]
    return [
        (score, [each for each in found if each is not None])
        for score, found in measured
        if None not in found
    ]


def selection(groups: Sequence[Group]) -> str:
    """For a caption: n, and how the templates were chosen, which is not at all."""
    counts = "; ".join(f"{group.name}: n = {len(group.scores)}" for group in groups)
    rows = sorted(score.rows for score in _scores(groups))
    each = f"{rows[0]:,}" if rows[0] == rows[-1] else f"{rows[0]:,} to {rows[-1]:,}"
    return (
        f"Templates: {counts}. All that have a score, none selected; each was scored on {each} "
        f"rows, and rows without a readable label count as wrong."
    )


def missing(groups: Sequence[Group], measures: Iterable[Measure]) -> str:
    """For a caption: how many templates some panel does not show; empty where it shows all."""
    lacks = {
        each.name: sum(each.of(score) is None for score in _scores(groups)) for each in measures
    }
    counts = ", ".join(f"{n} have no {name}" for name, n in lacks.items() if n)
    return f" Not shown, as their answers lack it: {counts}." if counts else ""


def panels_height_in(measures: Sequence[Measure], groups: Sequence[Group]) -> float:
    """Inches for the panels, the legend and a caption that names every group."""
    return _ROW_IN * -(-len(measures) // 2) + 0.25 * len(groups) + 0.6


def paint_panels(
    figure: Figure, measures: Sequence[Measure], paint: Callable[[Axes, Measure], None]
) -> None:
    """A panel for each measure, two in a row."""
    rows, columns = -(-len(measures) // 2), min(2, len(measures))
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, measure in zip(panels, measures, strict=False):
        paint(axes, measure)
    for axes in list(panels)[len(measures) :]:  # an odd number leaves one empty
        axes.set_axis_off()


def legend_above(
    figure: Figure, groups: Sequence[Group], *, filled: bool, colour: str | None = None
) -> None:
    """Which mark is which group's; filled: as areas. colour: where it means something else."""
    handles = [
        Patch(facecolor=colour or group.colour)
        if filled
        else Line2D([], [], color=colour or group.colour, marker=group.marker, linestyle="none")
        for group in groups
    ]
    names = [group.name for group in groups]
    columns = 1 if max(map(len, names)) > _MAX_NAME else 2
    figure.legend(handles, names, loc="outside upper center", ncols=columns, fontsize="small")


def _scores(groups: Sequence[Group]) -> Iterator[TemplateScore]:
    return (score for group in groups for score in group.scores)


def _names(settings: Sequence[tuple[str, Setting]]) -> list[str]:
    """As short as tells each from all others."""
    details = [[_name(task, setting, detail) for task, setting in settings] for detail in range(3)]
    times = [Counter(names) for names in details]
    return [
        next((name for name, n in zip(each, times, strict=True) if n[name] == 1), each[-1])
        for each in zip(*details, strict=True)
    ]


def _name(task: str, setting: Setting, detail: int) -> str:
    size = "all" if setting.test_size is None else f"{setting.test_size:g}"
    more = ("", f", {size} rows", f", {setting.rows} of {setting.split}, {setting.read_by}")
    return f"{task}, {setting.asked}{more[detail]}"
