"""The efficient frontier: what accuracy costs, offer by offer, and which are worth their price."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepdistill.annotator.study.plots.groups import WIDTH_IN
from stepdistill.annotator.study.tournament.offer_table import Offer, OfferTable
from stepdistill.common.figures import COLOURS, MARKERS, Picture

_GREY = "0.65"
_MANY_TIMES = 8  # the dearest costs so often what the cheapest does: then by orders of magnitude


def frontier_picture(table: OfferTable) -> Picture | None:
    """Accuracy against price, the frontier as steps; None where no price is known."""
    offers = [each for each in table.offers if each.usd_per_1000_rows is not None]
    if not offers:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        teachers = list(dict.fromkeys(each.model for each in table.offers))
        for each in offers:
            _mark(axes, each, teachers.index(each.model))
        _steps(axes, table.frontier)
        for each in table.frontier:
            _name(axes, each)
        costs = [_usd(each) for each in offers]
        if min(costs) > 0 and max(costs) > _MANY_TIMES * min(costs):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="1,000 labels (USD)", ylabel="right labels (%)")
        axes.margins(x=0.15, y=0.1)
        figure.legend(loc="outside upper center", ncols=3, fontsize="small")

    return Picture(
        name=f"frontier-{table.task}", caption=_caption(table), paint=paint, width_in=WIDTH_IN
    )


def _mark(axes: Axes, offer: Offer, number: int) -> None:
    """Grey unless it is on the frontier, hollow where it was left out."""
    colour = COLOURS[number % len(COLOURS)] if offer.on_frontier else _GREY
    right, low, high = (
        100 * each for each in (offer.accuracy, offer.accuracy_low, offer.accuracy_high)
    )
    axes.errorbar(
        [_usd(offer)],
        [right],
        yerr=[[right - low], [high - right]],
        marker=MARKERS[number % len(MARKERS)],
        color=colour,
        markerfacecolor="none" if offer.left_out else colour,
        markersize=9 if offer.is_buy else 5,
        markeredgecolor="black" if offer.is_buy else colour,
        linestyle="none",
        linewidth=1,
        label=f"to buy: {offer.name}" if offer.is_buy else None,
    )


def _steps(axes: Axes, frontier: Sequence[Offer]) -> None:
    axes.plot(
        [_usd(each) for each in frontier],
        [100 * each.accuracy for each in frontier],
        drawstyle="steps-post",
        color="black",
        linewidth=1,
        label="efficient frontier",
        zorder=0,
    )


def _name(axes: Axes, offer: Offer) -> None:
    axes.annotate(
        f"{offer.teacher}\n{offer.template}",
        (_usd(offer), 100 * offer.accuracy),
        xytext=(6, -14),
        textcoords="offset points",
        fontsize="x-small",
    )


def _caption(table: OfferTable) -> str:
    left_out = sum(each.left_out for each in table.offers)
    unpriced = sum(each.usd_per_1000_rows is None for each in table.offers)
    rows = max(each.rows for each in table.offers)
    return (
        f"{table.task}, {table.split}: n = {len(table.offers)} offers, all of them, on up to "
        f"{rows:,} rows drawn with seed {table.seed}; rows without a readable label count as "
        f"wrong. Bars: 95 % intervals (Wilson). Grey: another costs no more and is as accurate; "
        f"hollow: left out early ({left_out}), of fewer rows."
        + (f" Not shown, as no price is known: {unpriced}." if unpriced else "")
    )


def _usd(offer: Offer) -> float:
    return offer.usd_per_1000_rows or 0.0
