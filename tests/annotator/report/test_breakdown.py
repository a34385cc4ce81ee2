"""Which templates are efficient, and where that is drawn."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from stepdistill.annotator.report.account import Account, Judged
from stepdistill.annotator.report.breakdown import THIS_RUN, best_and_own, points
from stepdistill.annotator.report.chart import AnswersOverTime, Chart
from stepdistill.annotator.report.report import RunReport
from stepdistill.annotator.run.run_notes import note_of
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.metadata import TemplateResult
from tests.annotator.study.made import a_score, a_setting


def judged(rows: int, correct: int, usd: str) -> Judged:
    return Judged(rows=rows, gold=rows, correct=correct, usd=Decimal(usd))


def a_report(*results: TemplateResult, **by_template: Judged) -> RunReport:
    config = RunSettings(
        task="t",
        splits=("train",),
        teacher="any-model",
        prompts=Path("p"),
        store=Path("s"),
        out=Path("o"),
    )
    account = Account()
    account.judged.update(by_template)
    note = note_of(config, "name", "run")
    return RunReport(note=note, account=account, planned=None, changed=None, results=list(results))


def a_result(teacher: str = "any-model", /, **scores: tuple[int, int, float]) -> TemplateResult:
    return TemplateResult(
        setting=a_setting(teacher=teacher),
        reader_version=1,
        data="",
        templates={
            name: a_score(rows=rows, correct=correct, cost_usd=usd)
            for name, (rows, correct, usd) in scores.items()
        },
    )


def test_efficient_is_what_no_other_beats_at_its_price_or_below():
    report = a_report(
        a_result(cheap=(10, 5, 0.1), worse=(10, 4, 0.2), same=(10, 8, 0.4)),
        a_result("another", perfect=(10, 10, 0.0)),
        good=judged(100, 80, "3"),
        poor=judged(100, 60, "9"),
        silent=Judged(rows=100, usd=Decimal(1)),
    )
    found = points(report)

    assert [(each.template, each.efficient) for each in found] == [
        ("cheap", True),
        ("worse", False),
        ("good", True),
        ("same", False),
        ("poor", False),
    ]
    assert [each.template for each in best_and_own(found)] == ["cheap", "good", "poor"]
    assert {each.basis for each in found if each.template in ("good", "poor")} == {THIS_RUN}


def test_an_experiment_is_not_shown_beside_itself():
    report = a_report(a_result(one=(10, 5, 0.1)), one=judged(10, 5, "0.1"))

    assert [each.basis for each in points(report)] == [THIS_RUN]


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
    pace = AnswersOverTime.of(dict.fromkeys(seconds, 3))

    assert pace is not None
    assert (pace.unit, len(pace.bars)) == (unit, bars)
    assert all(0 <= x < 1 and 0 < height <= 1 for x, height in pace.bars)
    assert AnswersOverTime.of({}) is None
