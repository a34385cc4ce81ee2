"""What the page says, and where it draws templates and answers."""

from itertools import pairwise

import pytest

from stepdistill.annotator.report.account import Judged
from stepdistill.annotator.report.advice import advice, happened
from stepdistill.annotator.report.html import AnswersOverTime, Chart
from stepdistill.annotator.report.report import points
from tests.annotator.report.made import a_report, a_result, judged


def test_names_of_marks_do_not_lie_on_each_other():
    crowd = {f"t{n}": (1000, 900 + n, 0.1 + n / 10_000) for n in range(8)}
    chart = Chart.of(points(a_report(a_result("any-model", **crowd))))

    assert len(chart.marks) == 8
    assert all(one.name_y - other.name_y >= 14 for one, other in pairwise(chart.marks))
    assert chart.frontier.count("V") == 7
    assert [accuracy for accuracy, _ in chart.ticks] == [0.9, 1.0]


def what_to_do(**by_template: Judged) -> list[str]:
    report = a_report(**by_template)
    account = report.account
    account.rows = sum(each.rows for each in by_template.values())
    return [each.why for each in advice(report)]


def test_a_page_says_in_a_sentence_what_came_of_a_run_and_what_to_do_now():
    report = a_report(good=judged(90, 80, "0.5"))
    report.account.rows = 100
    report.account.rejected["no_label"].rows = 10
    said = happened(report)
    assert said.startswith("90 of 100 rows have a record (90.0 %), 88.9 % of 90 known labels are ")
    assert "95 %: 80.7 % to 93.9 %" in said and said.endswith("It cost nothing.")
    rejected, *_ = advice(report)
    assert rejected.why == "10 rows were rejected (no_label): look at some."
    assert rejected.command == "annotate view o --store s"

    assert what_to_do(good=judged(90, 80, "0")) == ["Look at its rows."]
    unjudged = what_to_do(good=Judged(rows=9, labels=9))
    assert unjudged[0].startswith("No label is known to be right")
    report.account.rejected["no_answer"].rows = 3
    assert next(advice(report)).why.startswith("3 rows have no answer yet")


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
