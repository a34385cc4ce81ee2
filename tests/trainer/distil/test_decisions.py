"""What is said of each step, and what is decided."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.distil import decisions
from stepdistill.trainer.distil.steps import Steps, steps_for
from stepdistill.trainer.settings.distil import SIMULATED, DistilSettings
from stepdistill.trainer.settings.train import TrainSettings

NEW: dict[str, Any] = {
    "splits": {"train": {"a": 30, "b": 9, "": 5}, "valid": {"a": 4}, "test": {}},
    "label": ["mood"],
    "kind": "classes",
    "why": "2 different values",
    "text": ["message"],
    "remarks": ["class b is rare"],
}


def settings(max_cost: str | None = None, out: str = "runs/A b") -> DistilSettings:
    return DistilSettings(
        file=Path("a.csv"), teacher="m", student="micro", out=Path(out), max_cost=max_cost
    )


def ranked(template: str, right: float, p: float | None, usd: float | None) -> dict[str, Any]:
    ends = {"accuracy_low": right - 0.1, "accuracy_high": right + 0.1}
    figures = {"accuracy": right, **ends, "rows": 50, "p_holm": p, "usd_per_1000_rows": usd}
    return {"template": template, **figures}


def test_rows_are_counted_with_and_without_a_label() -> None:
    splits = decisions.splits_of(NEW)
    assert splits.rows == {"train": 44, "valid": 4}
    assert splits.labelled == {"train": 39, "valid": 4, "test": 0}
    lines = decisions.of_new(NEW)
    assert lines[0].startswith("48 rows: train 44, valid 4.")
    assert "43 rows have one" in lines[1]
    assert lines[2] == "Note: class b is rare"


def test_few_labels_rank_no_template() -> None:
    new = {**NEW, "splits": {"train": {"a": 19, "": 400}}}
    splits = decisions.splits_of(new)
    assert not decisions.is_rankable(splits)
    assert decisions.is_rankable(decisions.splits_of(NEW))
    assert "19 rows of train have a label" in decisions.of_no_experiment(splits)[0]


def test_the_price_is_said_against_the_ceiling() -> None:
    part = {"online_usd": {"likely": 2.0}, "rows": 40}
    estimate = {
        "to_ask": 48,
        "online_usd": {"low": 1.0, "likely": 2.5, "high": 4.0},
        "variants": {"template": [part, part]},
    }
    splits = decisions.splits_of(NEW)
    told = " ".join(decisions.of_estimate(estimate, splits, settings(max_cost="2")))
    assert "48 answers: 1.0000 to 4.0000 USD, likely 2.5000." in told
    assert "at most 3.9000 USD" in told  # 39 rows of two templates, 0.05 each
    assert "more than --max-cost 2" in told
    assert "There is no ceiling" in " ".join(decisions.of_estimate(estimate, splits, settings()))
    unknown = {**estimate, "online_usd": None}
    assert "prices.yaml" in decisions.of_estimate(unknown, splits, settings())[0]


def test_a_simulated_teacher_is_not_said_to_know_a_label() -> None:
    simulated = replace(settings(), teacher=SIMULATED)
    [line] = decisions.of_estimate({}, decisions.splits_of(NEW), simulated)
    assert "made up" in line and "gold" not in line  # there is none with --labels


def test_the_leader_asks_and_what_is_as_good_and_cheaper_is_named() -> None:
    ranking = [
        ranked("one", 0.9, None, 5.0),
        ranked("two", 0.88, 1.0, 2.0),
        ranked("three", 0.5, 0.001, 1.0),
        ranked("four", 0.4, 1.0, 1.0),
    ]
    found: dict[str, Any] = {"ranking": ranking, "race": {"stopped": {"four": 10}}, "remarks": []}
    found["cost_usd"] = 0.25
    first, near, cheaper, stopped, cost = decisions.of_experiment(found, 60)
    assert first.startswith("`one` asks: 90.0 % of 50 rows right (80.0 % to 100.0 %)")
    assert near == "`two` cannot be told from it by so few rows; --test-size asks more."
    all_asked = decisions.of_experiment(found, 50)
    assert all_asked[1].endswith("so few rows; more rows with a label would tell.")
    assert cheaper == "`two` would cost 2.0000 USD a thousand rows, and it 5.0000."
    assert stopped.endswith("`four`.")
    assert cost == "It cost 0.2500 USD."


def test_a_student_no_better_than_the_majority_is_called_so() -> None:
    score = {"accuracy": 0.5, "interval": [0.4, 0.6], "n": 60}
    found = {
        "student": score,
        "teacher": score,
        "majority": score,
        "majority_label": "a",
        "student_less_teacher": {"difference": 0.0, "interval": [-0.1, 0.1]},
        "student_less_majority": {"difference": 0.0, "interval": [-0.1, 0.1]},
    }
    assert "NO BETTER THAN always saying `a`" in decisions.of_evaluation(found)[1]
    found["student_less_majority"] = {"difference": 0.3, "interval": [0.1, 0.5]}
    assert "is better than always" in decisions.of_evaluation(found)[1]
    assert decisions.of_evaluation({**found, "notes": ["so"]})[-1] == "NOTE: so."


def test_steps_go_over_the_rows_within_bounds() -> None:
    assert [steps_for(n) for n in (10, 480, 10**6)] == [200, 300, 10_000]


def test_the_tasks_name_is_the_folders() -> None:
    assert settings().task == "a-b"
    assert settings(out="Über Reviews/").task == "uber-reviews"


def test_a_classifier_that_is_as_good_is_said() -> None:
    def score(right: int) -> dict[str, Any]:
        return {"accuracy": right / 100, "n": 100, "right": right, "interval": (0.1, 0.9)}

    asked = replace(settings(), baseline="bert")
    for student, verdict in (
        (60, "is NO BETTER THAN the classifier: -20.0 points"),
        (80, "is NO BETTER THAN the classifier: +0.0 points"),
        (85, "is NOT CLEARLY BETTER THAN the classifier: +5.0 points"),
        (98, "is better than it: +18.0 points"),
    ):
        told = decisions.of_baseline({"student": score(student)}, score(80), asked)
        assert "A classifier on `bert`, of labels alone: 80.0 %" in told[0]
        assert verdict in told[1]


def test_a_classifier_learns_what_the_students_own_options_had_it_learn() -> None:
    train = TrainSettings(
        train=(Path("train"),), test=(Path("test"),), model="t5", output=Path("out"),
        labels="gold", subsample=0.5, soft_labels=True, seed=3, lr=1e-3, mode="label-rationale",
    )  # fmt: skip
    steps = Steps(replace(settings(), baseline="bert"))
    words = steps.baseline(["train"], 480, asdict(train)).words
    alike = "--labels gold --subsample 0.5 --soft-labels --seed 3 --student encoder"
    assert alike in " ".join(words) and not {"--lr", "--mode"} & {*words}
    plain = steps.baseline(["train"], 480, asdict(replace(train, labels="teacher", subsample=1.0)))
    assert "--labels" not in plain.words and "--subsample" not in plain.words


def test_a_split_without_a_label_is_named_with_the_reasons() -> None:
    run: dict[str, Any] = {
        "splits": {"train": {"records": 9}, "valid": {"records": 2}, "test": {"records": 0}},
        "rejected_by_reason": {"no_verdict": 4, "refusal": 1},
    }
    with pytest.raises(ConfigError, match=r"of test .*no_verdict 4, refusal 1\): out/test/rej"):
        decisions.learnt_splits(run, Path("out"))
    run["splits"]["test"]["records"] = 1
    assert decisions.learnt_splits(run, Path("out")) == ["train", "valid", "test"]
