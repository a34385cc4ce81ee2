"""How templates' rationales are written: over templates, and against accuracy."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence
from statistics import StatisticsError, correlation, linear_regression

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepdistill.annotator.study.plots.groups import (
    DEVIATION,
    EASE,
    WIDTH_IN,
    Group,
    Measure,
    legend_above,
    missing,
    paint_panels,
    panels_height_in,
    selection,
    values,
)
from stepdistill.common.figures import SHADES, Picture

_BINS = 14
_MIN_POINTS = 4  # a line through fewer says nothing


def histograms(groups: Sequence[Group], measures: Sequence[Measure]) -> Picture:
    """How many templates have how much of each measure."""

    def panel(axes: Axes, measure: Measure) -> None:
        axes.hist(
            [[value for _, (value,) in values(group, measure)] for group in groups],
            bins=_BINS,
            range=measure.span,
            stacked=True,
            color=[group.colour for group in groups],
            edgecolor="white",
            linewidth=0.5,
        )
        axes.set(xlabel=measure.axis, ylabel="templates")

    def paint(figure: Figure) -> None:
        paint_panels(figure, measures, panel)
        legend_above(figure, groups, filled=True)

    return Picture(
        name="styles",
        caption=f"{selection(groups)} Bars are stacked.{missing(groups, measures)}",
        paint=paint,
        width_in=WIDTH_IN,
        height_in=panels_height_in(measures, groups),
    )


def accuracy_by_style(groups: Sequence[Group], measures: Sequence[Measure]) -> Picture:
    """Accuracy against each measure, with a line of least squares for each group."""

    def panel(axes: Axes, measure: Measure) -> None:
        for group in groups:
            _scatter(axes, group, measure)
        axes.set(xlabel=measure.axis, ylabel="accuracy (%)")
        if measure.span:  # room for marks that lie on its ends
            axes.set_xlim(measure.span[0] - 4, measure.span[1] + 4)
        axes.legend(fontsize=6, handlelength=1.2, labelspacing=0.2, frameon=True, framealpha=0.7)

    def paint(figure: Figure) -> None:
        paint_panels(figure, measures, panel)
        legend_above(figure, groups, filled=False)

    return Picture(
        name="accuracy-by-style",
        caption=(
            f"{selection(groups)} Lines are of least squares, one per group; r is Pearson's. That "
            f"two things go together does not say that one makes the other."
            f"{missing(groups, measures)}"
        ),
        paint=paint,
        width_in=WIDTH_IN,
        height_in=panels_height_in(measures, groups) + 0.8,
    )


def ease_and_deviation(groups: Sequence[Group]) -> Picture:
    """Reading ease and length deviation, coloured by accuracy."""
    shown = [group for group in groups if values(group, EASE, DEVIATION)]
    # One scale for all groups, so that a colour means the same accuracy everywhere.
    accuracies = [100 * score.accuracy for group in shown for score in group.scores]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for group in shown:
            found = values(group, EASE, DEVIATION)
            marks = axes.scatter(
                [ease for _, (ease, _) in found],
                [deviation for _, (_, deviation) in found],
                c=[100 * score.accuracy for score, _ in found],
                cmap=SHADES,
                vmin=min(accuracies),
                vmax=max(accuracies),
                marker=group.marker,
                edgecolors="0.4",
                linewidths=0.4,
            )
            if group is shown[-1]:
                figure.colorbar(marks, ax=axes, label="accuracy (%)")
        axes.set(xlabel=EASE.axis, ylabel=DEVIATION.axis)
        legend_above(figure, shown, filled=False, colour="0.4")

    return Picture(
        name="ease-and-deviation",
        caption=f"{selection(shown)}{missing(shown, (EASE, DEVIATION))}",
        paint=paint,
        width_in=WIDTH_IN,
        height_in=4.6 + 0.25 * len(shown),
    )


def _scatter(axes: Axes, group: Group, measure: Measure) -> None:
    found = values(group, measure)
    if not found:
        return
    across = [value for _, (value,) in found]
    up = [100 * score.accuracy for score, _ in found]
    axes.scatter(across, up, s=14, color=group.colour, marker=group.marker, alpha=0.6)
    fit = _fit(across, up)
    if fit is None:
        # Drawn of nothing: only the legend is to say so.
        axes.plot([], [], color=group.colour, label=f"n = {len(found)}, no line")
        return
    slope, intercept, r = fit
    ends = [min(across), max(across)]
    line = [intercept + slope * end for end in ends]
    axes.plot(ends, line, color=group.colour, label=f"n = {len(found)}, r = {r:+.2f}")


def _fit(across: list[float], up: list[float]) -> tuple[float, float, float] | None:
    """Slope, intercept and correlation; None of too few points, or where nothing varies."""
    if len(across) < _MIN_POINTS:
        return None
    try:
        line = linear_regression(across, up)
        return line.slope, line.intercept, correlation(across, up)
    except StatisticsError:
        return None
