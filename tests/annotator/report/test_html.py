"""Where the page draws templates and answers."""

from itertools import pairwise

import pytest

from stepdistill.annotator.report.html import AnswersOverTime, Chart
from stepdistill.annotator.report.report import points
from tests.annotator.report.made import a_report, a_result


def test_names_of_marks_do_not_lie_on_each_other():
    crowd = {f"t{n}": (1000, 900 + n, 0.1 + n / 10_000) for n in range(8)}
    chart = Chart.of(points(a_report(a_result("any-model", **crowd))))

    assert len(chart.marks) == 8
    assert all(one.name_y - other.name_y >= 14 for one, other in pairwise(chart.marks))
    assert chart.frontier.count("V") == 7
    assert [accuracy for accuracy, _ in chart.ticks] == [0.9, 1.0]


def test_a_chart_of_nothing_or_of_free_answers_can_be_drawn():
    assert Chart.of([]).marks == []
    (mark,) = Chart.of(points(a_report(a_result(free=(10, 10, 0.0))))).marks
    assert mark.x < 100


@pytest.mark.parametrize(
    ("seconds", "unit", "bars"),
    [
        ([7], "a second", 1),
        ([0, 59], "a second", 2),
        ([0, 60], "5 seconds", 2),
        ([0, 3, 400_000], "2 hours", 2),
        ([0, 10**9], "a week", 2),
    ],
)
def test_answers_over_time_are_at_most_sixty_bars(seconds: list[int], unit: str, bars: int):
    over_time = AnswersOverTime.of(dict.fromkeys(seconds, 3))

    assert over_time is not None
    assert (over_time.unit, len(over_time.bars)) == (unit, bars)
    assert all(0 <= x < 1 and 0 < height <= 1 for x, height in over_time.bars)
    assert AnswersOverTime.of({}) is None
