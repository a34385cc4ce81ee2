"""Evaluation that all ranks share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.data.tokens import Ints, truncate
from stepdistill.trainer.model.answers import choose, generate, label_in
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of
from stepdistill.trainer.settings.tasks import SEPARATOR, Task
from stepdistill.trainer.settings.train import EvaluateBy
from stepdistill.trainer.training.engine import World

_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalBatches:
    """Examples to judge as token ids, longest first, in batches that are the same on all ranks."""

    examples: Sequence[EvalExample]
    batches: Sequence[Sequence[tuple[int, Ints]]]  # (index of the example, its token ids)
    longest_answer: int  # tokens, over the gold labels
    whole: bool  # an answer is the label alone
    by: EvaluateBy  # how an answer is found
    cut: int  # inputs that were too long


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalAnswers:
    """The labels that were answered."""

    labels: Sequence[str]
    probabilities: Sequence[float] | None  # 0..1; None: not known


def tokenise_eval(
    examples: Sequence[EvalExample], student: Student, task: Task, longest: int, by: EvaluateBy
) -> EvalBatches:
    """Tokenise the examples once, for every evaluation. longest: input tokens.

    Raises ConfigError where labels are to be scored and a row has no set of them.
    """
    bare = next((q for q in examples if len(q.choices) < 2), None)
    if by == "scoring" and bare is not None:
        raise ConfigError(
            f"--evaluate-by scoring: row {bare.id} has no closed set of labels: take greedy"
        )
    encode = encoder_of(student.tokenizer)
    inputs, cut = truncate(encode, [task.prefix + example.input for example in examples], longest)
    after = "" if task.target == "label" else SEPARATOR
    answers = encode([example.gold + after for example in examples], longest)
    tokenised = [(index, np.array(ids)) for index, ids in enumerate(inputs)]
    tokenised.sort(key=lambda row: -len(row[1]))
    return EvalBatches(
        examples=examples,
        batches=[tokenised[i : i + _ROWS_AT_ONCE] for i in range(0, len(tokenised), _ROWS_AT_ONCE)],
        longest_answer=max(map(len, answers)) + 1,
        whole=task.target == "label",
        by=by,
        cut=cut,
    )


def evaluate(student: Student, rows: EvalBatches, world: World, *, lockstep: bool) -> EvalAnswers:
    """The student's answers. Each rank answers its share of the batches; all get all answers."""
    batches = list(rows.batches)
    # All ranks must answer equally often (ZeRO-3); an answer given twice counts once, by its index.
    batches += batches[-1:] * (-len(batches) % world.size)
    synced = lockstep and world.size > 1
    student.model.eval()
    mine: dict[int, _Answer] = {}
    for batch in batches[world.rank :: world.size]:
        answers = _answers(student, rows, batch, synced=synced)
        mine |= {index: answer for (index, _), answer in zip(batch, answers, strict=True)}
    every: dict[int, _Answer] = {}
    for share in world.gather(mine):
        every |= share
    labels, probabilities = zip(*(every[index] for index in range(len(rows.examples))), strict=True)
    return EvalAnswers(labels=labels, probabilities=probabilities if rows.by == "scoring" else None)


_Answer = tuple[str, float | None]


def _answers(
    student: Student, rows: EvalBatches, batch: Sequence[tuple[int, Ints]], *, synced: bool
) -> list[_Answer]:
    inputs = [ids for _, ids in batch]
    if rows.by == "scoring":
        choices = [rows.examples[index].choices for index, _ in batch]
        likeliest = choose(student, inputs, choices, whole=rows.whole)
        return [(answer.label, answer.probability) for answer in likeliest]
    texts = generate(student, inputs, rows.longest_answer, synced=synced)
    return [(label_in(text), None) for text in texts]
