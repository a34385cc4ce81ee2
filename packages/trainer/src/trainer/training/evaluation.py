"""Exams that all ranks sit together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.task import LabelKind
from trainer.data.examples import Question
from trainer.data.tokens import Ints
from trainer.model.answers import label_in, say
from trainer.model.student import Student
from trainer.model.tokenizer import encoder_of
from trainer.tasks import SEPARATOR, Task
from trainer.training.engine import World

_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """An exam's questions as token ids, longest first, in batches that are the same on all ranks.

    batches: (index of the question, its token ids). longest_answer: tokens, over the gold labels.
    """

    kind: LabelKind
    questions: Sequence[Question]
    batches: Sequence[Sequence[tuple[int, Ints]]]
    longest_answer: int


def paper(
    questions: Sequence[Question], kind: LabelKind, student: Student, task: Task, longest: int
) -> Paper:
    """Tokenise an exam once, for every time that it is sat. longest: input tokens."""
    encode = encoder_of(student.tokenizer)
    inputs = encode([task.prefix + question.input for question in questions], longest)
    after = "" if task.target == "label" else SEPARATOR
    answers = encode([question.gold + after for question in questions], longest)
    rows = [(index, np.array(ids)) for index, ids in enumerate(inputs)]
    rows.sort(key=lambda row: -len(row[1]))
    return Paper(
        kind=kind,
        questions=questions,
        batches=[rows[i : i + _ROWS_AT_ONCE] for i in range(0, len(rows), _ROWS_AT_ONCE)],
        longest_answer=max(map(len, answers)) + 1,
    )


def sit(student: Student, exam: Paper, world: World, *, lockstep: bool) -> list[str]:
    """The student's answers. Each rank answers its share of the batches; all get all answers."""
    batches = list(exam.batches)
    # All ranks must answer equally often (ZeRO-3); an answer given twice counts once, by its index.
    batches += batches[-1:] * (-len(batches) % world.size)
    synced = lockstep and world.size > 1
    student.model.eval()
    mine: dict[int, str] = {}
    for batch in batches[world.rank :: world.size]:
        said = say(student, [ids for _, ids in batch], exam.longest_answer, synced=synced)
        mine |= {index: label_in(text) for (index, _), text in zip(batch, said, strict=True)}
    every: dict[int, str] = {}
    for share in world.gather(mine):
        every |= share
    return [every[index] for index in range(len(exam.questions))]
