"""Scores and reports for these tests."""

from pathlib import Path
from typing import Any

from stepdistill.annotator.study.metadata import Setting, Style, TemplateScore
from stepdistill.annotator.study.ranking import rank
from stepdistill.annotator.study.report import Report
from stepdistill.annotator.study.score import Scored
from stepdistill.common.manifest import TokenTotals


def a_setting(**changes: Any) -> Setting:
    parts: dict[str, Any] = {
        "teacher": "t",
        "server": "localhost/v1",
        "split": "train",
        "reader": "verdict",
        "test_size": 4,
        "seed": 1,
    }
    return Setting(**{**parts, **changes})


def a_score(correct: int = 3, rows: int = 4, **changes: Any) -> TemplateScore:
    parts: dict[str, Any] = {
        "prompt": "abc",
        "rows": rows,
        "unanswered": 0,
        "correct": correct,
        "labels": rows,
        "rationales": rows,
        "style": Style(
            characters=60, characters_variance=4, words=10, sentences=1, reading_ease=None
        ),
        "tokens": TokenTotals(prompt=40 * rows, completion=10 * rows),
        "cost_usd": 0.01 * rows,
    }
    return TemplateScore(**{**parts, **changes})


def scored(template: str, correct: str, **changes: Any) -> Scored:
    """correct: a character for each row: 1 right, 0 wrong, - not answered."""
    rows = {f"row-{n}": mark == "1" for n, mark in enumerate(correct) if mark != "-"}
    score = a_score(sum(rows.values()), len(rows), **changes)
    return Scored(template=template, score=score, correct=rows)


def a_report(*each: Scored, **changes: Any) -> Report:
    parts: dict[str, Any] = {
        "task": "sums",
        "setting": a_setting(),
        "n_rows": 4,
        "without_gold": 0,
        "remarks": [],
        "ranking": rank(list(each)),
        "metadata": Path("metadata.yaml"),
    }
    return Report(**{**parts, **changes})
