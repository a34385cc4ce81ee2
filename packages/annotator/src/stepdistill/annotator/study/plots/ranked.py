"""The templates of one setting, one below the other: how good each is, and how sure that is."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepdistill.annotator.study.metadata import TemplateScore
from stepdistill.annotator.study.plots.groups import WIDTH_IN, Group
from stepdistill.common.figures import Picture

_MOST = 20  # templates that one picture names
_LONGEST_NAME = 30  # characters
_LINE_IN = 0.32  # height of a template's line


def ranked_templates(group: Group, number: int) -> Picture:
    """Dots with 95 % intervals, the best on top, with the price of 1,000 rows at the right. number:
    of this picture among those drawn, from 1."""
    order = sorted(zip(group.names, group.scores, strict=True), key=_rank)
    shown = order[:_MOST]
    rows = sorted(score.rows for _, score in order)
    each = f"{rows[0]:,}" if rows[0] == rows[-1] else f"{rows[0]:,} to {rows[-1]:,}"
    which = f"The best {_MOST} of {len(order)} templates" if len(order) > _MOST else "All templates"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _dots(axes, group, shown)
        _prices(axes, shown)
        axes.set(xlabel="right labels (%)", title=group.name)

    return Picture(
        name="templates" if number == 1 else f"templates-{number}",
        caption=(
            f"{which}, {each} rows each. Lines: 95 % intervals; shaded: that of the best. A "
            "template whose line reaches into it may be as good. No readable label counts as wrong."
        ),
        paint=paint,
        width_in=WIDTH_IN,
        height_in=1.6 + _LINE_IN * len(shown),
    )


def _rank(named: tuple[str, TemplateScore]) -> tuple[float, str]:
    return -named[1].accuracy, named[0]


def _dots(axes: Axes, group: Group, shown: list[tuple[str, TemplateScore]]) -> None:
    low, high = (100 * end for end in shown[0][1].interval)
    axes.axvspan(low, high, color=group.colour, alpha=0.12, linewidth=0)
    for line, (_, score) in enumerate(shown):
        left, right = (100 * end for end in score.interval)
        axes.hlines(line, left, right, color=group.colour, linewidth=1.5)
        axes.plot(100 * score.accuracy, line, marker="o", color=group.colour, markersize=6)
    names = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME - 1]}…"
             for name, _ in shown]  # fmt: skip
    axes.set_yticks(range(len(shown)), labels=names, parse_math=False)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _prices(axes: Axes, shown: list[tuple[str, TemplateScore]]) -> None:
    """The share and the price in words, beside each line."""
    words = [f"{100 * score.accuracy:.1f} %{_price(score)}" for _, score in shown]
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(len(shown)), labels=words, parse_math=False)
    beside.tick_params(length=0)
    beside.spines["right"].set_visible(False)


def _price(score: TemplateScore) -> str:
    usd = score.cost_per_row_usd
    return f"   {1000 * usd:.2f} USD per 1,000" if usd else ""
