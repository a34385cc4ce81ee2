"""Panels beside one another, one for each measure, under one legend."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stepdistill.annotator.study.plots.groups import Group, Measure

WIDTH_IN = 8.0
_ROW_IN = 3.0
_LEGEND_COLUMNS = 2
_LONG_NAME = 45


def height_in(measures: Sequence[Measure], groups: Sequence[Group]) -> float:
    """Inches for the panels, the legend and a caption that names every group."""
    return _ROW_IN * -(-len(measures) // 2) + 0.25 * len(groups) + 0.6


def paint_panels(
    figure: Figure, measures: Sequence[Measure], paint: Callable[[Axes, Measure], None]
) -> None:
    """Two in a row."""
    rows, columns = -(-len(measures) // 2), min(2, len(measures))
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, measure in zip(panels, measures, strict=False):
        paint(axes, measure)
    for axes in list(panels)[len(measures) :]:
        axes.set_axis_off()


def legend_above(
    figure: Figure, groups: Sequence[Group], *, filled: bool, colour: str | None = None
) -> None:
    """Which mark is which group's; filled: as areas. colour: where it means something else."""
    handles = [_handle(group, colour or group.colour, filled=filled) for group in groups]
    names = [group.name for group in groups]
    columns = 1 if max(map(len, names)) > _LONG_NAME else _LEGEND_COLUMNS
    figure.legend(handles, names, loc="outside upper center", ncols=columns, fontsize="small")


def _handle(group: Group, colour: str, *, filled: bool) -> Any:
    if filled:
        return Patch(facecolor=colour)
    return Line2D([], [], color=colour, marker=group.marker, linestyle="none")
