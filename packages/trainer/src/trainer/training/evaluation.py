"""How well a student does: greedy answers against gold labels, with a 95 % interval."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from common.labels import plain, same_label
from common.task import LabelKind
from trainer.config import Mode
from trainer.data.batches import PREDICT, pad_inputs
from trainer.data.examples import Question
from trainer.model.student import Student
from trainer.model.tokenizer import encoder_of
from trainer.training.engine import World

_ROWS_AT_ONCE = 64
_Z95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many of n rows were right. interval: Wilson's, 95 %, as fractions."""

    accuracy: float
    interval: tuple[float, float]
    right: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """An exam's questions as token ids, longest first, in batches that are the same on all ranks.

    batches: (index of the question, its token ids). longest_answer: tokens, over the gold labels.
    """

    kind: LabelKind
    questions: Sequence[Question]
    batches: Sequence[Sequence[tuple[int, list[int]]]]
    longest_answer: int


def paper(
    questions: Sequence[Question], kind: LabelKind, student: Student, mode: Mode, longest: int
) -> Paper:
    """Tokenise an exam once, for every time that it is sat. longest: input tokens."""
    encode = encoder_of(student.tokenizer)
    prefix = PREDICT if mode == "step-by-step" else ""
    inputs = encode([prefix + question.input for question in questions], longest)
    answers = encode([question.gold for question in questions], longest)
    rows = sorted(enumerate(inputs), key=lambda row: -len(row[1]))
    return Paper(
        kind=kind,
        questions=questions,
        batches=[rows[i : i + _ROWS_AT_ONCE] for i in range(0, len(rows), _ROWS_AT_ONCE)],
        longest_answer=max(map(len, answers)),
    )


def judge(student: Student, exam: Paper, world: World, *, lockstep: bool) -> Score:
    """The student's score. Each rank answers its share of the batches; all get the same score."""
    batches = list(exam.batches)
    # All ranks must answer equally often (ZeRO-3); an answer given twice counts once, by its index.
    batches += batches[-1:] * (-len(batches) % world.size)
    student.model.eval()
    right: dict[int, bool] = {}
    for batch in batches[world.rank :: world.size]:
        answers = _answers(student, exam, [ids for _, ids in batch], world, lockstep=lockstep)
        for (index, _), answer in zip(batch, answers, strict=True):
            right[index] = same_label(exam.kind, answer, exam.questions[index].gold)
    everywhere: dict[int, bool] = {}
    for share in world.gather(right):
        everywhere |= share
    return score(everywhere.values())


def teacher_score(questions: Sequence[Question], kind: LabelKind) -> Score:
    """The teacher's own labels against gold; a row that it did not label is wrong."""
    return score(
        row.teacher is not None and same_label(kind, row.teacher, row.gold) for row in questions
    )


def majority_score(labels: Iterable[str], questions: Sequence[Question], kind: LabelKind) -> Score:
    """What always giving the most frequent training label would score."""
    [(top, _)] = Counter(map(plain, labels)).most_common(1)
    return score(same_label(kind, top, question.gold) for question in questions)


def score(right: Iterable[bool]) -> Score:
    """Count the rows that are right; at least one row."""
    rows = list(right)
    n, k = len(rows), sum(rows)
    return Score(accuracy=k / n, interval=wilson(k, n), right=k, n=n)


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; unlike the plain one it stays within 0..1."""
    share, z2 = right / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _answers(
    student: Student, exam: Paper, rows: list[list[int]], world: World, *, lockstep: bool
) -> list[str]:
    input_ids, mask = pad_inputs(rows)
    with torch.inference_mode():
        answered = student.model.generate(  # pyright: ignore[reportAttributeAccessIssue] - a mixin's
            input_ids=input_ids.to(world.device),
            attention_mask=mask.to(world.device),
            max_new_tokens=exam.longest_answer + 1,
            do_sample=False,
            num_beams=1,
            synced_gpus=lockstep and world.size > 1,
        )
    return student.tokenizer.batch_decode(answered, skip_special_tokens=True)
