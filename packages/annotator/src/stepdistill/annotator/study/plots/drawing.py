"""Which figures can be drawn of what is known, and why the others cannot; and that of a search."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stepdistill.annotator.study.few_shot_cost import FewShotCost
from stepdistill.annotator.study.metadata import Metadata
from stepdistill.annotator.study.optimize.history import HistoryLine
from stepdistill.annotator.study.plots.costs import cost_bars, few_shot_bars, has_costs
from stepdistill.annotator.study.plots.frontier import frontier_picture
from stepdistill.annotator.study.plots.groups import (
    DEVIATION,
    EASE,
    MEASURES,
    Group,
    groups_of,
    unread_in,
    values,
)
from stepdistill.annotator.study.plots.ranked import ranked_templates
from stepdistill.annotator.study.plots.styles import (
    accuracy_by_style,
    ease_and_deviation,
    histograms,
)
from stepdistill.annotator.study.tournament.offer_table import OFFERS_NAME, OfferTable
from stepdistill.common.figures import COLOURS, MARKERS, Picture, write_picture

_FEW = 8  # templates; fewer make no distribution
# State, its name, the colour inside its mark and around it: what is only expected is hollow.
_MARKS = (
    ("scored", "asked every row", COLOURS[0], COLOURS[0]),
    ("stopped", "stopped early: expected", "none", COLOURS[1]),
)


@dataclass(slots=True)
class Drawn:
    """The figures of a call."""

    # By the figure's name, its PNG and its SVG.
    files: dict[str, tuple[Path, Path]] = field(default_factory=dict[str, tuple[Path, Path]])
    left_out: list[str] = field(default_factory=list[str])  # what is missing, and why, a line each


def draw(
    metadata: Sequence[Metadata],
    few_shot: Sequence[FewShotCost],
    tournaments: Sequence[OfferTable],
    histories: Mapping[Path, Sequence[HistoryLine]],
    folder: Path,
) -> Drawn:
    """Write every figure that the data have what it takes for."""
    drawn = Drawn()
    pictures = _of_templates(metadata, drawn.left_out)
    priced = [each for each in few_shot if each.few[1]]  # 1: likely; free ones have no bars
    if priced:
        pictures.append(few_shot_bars(priced))
    else:
        drawn.left_out.append("few-shot-costs: no few-shot.json of annotate estimate --few-shot")
    pictures += _frontiers(tournaments, drawn.left_out)
    if not histories:
        drawn.left_out.append("running-best: no history.jsonl of annotate optimize")
    pictures += [
        _running_best(lines, number, str(path))
        for number, (path, lines) in enumerate(histories.items(), 1)
        if lines
    ]
    for picture in pictures:
        drawn.files[picture.name] = write_picture(picture, folder)
    return drawn


def _frontiers(tournaments: Sequence[OfferTable], left_out: list[str]) -> list[Picture]:
    if not tournaments:
        left_out.append(f"frontier: no {OFFERS_NAME} of annotate experiment --teachers")
    found = list[Picture]()
    for number, each in enumerate(tournaments):
        picture = frontier_picture(each)
        if picture is None:
            left_out.append(f"frontier of {each.task}: no price is known")
            continue
        before = sum(other.task == each.task for other in tournaments[:number])
        name = f"{picture.name}-{before + 1}" if before else picture.name
        found.append(replace(picture, name=name))
    return found


def _of_templates(metadata: Sequence[Metadata], left_out: list[str]) -> list[Picture]:
    groups = groups_of(metadata)
    left_out += unread_in(metadata)
    if not groups:
        left_out.append("styles, accuracy, costs: no metadata.yaml has a scored template")
        return []
    pictures = [ranked_templates(group, number) for number, group in enumerate(groups, 1)]
    paid = [group for group in groups if has_costs(group)]
    unpaid = [group.name for group in groups if group not in paid]
    left_out += [f"costs of {name}: free, or a price is not known" for name in unpaid]
    pictures += [cost_bars(paid)] if paid else []
    most = max(len(group.scores) for group in groups)
    if most >= _FEW:
        return [*pictures, *_of_many(groups, left_out)]
    left_out.append(f"styles, accuracy by style: of {most} templates, they need {_FEW} of a task")
    return pictures


def _of_many(groups: Sequence[Group], left_out: list[str]) -> list[Picture]:
    measures = [each for each in MEASURES if any(values(group, each) for group in groups)]
    unknown = [each.name for each in MEASURES if each not in measures]
    left_out += [f"panels of {name}: no template has it" for name in unknown]
    pictures = [histograms(groups, measures), accuracy_by_style(groups, measures)]
    if any(values(group, EASE, DEVIATION) for group in groups):
        pictures.append(ease_and_deviation(groups))
    else:
        left_out.append("ease-and-deviation: no template has both")
    return pictures


def _running_best(lines: Sequence[HistoryLine], number: int, source: str) -> Picture:
    """number: of this search among those drawn, from 1. source: where its history lies."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for (state, name, inside, around), marker in zip(_MARKS, MARKERS, strict=False):
            found = [each for each in lines if each.state == state]
            if not found:
                continue
            axes.scatter(
                [_place(each, lines) for each in found],
                [100 * (each.expected or 0.0) for each in found],
                s=22,
                marker=marker,
                label=f"{name} (n = {len(found)})",
                facecolors=inside,
                edgecolors=around,
            )
        _steps(axes, lines)
        axes.set(xlabel="iteration (0: templates of the start)", ylabel="right rows (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper center", ncols=3, fontsize="small")

    return Picture(
        name="running-best" if number == 1 else f"running-best-{number}",
        caption=f"{source}. {_caption(lines)}",
        paint=paint,
        width_in=7.0,
        height_in=4.6,
    )


def _steps(axes: Axes, lines: Sequence[HistoryLine]) -> None:
    """The best so far: a step as wide as the marks of its iteration."""
    best = {each.iteration: 100 * (each.best_score or 0.0) for each in lines}
    axes.stairs(
        list(best.values()),
        [number - 0.5 for number in range(len(best) + 1)],
        baseline=None,
        color=COLOURS[2],
        linewidth=2,
        label="best so far",
    )


def _place(line: HistoryLine, lines: Sequence[HistoryLine]) -> float:
    """Candidates of an iteration side by side, so that equals do not hide one another."""
    n = max(each.candidate for each in lines if each.iteration == line.iteration) + 1
    return line.iteration + 0.6 * (line.candidate / n - 0.5)


def _caption(lines: Sequence[HistoryLine]) -> str:
    states = Counter(each.state for each in lines if each.iteration)
    rows = max(each.rows for each in lines)
    return (
        f"n = {sum(states.values())} proposals, all of them: {states['scored']} asked every one of "
        f"{rows} rows, {states['stopped']} stopped by the race (shown at what they are expected to "
        f"reach), {states['refused']} refused unasked (not shown). The best is chosen by these "
        "very rows, so its score flatters it."
    )
