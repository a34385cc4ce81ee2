"""What a budget is enough for: rows and steps are reckoned dearer than they were, and never more is
planned than there is."""

from typing import Any

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher
from stepdistill.trainer.distil.budget import (
    BudgetPlan,
    bought_teacher,
    check_race,
    not_bought,
    of_money,
    pays_for_all,
    steps_within,
    trial_rows,
    usd_a_row,
    verdict,
)
from stepdistill.trainer.distil.frontier import on_frontier, priced

ROWS = {"train": 800, "valid": 100, "test": 100}
LEFT = {"rows": 70, "usd": 7.0, "accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95}
TRIAL = {"seconds": 8.0, "steps": 8, "ranks": 2, "wall_s": 28.0}


def offer(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "teacher": "small", "template": "plain", "accuracy": 0.8, "accuracy_low": 0.7,
        "accuracy_high": 0.9, "rows": 50, "usd_per_1000_rows": 2.0,
    }  # fmt: skip
    return {**given, **more}


@pytest.mark.parametrize("hour_usd", [None, 1.2])
def test_all_parts_together_are_the_budget(hour_usd: float | None) -> None:
    plan = BudgetPlan(budget_usd=20, hour_usd=hour_usd)
    money = of_money(plan, {"rows": 3.0, "choosing": 1.0})
    assert sum(planned for _, planned, _ in money[:-1]) == pytest.approx(20)
    assert money[-1] == ("all", 20, 4.0)
    assert ("Training is not counted" in plan.lines[-1]) == (hour_usd is None)


def test_all_rows_are_asked_where_the_money_is_enough() -> None:
    assert pays_for_all(10, 0.001, ROWS)
    assert pays_for_all(10, None, ROWS)
    assert not pays_for_all(1.2, 0.001, ROWS)  # a quarter dearer than so far
    with pytest.raises(ConfigError, match="220, the fewest that make sense"):
        pays_for_all(0.05, 0.001, ROWS)
    assert not pays_for_all(0.05, 0.001, ROWS, bought_usd=0.3)  # these are there already


def test_templates_are_tried_on_as_many_rows_as_their_part_pays() -> None:
    plan = BudgetPlan(budget_usd=5, hour_usd=None)  # 1 USD to choose by
    each = {"rows": 1000, "online_usd": {"likely": 4.0}}
    estimate = {"variants": {"template": [each, each]}}
    assert trial_rows(plan, estimate, 200) == 100
    assert trial_rows(plan, estimate, 60) == 60
    assert trial_rows(plan, {"variants": {}}, 60) == 60


def test_steps_are_as_many_as_the_time_that_is_paid() -> None:
    plan = BudgetPlan(budget_usd=8, hour_usd=3.6)  # 2 USD for training: 1,000 s on two GPUs
    assert steps_within(plan, 28.0, TRIAL, 10_000) == 785  # (1,000 - 28 - 30) / 1.2
    assert steps_within(plan, 28.0, TRIAL, 300) == 300
    assert steps_within(BudgetPlan(budget_usd=8, hour_usd=None), 0, TRIAL, 10_000) == 10_000
    with pytest.raises(ConfigError, match="enough for 3 steps"):
        steps_within(plan, 966.0, TRIAL, 10_000)


def test_what_was_bought_is_read_from_the_last_line_of_a_tournament() -> None:
    line = (
        "annotate run demo --data 'my data' --teacher a@1 --template plain --base-url http://h/v1 "
        "--effort low --store s --batch-api"
    )
    teacher, template = bought_teacher(line)
    assert teacher == NamedTeacher(
        teacher="a@1", effort="low", service="batch", addresses=("http://h/v1",)
    )
    assert template == "plain"


def test_a_race_that_the_money_is_not_enough_for_is_refused_before_anything_is_paid() -> None:
    each = {"rows": 1000, "online_usd": {"likely": 4.0}}  # 0.005 USD a row with what may be dearer
    estimates = [{"variants": {"template": [each, each]}}, {"variants": {"template": [each]}}]
    plan = BudgetPlan(budget_usd=2, hour_usd=None)  # 0.40 USD for choosing
    check_race(plan, estimates, 20)
    with pytest.raises(ConfigError, match=r"some 0\.4500 USD, and .* --budget to 2\.2500; nothing"):
        check_race(plan, estimates, 30)
    check_race(plan, [{"variants": {}}], 30)


def test_a_row_costs_what_the_bought_offer_did_else_what_was_estimated() -> None:
    raced = {"offers": [offer(usd_per_1000_rows=9.0), offer()], "buy": offer()}
    estimate = {"online_usd": {"likely": 3.0}, "to_ask": 1000}
    assert usd_a_row(raced, {}, "plain") == 0.002
    assert usd_a_row({"ranking": [offer(template="x"), offer()]}, estimate, "plain") == 0.002
    assert usd_a_row(None, estimate, None) == 0.003
    assert usd_a_row(None, {"online_usd": None, "to_ask": 9}, None) is None


def test_what_was_not_bought_has_its_price_and_its_gain() -> None:
    raced = {"buy": offer(), "offers": [offer(), offer(teacher="large", accuracy=0.9)]}
    votes = {
        "votes": 3,
        "against_base": {"value": 0.02, "low": 0.01, "high": 0.03},
        "to_pay_usd": {"value": 4.0, "low": 3.0, "high": 5.0},
    }
    worse = {**votes, "against_base": {"value": -0.02, "low": -0.1, "high": 0.0}}
    lines = [each.line for each in not_bought(LEFT, raced, {"choices": [votes, worse]})]
    assert lines == [
        "The other 70 rows, for 7.0000 USD: the small model that chooses rows, which is not the "
        "student, would be right on 90.0 % (80.0 % to 95.0 %).",
        "1,000 labels of large / plain, for 2.0000 USD: right on 90.0 % of 50 rows, where the one "
        "that was bought is right on 80.0 %.",
        "3 votes for each label, for 4.0000 USD: labels +2.0 points better (+1.0 to +3.0).",
    ]
    assert not_bought(None, None, None) == []


def test_a_target_is_reached_by_the_lower_end_of_an_interval() -> None:
    assert verdict({"accuracy": 0.95, "interval": [0.91, 0.97]}, 0.9)[0]
    is_reached, line = verdict({"accuracy": 0.95, "interval": [0.89, 0.97]}, 0.9)
    assert not is_reached and "does not surely reach 90.0 %" in line


def test_the_frontier_has_whoever_none_is_as_good_as_for_as_little() -> None:
    student = {"student": {"accuracy": 0.85, "interval": [0.8, 0.9]}}
    rule = {"cost": {"usd_per_1000": 0.5}, "guarantee": {"target": 0.88}}
    raced = {"offers": [offer(), offer(teacher="large", accuracy=0.9, usd_per_1000_rows=5.0)]}
    ways = priced(student, raced, rule)
    best = [each.who for each in on_frontier(ways)]
    assert best == ["student", "student and teacher, at least", "large / plain"]
