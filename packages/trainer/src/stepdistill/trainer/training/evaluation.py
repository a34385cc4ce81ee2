"""Evaluation that all ranks share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.kind import Kind
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.data.tokens import Ints, truncate
from stepdistill.trainer.model.answers import StudentAnswer, label, log_probabilities_of
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of
from stepdistill.trainer.settings.tasks import SEPARATOR, Task, explainer
from stepdistill.trainer.settings.train import EvaluateBy, TrainSettings
from stepdistill.trainer.training.engine import World

_ROWS_AT_ONCE = 64
_LONG = 1 << 20  # tokens of no label
_EXPLAINED_AT_ONCE = 16  # a reason has some hundred tokens, and each its logits of all words


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalBatches:
    """Examples to judge as token ids, in batches that are the same on all ranks: those with a set
    of labels apart from those without, the longest first."""

    examples: Sequence[EvalExample]
    batches: Sequence[Sequence[tuple[int, Ints]]]  # (index of the example, its token ids)
    longest_answer: int  # tokens
    whole: bool  # an answer is the label alone
    by: EvaluateBy  # how an answer is found
    cut: int  # inputs that were too long

    def choices(self, batch: Sequence[tuple[int, Ints]]) -> list[tuple[str, ...]]:
        """The labels of which each row's answer is one; none where it is what the student says."""
        free = self.by == "free"
        return [() if free else self.examples[index].choices for index, _ in batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalAnswers:
    """The labels that were answered."""

    labels: Sequence[str]
    probabilities: Sequence[float]  # 0..1


def longest_label(student: Student, task: Task, labels: Iterable[str]) -> int:
    """Tokens of the longest of these labels as an answer to the task, and one more, so that an
    answer that goes on is told from one that ends."""
    if student.head is not None:
        return 0  # it says no words
    after = "" if task.target == "label" else SEPARATOR
    spelt = encoder_of(student.tokenizer)([each + after for each in dict.fromkeys(labels)], _LONG)
    return max(map(len, spelt), default=0) + 1


def tokenise_eval(
    examples: Sequence[EvalExample],
    student: Student,
    task: Task,
    longest: int,
    by: EvaluateBy,
    longest_answer: int | None = None,
) -> EvalBatches:
    """Tokenise the examples once, for every evaluation. longest: input tokens, if the student has
    places for so many. longest_answer: tokens; None: as the examples' own labels have.

    Raises ConfigError where labels are to be scored and a row has no set of them.
    """
    bare = next((q for q in examples if not q.choices), None)
    if by == "scoring" and bare is not None:
        raise ConfigError(
            f"--evaluate-by scoring: row {bare.id} has no closed set of labels: take greedy"
        )
    encode = encoder_of(student.tokenizer)
    texts = [task.prefix + example.input for example in examples]
    inputs, cut = truncate(encode, texts, student.input_limit(longest))
    tokenised = [(index, np.array(ids)) for index, ids in enumerate(inputs)]
    tokenised.sort(key=lambda row: -len(row[1]))
    closed = [row for row in tokenised if by != "free" and examples[row[0]].choices]
    spoken = [row for row in tokenised if by == "free" or not examples[row[0]].choices]
    own = (text for each in examples for text in (each.gold, each.teacher) if text is not None)
    return EvalBatches(
        examples=examples,
        batches=[*_in_batches(closed), *_in_batches(spoken)],
        longest_answer=longest_answer or longest_label(student, task, own),
        whole=task.target == "label",
        by=by,
        cut=cut,
    )


def _in_batches(rows: Sequence[tuple[int, Ints]]) -> list[Sequence[tuple[int, Ints]]]:
    return [rows[i : i + _ROWS_AT_ONCE] for i in range(0, len(rows), _ROWS_AT_ONCE)]


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


def explain_loss(
    student: Student, batches: ExplainBatches, world: World, *, lockstep: bool
) -> float | None:
    """How unlikely the teacher's reasons are to the student: the mean loss of a token."""
    if not batches:
        return None
    student.model.eval()
    lost: dict[int, tuple[float, int]] = {}
    # All ranks must compute equally often (ZeRO-3); what is computed twice counts once.
    for turn in range(-(-len(batches) // world.size)):
        number = min(turn * world.size + world.rank, len(batches) - 1)
        inputs, targets = zip(*batches[number], strict=True)
        found = log_probabilities_of(
            student, inputs, [[target] for target in targets], synced=lockstep and world.size > 1
        )
        lost[number] = -sum(log for [log] in found), sum(map(len, targets))
    every: dict[int, tuple[float, int]] = {}
    for share in world.gather(lost):
        every |= share
    losses, tokens = zip(*(every[number] for number in sorted(every)), strict=True)
    return sum(losses) / sum(tokens)


def evaluate(student: Student, rows: EvalBatches, world: World, *, lockstep: bool) -> EvalAnswers:
    """The student's answers. Each rank answers its share of the batches; all get all answers."""
    synced = lockstep and world.size > 1
    student.model.eval()
    mine: dict[int, StudentAnswer] = {}
    for closed in (True, False):
        batches = [batch for batch in rows.batches if bool(rows.choices(batch[:1])[0]) is closed]
        # All ranks must answer equally often, in the same way (ZeRO-3); an answer given twice
        # counts once, by its index.
        batches += batches[-1:] * (-len(batches) % world.size)
        for batch in batches[world.rank :: world.size]:
            answers = label(
                student,
                [ids for _, ids in batch],
                rows.choices(batch),
                rows.longest_answer,
                whole=rows.whole,
                synced=synced,
            )
            mine |= {
                index: replace(answer, logs=())
                for (index, _), answer in zip(batch, answers, strict=True)
            }
    every: dict[int, StudentAnswer] = {}
    for share in world.gather(mine):
        every |= share
    found = [every[index] for index in range(len(rows.examples))]
    return EvalAnswers(
        labels=[answer.label for answer in found],
        probabilities=[answer.probability for answer in found],
    )
