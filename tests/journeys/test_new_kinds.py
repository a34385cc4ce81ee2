"""Sets and numbers all the way: from a CSV of one's own to a student, its scores and its labels."""

import asyncio
import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.prompt.task import load_task
from stepdistill.common.kinds.registry import kind_of
from tests.journeys.conftest import Annotate
from tests.trainer.launching import TRAIN, python

ROWS = 120
SPLITS = ("train", "valid", "test")
MOODS = ("joy", "anger", "very sad", "fear")
MEASURES = {
    "moods": {"micro_f1", "macro_f1", "jaccard"},
    "stars": {"within", "mean_error", "rmse", "pearson", "spearman"},
}
SAID = {"moods": "the same set of classes, in any order", "stars": "a number within 0.4"}


def value_of(column: str, row: int) -> str:
    """Sets of none to three names; numbers from 1 to 5 by halves."""
    if column == "stars":
        return f"{1 + row % 9 / 2:g}"
    return "; ".join(MOODS[(row // 4 + n) % 4] for n in range(row % 4)) or "none"


def write_csv(path: Path, column: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", column])
        rows.writerows(
            (f"Letter {row} is about thing {row % 9}.", value_of(column, row))
            for row in range(ROWS)
        )


def is_complete(column: str, measures: Mapping[str, Any]) -> bool:
    """Whether what the kind measures is there, and finite."""
    return set(measures) == MEASURES[column] and all(map(math.isfinite, measures.values()))


def is_finite(measures: Mapping[str, Any]) -> bool:
    """A student that says no number has no errors, and one that says one has no correlation."""
    return bool(measures) and all(math.isfinite(value) for value in measures.values())


def new_task(annotate: Annotate, home: Path, column: str) -> None:
    write_csv(home / "rows.csv", column)
    made = annotate("new", "mine", "rows.csv", "--label", column, "--valid", "0.2", "--test", "0.2")
    assert made.code == 0, made.err


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("column", MEASURES)
def test_templates_are_measured_by_what_the_kind_measures(
    annotate: Annotate, tmp_path: Path, column: str
) -> None:
    new_task(annotate, tmp_path, column)
    tried = annotate(
        *("experiment", "mine", "--teacher", "simulated", "--data", "data/mine"),
        *("--test-size", "20", "--seed", "1", "--md", "templates.md", "--json"),
    )
    assert tried.code == 0, tried.err
    assert SAID[column] in tried.json["right_is"]
    for entry in tried.json["ranking"]:
        found = {name: entry[name] for name in MEASURES[column]}
        assert is_complete(column, found)
        assert entry["parse_rate"] == 1.0
    assert f"Right is {SAID[column]}" in (tmp_path / "templates.md").read_text(encoding="utf-8")
    shown = annotate("evaluate", "mine", "--data", "data/mine")
    assert shown.code == 0, shown.err
    assert all(name.split("_")[0] in shown.out for name in MEASURES[column])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("column", MEASURES)
async def test_a_student_learns_them_is_evaluated_and_labels_rows(
    annotate: Annotate, tmp_path: Path, column: str
) -> None:
    new_task(annotate, tmp_path, column)
    done = annotate(
        *("run", "mine", "--teacher", "simulated", "--data", "data/mine"),
        *("--split", ",".join(SPLITS)),
    )
    assert done.code == 0, done.err
    shards, student = tmp_path / "runs" / "mine", tmp_path / "student"
    splits = [word for split in SPLITS for word in (f"--{split}", shards / split)]
    await asyncio.to_thread(
        python,
        tmp_path,
        *(TRAIN, *splits, "--model", "micro", "--steps", "20", "--output", student, "--quiet"),
    )
    results = json.loads((student / "results.json").read_bytes())
    assert is_complete(column, results["test"]["teacher"]["measures"])
    assert is_finite(results["test"]["student"]["measures"])
    command, scores = ("-m", "stepdistill.trainer"), tmp_path / "scores.json"
    await asyncio.to_thread(
        python, tmp_path, *command, "evaluate", student / "model", shards / "test", "--json", scores
    )
    judged = json.loads(scores.read_bytes())
    assert is_complete(column, judged["teacher"]["measures"])
    assert is_finite(judged["student"]["measures"])
    rows = tmp_path / "data" / "mine" / "test.jsonl"
    labels = tmp_path / "labels.jsonl"
    await asyncio.to_thread(
        python, tmp_path, *command, "predict", student / "model", rows, "--output", labels
    )
    kind = kind_of(load_task(tmp_path / "prompts", "mine").label)
    said = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    assert len(said) == len(rows.read_text(encoding="utf-8").splitlines())
    assert all(line["label"] is None or kind.check(line["label"], {}) is None for line in said)
    assert kind.choices({}) == ()  # a student may say any set, and not one class of it alone
