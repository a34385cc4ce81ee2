"""The page of `evaluate --html`: how good the student is, where it errs, and how it learnt."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, Self

import orjson

from stepdistill.common.example_rows import ExampleRow, ExampleRows, cut
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.page import percent, rendered
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.inference.class_tables import NO_CLASS, Confusion, classes_met
from stepdistill.trainer.model.answers import StudentAnswer
from stepdistill.trainer.scores import Calibration, Difference, Score, correct, measure_lines
from stepdistill.trainer.settings.train import RESULTS_NAME

_TEMPLATE = Path(__file__).parent / "templates" / "evaluation.html.jinja"
_MOST_CLASSES = 100
_MOST_IN_MATRIX = 20
_MOST_POINTS = 400  # of a curve
# The picture's edges, in units of its SVG; y grows downward.
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 548, 14, 170


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was found. Costs are for 1,000 rows, in USD; None where a price is not known."""

    student: Score  # as `predict` answers: of a closed set of labels the likeliest
    # Of what it says where nothing tells it which labels there are; None: that is the same, or it
    # says no words.
    student_freely: Score | None
    teacher: Score
    student_less_teacher: Difference
    majority_label: str  # the most frequent gold label of these rows
    majority: Score  # of whoever always says it
    student_less_majority: Difference
    macro_f1: dict[str, float] | None  # of student and teacher, where labels name classes
    confusion: Confusion | None  # of the student, where a label is one class of a set
    calibration: Calibration
    rows_per_s: float
    student_cost_usd: float | None
    teacher_cost_usd: float | None


def evaluation_page(
    found: Evaluation,
    examples: Sequence[EvalExample],
    answers: Sequence[StudentAnswer],
    kind: Kind,
    model: Path,
) -> str:
    """The whole page. examples, answers: row by row. model: its run's results lie beside it."""
    classes = found.student.classes or {}
    return rendered(
        _TEMPLATE,
        found=found,
        happened=_happened(found),
        measures=measure_lines({"student": found.student, "teacher": found.teacher}),
        model=quote(str(model)),
        classes=dict(list(classes.items())[:_MOST_CLASSES]),
        n_classes=len(classes),
        matrix=_matrix(found.confusion, list(classes)) if found.confusion else None,
        sorts=[each for each in _sorts(examples, answers, kind) if len(each[1])],
        curves=_curves(model.parent / RESULTS_NAME),
    )


def _happened(found: Evaluation) -> str:
    gap, (low, high) = found.student_less_teacher, found.student_less_teacher.interval
    student, teacher = found.student, found.teacher
    points = f"{100 * gap.difference:+.1f} points, {100 * low:+.1f} to {100 * high:+.1f}"
    how = "no clear difference" if low <= 0 <= high else "better" if low > 0 else "worse"
    return (
        f"The student is right on {percent(student.accuracy)} of {student.n:,} rows, its teacher "
        f"on {percent(teacher.accuracy)}: {how} ({points}). Whoever always says "
        f"{found.majority_label} is right on {percent(found.majority.accuracy)}."
    )


def _sorts(
    examples: Sequence[EvalExample], answers: Sequence[StudentAnswer], kind: Kind
) -> list[tuple[str, ExampleRows]]:
    """Rows by which of the two was right."""
    students = correct([answer.label for answer in answers], examples, kind)
    teachers = correct([example.teacher for example in examples], examples, kind)
    headings = {
        (False, True): "The student is wrong, the teacher right",
        (True, False): "The student is right, the teacher wrong",
        (False, False): "Both are wrong",
    }
    sorts = {key: ExampleRows() for key in headings}
    for example, answer, *right in zip(examples, answers, students, teachers, strict=True):
        rows = sorts.get((right[0], right[1]))
        if rows is not None:
            rows.offer("", example.id, partial(_example, example, answer))
    return [(heading, sorts[key]) for key, heading in headings.items()]


def _example(example: EvalExample, answer: StudentAnswer) -> ExampleRow:
    return ExampleRow(
        id=example.id,
        input=cut(example.input),
        gold=example.gold,
        label=f"{answer.label} ({percent(answer.probability)})",
        rationale=cut(example.rationale or ""),
        teacher=example.teacher or "none",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Which classes were answered for which: shares of a gold class' rows, and their number."""

    names: list[str]  # across; with NO_CLASS where something else was answered
    rows: list[tuple[str, list[tuple[int, float]]]]


def _matrix(found: Confusion, classes: list[str]) -> Matrix | None:
    names = classes_met(found, classes)
    if not 0 < len(names) <= _MOST_IN_MATRIX:
        return None
    across = [*names, *([NO_CLASS] if any(NO_CLASS in row for row in found.values()) else [])]
    rows = []
    for gold in names:
        row = found.get(gold, {})
        n = sum(row.values()) or 1
        rows.append((gold, [(row.get(name, 0), row.get(name, 0) / n) for name in across]))
    return Matrix(names=across, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlottedLine:
    """A line over the steps. path: of the SVG."""

    name: str
    path: str
    last: float

    @classmethod
    def of(cls, name: str, points: Sequence[tuple[int, float]], steps: int, most: float) -> Self:
        """points: (step, value from 0 to most)."""
        shown = [*points[:: max(1, len(points) // _MOST_POINTS)], points[-1]]
        places = (
            f"{_LEFT + (_RIGHT - _LEFT) * step / steps:.1f} "
            f"{_BOTTOM - (_BOTTOM - _TOP) * min(value / most, 1):.1f}"
            for step, value in shown
        )
        return cls(name=name, path="M" + " L".join(places), last=points[-1][1])


def _curves(results: Path) -> list[tuple[str, float, int, list[PlottedLine]]]:
    """Pictures of losses and exams: heading, the highest value, the last step, lines. None where
    the run's results are not beside the model."""
    try:
        history: dict[str, Any] = orjson.loads(results.read_bytes())["history"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    train, exams = history.get("train") or [], history.get("valid") or []
    names = list(train[0].get("losses") or {}) if train else []
    losses = {name: [(at["step"], at["losses"][name]) for at in train] for name in names}
    accuracy = {"on the valid rows": [(at["step"], at["accuracy"]) for at in exams]}
    most = max((value for line in losses.values() for _, value in line), default=0.0)
    pictures = [("Loss", most, losses), ("Share of right labels", 1.0, accuracy)]
    return [
        (
            heading,
            top,
            steps,
            [PlottedLine.of(name, line, steps, top) for name, line in lines.items()],
        )
        for heading, top, lines in pictures
        if top > 0 and all(lines.values()) and lines
        for steps in [max(step for line in lines.values() for step, _ in line)]
    ]
