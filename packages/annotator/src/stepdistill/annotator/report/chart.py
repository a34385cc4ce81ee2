"""What a page draws: accuracy against cost, with names where they fit, and answers over time."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor
from typing import Self

from stepdistill.annotator.report.breakdown import THIS_RUN, Point

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 548, 14, 262
_LINE = 14
_TENTHS = 10
_MOST_BARS = 60
_UNITS = (
    *((1, "a second"), (5, "5 seconds"), (15, "15 seconds"), (60, "a minute")),
    *((300, "5 minutes"), (1_800, "half an hour"), (7_200, "2 hours"), (86_400, "a day")),
    (604_800, "a week"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point in the picture. name_y: of its name, where it is efficient; to_left: of the mark."""

    point: Point
    x: float
    y: float
    own: bool
    name_y: float
    to_left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """floor: the accuracy at the bottom; most_usd: the cost of a row at the right."""

    marks: list[Mark]
    floor: float
    most_usd: float

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
    free = float(_BOTTOM)
    for each in points:
        x = _LEFT + (_RIGHT - _LEFT) * each.row_usd / most
        y = _y(each.accuracy, bottom)
        if each.efficient:  # each lies higher than the last: so does its name
            free = min(y - 6, free - _LINE)
        yield Mark(
            point=each,
            x=x,
            y=y,
            own=each.basis == THIS_RUN,
            name_y=free,
            to_left=x > (_LEFT + _RIGHT) / 2,
        )


def _y(accuracy: float, bottom: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * (accuracy - bottom) / (1 - bottom)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersOverTime:
    """Answers over time. unit: of a bar; width: its share of the picture; most: in the highest.

    bars: where each begins and how high it is, as shares.
    """

    unit: str
    width: float
    most: int
    bars: list[tuple[float, float]]

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
