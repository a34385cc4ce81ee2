"""The picture of what accuracy costs: teachers that were tried, the student, and both together."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from stepdistill.common.figures import COLOURS, MARKERS, Picture

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedAnswers:
    """One way to have rows answered. usd: of 1,000 rows; accuracy and its interval: 0..1."""

    who: str
    usd: float
    accuracy: float
    low: float
    high: float


def priced(found: Facts, experiment: Facts | None, rule: Facts | None) -> list[PricedAnswers]:
    """All ways whose price is known: what was tried, the student alone, and with its teacher."""
    ways = [
        PricedAnswers(
            who=f"{each.get('teacher', 'teacher')} / {each['template']}",
            usd=each["usd_per_1000_rows"],
            accuracy=each["accuracy"],
            low=each["accuracy_low"],
            high=each["accuracy_high"],
        )
        for each in (experiment or {}).get("offers") or (experiment or {}).get("ranking", [])
        if each["usd_per_1000_rows"] is not None
    ]
    low, high = found["student"]["interval"]
    ways.append(
        PricedAnswers(
            who="student", usd=0.0, accuracy=found["student"]["accuracy"], low=low, high=high
        )
    )
    if rule is not None and rule["cost"]["usd_per_1000"] is not None:
        target = rule["guarantee"]["target"]
        cost = rule["cost"]["usd_per_1000"]
        who = "student and teacher, at least"
        ways.append(PricedAnswers(who=who, usd=cost, accuracy=target, low=target, high=target))
    return ways


def on_frontier(ways: Sequence[PricedAnswers]) -> list[PricedAnswers]:
    """Those that none is as accurate as for as little, the cheapest first."""
    found: list[PricedAnswers] = []
    for each in sorted(ways, key=lambda way: (way.usd, -way.accuracy)):
        if not found or each.accuracy > found[-1].accuracy:
            found.append(each)
    return found


def frontier_picture(task: str, ways: Sequence[PricedAnswers]) -> Picture:
    """Accuracy against dollars, the frontier as steps."""
    best = on_frontier(ways)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for number, each in enumerate(ways):
            right, low, high = (100 * share for share in (each.accuracy, each.low, each.high))
            axes.errorbar(
                [each.usd],
                [right],
                # An interval's end at 0 or 1 may be a rounding on the wrong side.
                yerr=[[max(0.0, right - low)], [max(0.0, high - right)]],
                marker=MARKERS[number % len(MARKERS)],
                color=COLOURS[number % len(COLOURS)] if each in best else "0.65",
                linestyle="none",
                clip_on=False,
                label=each.who,
            )
        axes.plot(
            [each.usd for each in best],
            [100 * each.accuracy for each in best],
            drawstyle="steps-post",
            color="black",
            linewidth=1,
            label="efficient frontier",
            zorder=0,
        )
        axes.set(xlabel="1,000 rows (USD)", ylabel="right labels (%)")
        axes.margins(x=0.1, y=0.15)
        axes.set_xlim(left=0)  # a free student stands at 0, and nothing costs less
        figure.legend(loc="outside upper center", ncols=2, fontsize="small")

    caption = (
        f"{task}: {len(ways)} ways to have rows labelled. Teachers on the rows of train that they "
        "were tried on, the student on all rows of test; bars: 95 % intervals (Wilson). What the "
        "student's own machine costs is not counted; with its teacher: what is promised."
    )
    return Picture(name="frontier", caption=caption, paint=paint)
