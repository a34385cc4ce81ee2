"""A report as one HTML page: tables, accuracy against cost with names where they fit, and answers
over time."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import NamedTuple, Self

from stepdistill.annotator.report.account import Account, CostPlace, Paid
from stepdistill.annotator.report.advice import advice, happened
from stepdistill.annotator.report.report import (
    BY,
    THIS_RUN,
    Point,
    Report,
    RunReport,
    StoreReport,
    best_and_own,
    grouped,
    points,
)
from stepdistill.annotator.report.view import (
    between,
    calibration_words,
    paid_by_run,
    started,
    summary_of,
    title_of,
)
from stepdistill.common.example_rows import ExampleRows
from stepdistill.common.page import rendered, usd_alike

_TEMPLATES = Path(__file__).parent / "templates"
# The picture's edges in `run.html.jinja`, in units of its SVG; y grows downward.
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 548, 14, 262
_LINE = 14  # the height of a name
_TENTHS = 10
_MOST_BARS = 60
_UNITS = (  # of a bar: seconds, in words
    *((1, "a second"), (5, "5 seconds"), (15, "15 seconds"), (60, "a minute")),
    *((300, "5 minutes"), (1_800, "half an hour"), (7_200, "2 hours"), (86_400, "a day")),
    (604_800, "a week"),
)


def as_html(report: Report) -> str:
    """The page of a run, or of a whole store."""
    return _of_store(report) if isinstance(report, StoreReport) else _of_run(report)


def _of_run(report: RunReport) -> str:
    account, known = report.account, points(report)
    planned = report.planned_usd[1] if report.planned_usd else None
    return rendered(
        _TEMPLATES / "run.html.jinja",
        report=report,
        title=title_of(report),
        happened=happened(report),
        advice=list(advice(report)),
        sorts=_sorts(account),
        account=account,
        summary=list(summary_of(report)),
        groups=_groups(account.paid),
        over_time=AnswersOverTime.of(account.by_second),
        points=known,
        best_points=best_and_own(known),
        chart=Chart.of(known) if any(each.row_usd for each in known) else None,
        # Of one precision, so that they can be compared at a glance.
        planned=usd_alike(planned) if planned else None,
        paid=usd_alike([*(planned or []), account.paid_usd])[-1],
        row_usd=_alike_by_name({name: each.row_usd for name, each in account.judged.items()}),
        explain={place.template for place in account.paid},
        calibration_words=calibration_words(account.calibration)
        if account.calibration.rows
        else "",
        between=between,
    )


def _of_store(report: StoreReport) -> str:
    return rendered(
        _TEMPLATES / "store.html.jinja",
        report=report,
        total=sum(report.paid.values(), Paid()),
        runs=list(paid_by_run(report)),
        groups=_groups(report.paid),
        started=started,
    )


def _groups(paid: Mapping[CostPlace, Paid]) -> dict[str, list[tuple[str, Paid]]]:
    """Those that tell something: of one row it is the whole once more."""
    groups = {by: sorted(grouped(paid, by).items()) for by in BY}
    return {by: rows for by, rows in groups.items() if len(rows) > 1}


def _alike_by_name(amounts: Mapping[str, float]) -> dict[str, str]:
    return dict(zip(amounts, usd_alike(amounts.values()), strict=True))


def _sorts(account: Account) -> list[tuple[str, ExampleRows]]:
    """Examples of records, by what is known of their labels; those that there are."""
    sorts = [
        ("Wrong labels", account.wrong),
        ("Right labels", account.right),
        ("Labels that nobody has judged", account.unjudged),
    ]
    return [(heading, rows) for heading, rows in sorts if len(rows)]


class Mark(NamedTuple):
    """A point in the picture."""

    point: Point
    x: float
    y: float
    own: bool  # of this run
    name_y: float  # of its name, which is shown where it is efficient
    to_left: bool  # the name stands to the left of the mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Accuracy against cost."""

    marks: list[Mark]
    floor: float  # the accuracy at the bottom, in tenths
    most_usd: float  # the cost of a row at the right

    @classmethod
    def of(cls, points: list[Point]) -> Self:
        """The picture of these points, the cheapest first."""
        lowest = min((each.accuracy for each in points), default=0.0)
        bottom = min(floor(lowest * _TENTHS), _TENTHS - 1) / _TENTHS
        most = max((each.row_usd for each in points), default=0.0) or 1.0
        return cls(marks=list(_marks(points, bottom, most)), floor=bottom, most_usd=most)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Accuracies in tenths, and how high they lie."""
        tenths = range(round(self.floor * _TENTHS), _TENTHS + 1)
        return [(tenth / _TENTHS, _y(tenth / _TENTHS, self.floor)) for tenth in tenths]

    @property
    def frontier(self) -> str:
        """The line that no point lies above, as the path of an SVG: steps from one to the next."""
        best = [mark for mark in self.marks if mark.point.efficient]
        start = f"M{best[0].x:.1f} {best[0].y:.1f}" if best else ""
        return start + "".join(f" H{to.x:.1f} V{to.y:.1f}" for to in best[1:]) + f" H{_RIGHT}"


def _marks(points: list[Point], bottom: float, most: float) -> Iterator[Mark]:
    free = float(_BOTTOM)  # names lie above this
    for each in points:
        x = _LEFT + (_RIGHT - _LEFT) * each.row_usd / most
        y = _y(each.accuracy, bottom)
        if each.efficient:  # each lies higher than the last: so does its name
            free = min(y - 6, free - _LINE)
        yield Mark(each, x, y, each.basis == THIS_RUN, free, to_left=x > (_LEFT + _RIGHT) / 2)


def _y(accuracy: float, bottom: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * (accuracy - bottom) / (1 - bottom)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersOverTime:
    """A picture of bars."""

    unit: str  # of a bar, in words
    width: float  # of a bar, as a share of the picture
    most: int  # answers in the highest bar
    bars: list[tuple[float, float]]  # where each begins and how high it is, as shares

    @classmethod
    def of(cls, by_second: Mapping[int, int]) -> Self | None:
        """In units that give at most sixty bars; None without answers."""
        if not by_second:
            return None
        first, length = min(by_second), max(by_second) - min(by_second) + 1
        fitting = (each for each in _UNITS if length <= _MOST_BARS * each[0])
        seconds, unit = next(fitting, _UNITS[-1])
        counts = Counter[int]()
        for second, n in by_second.items():
            counts[(second - first) // seconds] += n
        width, most = 1 / (max(counts) + 1), max(counts.values())
        bars = [(bar * width, n / most) for bar, n in sorted(counts.items())]
        return cls(unit=unit, width=width, most=most, bars=bars)
