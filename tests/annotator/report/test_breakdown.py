"""Which templates are efficient."""

from decimal import Decimal

from stepdistill.annotator.report.account import Judged
from stepdistill.annotator.report.report import THIS_RUN, best_and_own, points
from tests.annotator.report.made import a_report, a_result, judged


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
