"""How useful reasons are to a student: how much likelier they make the label.

A small student learns to find the label, from the row alone and from the row with each of its
reasons; then it says how likely it holds the label in either case. Two such students are trained,
each on one half of the rows, and a row is judged by the one that has never seen it: what was learnt
by heart, of reasons as of rows, is worth nothing. Reasons are read without the names of labels
(`masking.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from stepdistill.common.kinds.kind import named_in
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.manifest import Manifest
from stepdistill.common.uniform import uniform_of_text
from stepdistill.trainer.data.examples import EvalExample, EvalSet, Example, TaskText, TrainSet
from stepdistill.trainer.data.tokens import truncate
from stepdistill.trainer.model.answers import log_probabilities
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of
from stepdistill.trainer.rationales.masking import masked
from stepdistill.trainer.rationales.students import trained
from stepdistill.trainer.settings.rationales import ChooseRationalesSettings
from stepdistill.trainer.settings.tasks import judged
from stepdistill.trainer.settings.train import TrainSettings

_AT_ONCE = 64
_JUDGED = 200  # rows that say how far a student has come
_BEFORE_REASONS = "\nReasons: "


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A row with the reasons of which some are to be chosen."""

    id: str
    input: str  # as the student reads it
    label: str  # the one to be learnt
    choices: tuple[str, ...]  # the labels that it can have; empty where they cannot be listed
    reasons: tuple[str, ...]  # that differ, in the order of the folders

    @property
    def texts(self) -> list[str]:
        """What a student is asked with: the row alone, then with each of its reasons."""
        read = (masked(each, self.label, self.choices, self.input) for each in self.reasons)
        return [self.input, *(f"{self.input}{_BEFORE_REASONS}{each}" for each in read)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScores:
    """What students say of a row's reasons."""

    without: float = 0.0  # log of the label's probability from the row alone
    with_reasons: tuple[float, ...]  # the same with each of the reasons

    @property
    def gains(self) -> tuple[float, ...]:
        """How much likelier each of the reasons makes the label, as a log of the ratio."""
        return tuple(each - self.without for each in self.with_reasons)


def judge(
    rows: Sequence[CandidateRow], settings: ChooseRationalesSettings, origin: Manifest
) -> list[CandidateScores]:
    """What students that have not seen a row say of its reasons. Raises DistillError."""
    config = replace(settings.training((Path("unused"),), ()), mode="standard", select_by=None)
    sides = [uniform_of_text(f"half/{row.id}") < 0.5 for row in rows]
    if len(set(sides)) < 2:  # of very few rows
        sides = [place % 2 == 0 for place in range(len(rows))]
    found: dict[int, CandidateScores] = {}
    for side in (True, False):
        learnt = [row for row, its in zip(rows, sides, strict=True) if its is not side]
        places = [place for place, its in enumerate(sides) if its is side]
        asked = [rows[place] for place in places]
        student = _student(learnt, asked[:_JUDGED], config, origin)
        found |= zip(places, _judgements(student, asked, config, origin), strict=True)
    return [found[place] for place in range(len(rows))]


def _student(
    learnt: Sequence[CandidateRow],
    asked: Sequence[CandidateRow],
    config: TrainSettings,
    origin: Manifest,
) -> Student:
    kind = kind_of(origin.label)
    examples = tuple(
        Example(id=f"{row.id}/{n}", input=text, labels=(TaskText(text=kind.target(row.label)),))
        for row in learnt
        for n, text in enumerate(row.texts)
    )
    valid = tuple(
        EvalExample(
            id=row.id, input=row.texts[-1], gold=row.label, teacher=row.label, choices=row.choices
        )
        for row in asked
    )
    train = TrainSet(examples=examples, without_label=0, without_rationale=len(examples))
    return trained(config, train, EvalSet(examples=valid, without_gold=0), origin)[0]


def _judgements(
    student: Student, rows: Sequence[CandidateRow], config: TrainSettings, origin: Manifest
) -> Iterator[CandidateScores]:
    kind, task = kind_of(origin.label), judged(config.table())
    encode, limit = encoder_of(student.tokenizer), student.input_limit(config.max_input_tokens)
    student.model.eval()
    texts = [(row, task.prefix + text) for row in rows for text in row.texts]
    order = sorted(range(len(texts)), key=lambda place: len(texts[place][1]))
    logs = [0.0] * len(texts)
    for start in range(0, len(order), _AT_ONCE):
        places = order[start : start + _AT_ONCE]
        read, _ = truncate(encode, [texts[place][1] for place in places], limit)
        names = [_names(texts[place][0]) for place in places]
        said = [[kind.target(name) for name in each] for each in names]
        scored = log_probabilities(student, [np.array(ids) for ids in read], said)
        for place, each, its in zip(places, names, scored, strict=True):
            logs[place] = _log_of_first(each, its)
    left = iter(logs)
    for row in rows:
        without, *others = [next(left) for _ in range(1 + len(row.reasons))]
        yield CandidateScores(without=without, with_reasons=tuple(others))


def _names(row: CandidateRow) -> list[str]:
    """The row's label, and then the others that it can have."""
    label = named_in(row.choices, row.label) or row.label
    return [label, *(name for name in dict.fromkeys(row.choices) if name != label)]


def _log_of_first(names: Sequence[str], logs: Sequence[float]) -> float:
    """Among several names the share of the first; alone how likely it is said at all."""
    if len(names) == 1:
        return logs[0]
    return float(torch.tensor(logs).log_softmax(0)[0])
