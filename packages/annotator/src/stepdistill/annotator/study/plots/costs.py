"""What templates cost: all that was measured, and a thousand rows of one."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stepdistill.annotator.study.plots.groups import Group, selection
from stepdistill.annotator.study.plots.panels import WIDTH_IN, legend_above
from stepdistill.common.figures import Picture


def cost_bars(groups: Sequence[Group]) -> Picture:
    """Bars by group."""
    totals = [sum(score.cost_usd or 0.0 for score in group.scores) for group in groups]
    spans = [_per_thousand(group) for group in groups]
    means = [fmean(span) for span in spans]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _bars(left, groups, totals, totals, "scoring all templates (USD)")
        dearest = [max(span) for span in spans]
        _bars(right, groups, means, dearest, "1,000 rows with one template (USD)")
        cheapest = [min(span) for span in spans]
        right.hlines(range(len(groups)), cheapest, dearest, color="black", linewidth=1)
        legend_above(figure, groups, filled=True)

    return Picture(
        name="costs",
        caption=(
            f"{selection(groups)} Right: the mean over templates; lines reach from the cheapest to "
            "the dearest. At the prices of the time."
        ),
        paint=paint,
        width_in=WIDTH_IN,
        height_in=2.0 + 0.55 * len(groups),
    )


def has_costs(group: Group) -> bool:
    """Whether all its templates have a known price, and one that is not nothing."""
    costs = [score.cost_usd for score in group.scores]
    return None not in costs and any(costs)


def _per_thousand(group: Group) -> list[float]:
    return [1000 * (score.cost_per_row_usd or 0.0) for score in group.scores]


def _bars(
    axes: Axes, groups: Sequence[Group], lengths: list[float], ends: list[float], label: str
) -> None:
    """ends: where the numbers stand, behind all that is drawn of a bar."""
    places = range(len(groups))
    axes.barh(places, lengths, color=[group.colour for group in groups], height=0.6, alpha=0.85)
    for place, length, end in zip(places, lengths, ends, strict=True):
        axes.annotate(
            f"{length:.3g}",
            (end, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set(xlabel=label, xlim=(0, 1.25 * max(ends)), ylim=(len(groups) - 0.5, -0.5))
