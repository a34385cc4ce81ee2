"""A student's answers as the lines that people get, from `predict` and from `serve` alike."""

from collections.abc import Sequence

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.rows import AskedRow

Line = dict[str, object]


def answer_lines(pupil: Predictor, rows: Sequence[AskedRow], *, explain: bool) -> list[Line]:
    """id, label and probability of each row, and with `explain` its rationale; one batch."""
    answers = pupil.label(rows)
    lines: list[Line] = [
        {"id": row.id, "label": answer.label, "probability": round(answer.probability, 6)}
        for row, answer in zip(rows, answers, strict=True)
    ]
    if explain:
        for line, rationale in zip(lines, pupil.explain(rows), strict=True):
            line["rationale"] = rationale
    return lines


def abstained(line: Line, below: float) -> Line:
    """The line, without a label that is less likely than `below`."""
    probability = line["probability"]
    assert isinstance(probability, float)
    return line if probability >= below else {**line, "label": None}


def can_explain(pupil: Predictor) -> bool:
    """Whether the student has learnt to give reasons."""
    return pupil.use.explain_prefix is not None or pupil.use.with_label


def check_explains(pupil: Predictor, option: str) -> None:
    """Raises ConfigError, naming the option that asks a student for reasons it cannot give."""
    if not can_explain(pupil):
        raise ConfigError(f"{option}: this student of {pupil.use.task} has not learnt to explain")
