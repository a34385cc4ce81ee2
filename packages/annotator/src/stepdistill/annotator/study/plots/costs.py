"""What templates cost: what was measured, and what solved examples in the prompt would add."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stepdistill.annotator.study.few_shot_cost import FewShotCost, Usd
from stepdistill.annotator.study.plots.groups import WIDTH_IN, Group, legend_above, selection
from stepdistill.common.figures import COLOURS, Picture

_BAR = 0.26  # height of one of the three bars of a task and teacher, which stand 1 apart


def cost_bars(groups: Sequence[Group]) -> Picture:
    """Bars by group: all that was measured, and a thousand rows of one template."""
    totals = [sum(score.cost_usd or 0.0 for score in group.scores) for group in groups]
    spans = [[1000 * (each.cost_per_row_usd or 0.0) for each in group.scores] for group in groups]
    means = [fmean(span) for span in spans]
    cheapest, dearest = [min(span) for span in spans], [max(span) for span in spans]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _group_bars(left, groups, totals, totals, "scoring all templates (USD)")
        _group_bars(right, groups, means, dearest, "1,000 rows with one template (USD)")
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


def few_shot_bars(costs: Sequence[FewShotCost]) -> Picture:
    """Three bars for each task and teacher: zero-shot, and behind solved examples."""
    sizes = (f"{each.task} {each.rows:,} rows, {each.shots} examples" for each in costs)
    rows = ", ".join(dict.fromkeys(sizes))
    days = " and ".join(sorted({each.price_date for each in costs}))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _few_shot_bars(axes, costs, 0, "zero-shot", [each.zero for each in costs])
        alike, few = [each.alike for each in costs], [each.few for each in costs]
        _few_shot_bars(axes, costs, 1, "few-shot, answers as long as zero-shot", alike)
        _few_shot_bars(axes, costs, 2, "few-shot, answers as long as its examples'", few)
        places = [place + _BAR for place in range(len(costs))]
        axes.set_yticks(places, [f"{each.task}\n{each.teacher}" for each in costs])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        ends = [_per_thousand(each, usd)[2] for each in costs for usd in (each.few, each.alike)]
        axes.set(xlabel="1,000 rows (USD)", xlim=(0, 1.35 * max(ends)))
        figure.legend(loc="outside upper left", ncols=1, fontsize="small")

    return Picture(
        name="few-shot-costs",
        caption=(
            f"Estimates over every row, none selected: {rows}. Lines reach from low to high. At "
            f"prices as of {days}, nothing cached; nobody was asked."
        ),
        paint=paint,
        width_in=WIDTH_IN,
        height_in=2.2 + 0.9 * len(costs),
    )


def _group_bars(
    axes: Axes, groups: Sequence[Group], lengths: list[float], ends: list[float], label: str
) -> None:
    """ends: where the numbers stand, behind all that is drawn of a bar."""
    places = range(len(groups))
    axes.barh(places, lengths, color=[group.colour for group in groups], height=0.6, alpha=0.85)
    for place, length, end in zip(places, lengths, ends, strict=True):
        _write_behind(axes, f"{length:.3g}", end, place)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set(xlabel=label, xlim=(0, 1.25 * max(ends)), ylim=(len(groups) - 0.5, -0.5))


def _few_shot_bars(
    axes: Axes, costs: Sequence[FewShotCost], number: int, label: str, totals: Sequence[Usd]
) -> None:
    """One kind of bar, for every task and teacher."""
    places = [place + number * _BAR for place in range(len(costs))]
    spans = [_per_thousand(each, total) for each, total in zip(costs, totals, strict=True)]
    low, likely, high = ([span[end] for span in spans] for end in range(3))
    axes.barh(places, likely, height=_BAR, color=COLOURS[number], alpha=0.85, label=label)
    axes.hlines(places, low, high, color="black", linewidth=1)
    for place, each, usd, end in zip(places, costs, likely, high, strict=True):
        zero = _per_thousand(each, each.zero)[1]
        saved = f", zero-shot saves {1 - zero / usd:.0%}" if number and usd else ""
        _write_behind(axes, f"{usd:.3g}{saved}", end, place)


def _write_behind(axes: Axes, text: str, end: float, place: float) -> None:
    axes.annotate(
        text, (end, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize="small"
    )


def _per_thousand(cost: FewShotCost, total: Usd) -> Usd:
    low, likely, high = (1000 * each / max(1, cost.rows) for each in total)
    return low, likely, high
