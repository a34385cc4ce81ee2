"""Evaluation that all ranks share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.kind import Kind
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.data.tokens import Ints, truncate
from stepdistill.trainer.model.answers import choose, generate, label_in, log_probabilities_of
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of
from stepdistill.trainer.settings.tasks import SEPARATOR, Task, explainer
from stepdistill.trainer.settings.train import EvaluateBy, TrainSettings
from stepdistill.trainer.training.engine import World

_ROWS_AT_ONCE = 64
_EXPLAINED_AT_ONCE = 16  # a reason has some hundred tokens, and each its logits of all words


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


ExplainBatches = Sequence[Sequence[tuple[Ints, Ints]]]
"""Of rows with a rationale: the tokens that are read, those that the teacher answers with."""


def tokenise_reasons(
    examples: Sequence[EvalExample], student: Student, config: TrainSettings, kind: Kind
) -> ExplainBatches:
    """Batches for `explain_loss`, the same on all ranks; none where nothing is to be explained."""
    task = explainer(config.table())
    if task is None or config.selected_by == "label":
        return ()
    inputs, targets = list[str](), list[str]()
    for row in examples:
        if row.rationale is None or row.teacher is None:
            continue
        before = "" if task.target == "rationale" else f"{kind.target(row.teacher)}{SEPARATOR}"
        inputs.append(task.prefix + row.input)
        targets.append(before + row.rationale)
    encode = encoder_of(student.tokenizer)
    read, _ = truncate(encode, inputs, config.max_input_tokens)
    said, _ = truncate(encode, targets, config.max_target_tokens)
    pairs = [(np.array(one), np.array(other)) for one, other in zip(read, said, strict=True)]
    pairs.sort(key=lambda pair: -len(pair[1]))
    return [pairs[i : i + _EXPLAINED_AT_ONCE] for i in range(0, len(pairs), _EXPLAINED_AT_ONCE)]


def explain_loss(student: Student, batches: ExplainBatches, world: World) -> float | None:
    """How unlikely the teacher's reasons are to the student: the mean loss of a token."""
    if not batches:
        return None
    student.model.eval()
    lost: dict[int, tuple[float, int]] = {}
    # All ranks must compute equally often (ZeRO-3); what is computed twice counts once.
    for turn in range(-(-len(batches) // world.size)):
        number = min(turn * world.size + world.rank, len(batches) - 1)
        inputs, targets = zip(*batches[number], strict=True)
        found = log_probabilities_of(student, inputs, [[target] for target in targets])
        lost[number] = -sum(log for [log] in found), sum(map(len, targets))
    every: dict[int, tuple[float, int]] = {}
    for share in world.gather(lost):
        every |= share
    losses, tokens = zip(*(every[number] for number in sorted(every)), strict=True)
    return sum(losses) / sum(tokens)


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
