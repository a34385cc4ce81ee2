"""What a thousand rows cost zero-shot, and behind solved examples."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stepdistill.annotator.study.few_shot_cost import FewShotCost, Usd
from stepdistill.annotator.study.plots.panels import WIDTH_IN
from stepdistill.common.figures import COLOURS, Picture

_HEIGHT = 0.26


def few_shot_bars(costs: Sequence[FewShotCost]) -> Picture:
    """Three bars for each task and teacher."""
    sizes = (f"{each.task} {each.rows:,} rows, {each.shots} examples" for each in costs)
    rows = ", ".join(dict.fromkeys(sizes))
    days = " and ".join(sorted({each.price_date for each in costs}))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _bars(axes, costs, 0, "zero-shot", [each.zero for each in costs])
        alike, few = ([getattr(each, part) for each in costs] for part in ("alike", "few"))
        _bars(axes, costs, 1, "few-shot, answers as long as zero-shot", alike)
        _bars(axes, costs, 2, "few-shot, answers as long as its examples'", few)
        places = [place + _HEIGHT for place in range(len(costs))]
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


def _bars(
    axes: Axes, costs: Sequence[FewShotCost], number: int, label: str, spans: Sequence[Usd]
) -> None:
    """One kind of bar, for every task and teacher."""
    places = [place + number * _HEIGHT for place in range(len(costs))]
    spans = [_per_thousand(each, span) for each, span in zip(costs, spans, strict=True)]
    likely = [span[1] for span in spans]
    axes.barh(places, likely, height=_HEIGHT, color=COLOURS[number], alpha=0.85, label=label)
    axes.hlines(
        places, [span[0] for span in spans], [span[2] for span in spans], color="black", linewidth=1
    )
    for place, each, span in zip(places, costs, spans, strict=True):
        zero = _per_thousand(each, each.zero)[1]
        saved = f", zero-shot saves {1 - zero / span[1]:.0%}" if number and span[1] else ""
        axes.annotate(
            f"{span[1]:.3g}{saved}",
            (span[2], place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )


def _per_thousand(cost: FewShotCost, usd: Usd) -> Usd:
    low, likely, high = (1000 * each / max(1, cost.rows) for each in usd)
    return low, likely, high
