"""What templates cost: all that was measured, and a thousand rows of one."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annotator.study.plots.groups import Group, selection
from annotator.study.plots.panels import WIDTH_IN
from common.figures import Picture


def cost_bars(groups: Sequence[Group]) -> Picture:
    """Bars by group."""
    totals = [sum(score.cost_usd or 0.0 for score in group.scores) for group in groups]
    spans = [_per_thousand(group) for group in groups]
    means = [fmean(span) for span in spans]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        _bars(left, groups, totals, "scoring all templates (USD)")
        _figures(left, totals, totals)
        _bars(right, groups, means, "1,000 rows with one template (USD)")
        dearest = [max(span) for span in spans]
        right.hlines(
            range(len(groups)),
            [min(span) for span in spans],
            dearest,
            color="black",
            linewidth=1,
        )
        _figures(right, means, dearest)

    return Picture(
        name="costs",
        caption=(
            f"{selection(groups)} Right: the mean over templates; lines reach from the cheapest to "
            "the dearest. At the prices of the time."
        ),
        paint=paint,
        width_in=WIDTH_IN,
        height_in=1.8 + 0.45 * len(groups),
    )


def has_costs(group: Group) -> bool:
    """Whether all its templates have a known price, and one that is not nothing."""
    costs = [score.cost_usd for score in group.scores]
    return None not in costs and any(costs)


def _per_thousand(group: Group) -> list[float]:
    return [1000 * (score.cost_per_row_usd or 0.0) for score in group.scores]


def _bars(axes: Axes, groups: Sequence[Group], lengths: list[float], label: str) -> None:
    names, colours = [group.name for group in groups], [group.colour for group in groups]
    axes.barh(range(len(groups)), lengths, color=colours, height=0.6, alpha=0.85)
    axes.set_yticks(range(len(groups)), names)
    axes.set(xlabel=label)
    axes.margins(x=0.18)
    axes.invert_yaxis() if not axes.yaxis_inverted() else None
    axes.grid(visible=False, axis="y")


def _figures(axes: Axes, usd: Sequence[float], ends: Sequence[float]) -> None:
    """Each bar's figure, behind all that is drawn of it."""
    for place, (amount, end) in enumerate(zip(usd, ends, strict=True)):
        axes.annotate(
            f"{amount:.3g}",
            (end, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
