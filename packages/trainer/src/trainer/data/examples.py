"""record -> example: what the student reads, and what it is to say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import ShardError
from common.record import Record
from trainer.config import Labels, Mode
from trainer.data.shards import Part, Split

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row to learn from. rationale: None where there is nothing to explain."""

    id: str
    input: str
    label: str
    rationale: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """The rows to learn from, and how many could not be used or explained."""

    examples: tuple[Example, ...]
    without_label: int
    without_rationale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One row to be judged on. teacher: None where the teacher gave no label."""

    id: str
    input: str
    gold: str
    teacher: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """The rows to be judged on; rows without a gold label cannot be judged and are counted."""

    questions: tuple[Question, ...]
    without_gold: int


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Put the fields into {placeholders}, once: braces inside a value stay as they are.

    >>> fill("{question} {hint}", {"question": "{hint}?", "hint": "none"})
    '{hint}? none'
    """
    return _PLACEHOLDER.sub(lambda match: fields[match[1]], template)


def lesson(split: Split, labels: Labels, mode: Mode) -> Lesson:
    """The split's rows as training examples. Raises ShardError when not one row has a label."""
    examples: list[Example] = []
    for part in split.parts:
        for record in part.records:
            label = _said(record.gold if labels == "gold" else record.label)
            if label is None:
                continue
            rationale = _said(record.rationale) if mode == "step-by-step" else None
            text = _input(part, record)
            examples.append(Example(id=record.id, input=text, label=label, rationale=rationale))
    if not examples:
        raise ShardError(f"{_folders(split)}: no row has a {labels} label, nothing to train on")
    return Lesson(
        examples=tuple(examples),
        without_label=sum(1 for _ in split.records()) - len(examples),
        without_rationale=sum(example.rationale is None for example in examples),
    )


def exam(split: Split) -> Exam:
    """The split's rows with a gold label. Raises ShardError when there is none."""
    questions = tuple(
        Question(id=record.id, input=_input(part, record), gold=gold, teacher=_said(record.label))
        for part in split.parts
        for record in part.records
        if (gold := _said(record.gold)) is not None
    )
    if not questions:
        raise ShardError(
            f"{_folders(split)}: no row has a gold label, so the student cannot be judged on "
            f"--{split.name}: annotate a split whose task names its `gold` field"
        )
    without = sum(1 for _ in split.records()) - len(questions)
    return Exam(questions=questions, without_gold=without)


def _said(text: str | None) -> str | None:
    """The text without outer blanks; an empty one says nothing."""
    return (text or "").strip() or None


def _input(part: Part, record: Record) -> str:
    try:
        return fill(part.manifest.student.input, record.input)
    except KeyError as error:
        raise ShardError(
            f"{part.folder}: the student's template asks for {{{error.args[0]}}}, which row "
            f"{record.id} lacks: mend `student.input` in task.yaml and annotate again"
        ) from None


def _folders(split: Split) -> str:
    return ", ".join(str(part.folder) for part in split.parts)
