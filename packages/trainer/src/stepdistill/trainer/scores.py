"""How good some answers are: against gold labels, with a 95 % interval; what probabilities mean."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stepdistill.common.intervals import wilson
from stepdistill.common.labels import plain, same_label
from stepdistill.common.task import LabelKind
from stepdistill.trainer.data.examples import EvalExample

_Z_95 = 1.959964  # to six places: results.json has always had these intervals
_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """One class: of n rows, `named` were given it, `right` of them rightly. Shares as fractions."""

    n: int
    named: int
    right: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many of n rows were right. interval: Wilson's, 95 %, as fractions.

    classes: by gold label, where labels are classes.
    """

    accuracy: float
    interval: tuple[float, float]
    right: int
    n: int
    classes: dict[str, ClassScore] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far probabilities are from how often they are right.

    error: expected calibration error, the mean gap over ten bins of probability, by their rows.
    bins: (rows, mean probability, share right) of each bin that has rows.
    """

    error: float
    bins: tuple[tuple[int, float, float], ...]


def score(answers: Sequence[str | None], examples: Sequence[EvalExample], kind: LabelKind) -> Score:
    """The score of some answers; a row without one is wrong."""
    classes = None
    if kind == "classes":
        classes = _by_class([plain(answer or "") for answer in answers], examples)
    return score_of(right(answers, examples, kind), classes)


def right(
    answers: Sequence[str | None], examples: Sequence[EvalExample], kind: LabelKind
) -> list[bool]:
    """Which answers say the gold label."""
    return [
        answer is not None and same_label(kind, answer, example.gold)
        for answer, example in zip(answers, examples, strict=True)
    ]


def majority(labels: Iterable[str]) -> str:
    """The most frequent label."""
    return Counter(map(plain, labels)).most_common(1)[0][0]


def score_of(right: Iterable[bool], classes: dict[str, ClassScore] | None = None) -> Score:
    """Count the rows that are right; at least one row."""
    rows = list(right)
    n, k = len(rows), sum(rows)
    return Score(accuracy=k / n, interval=wilson(k, n, _Z_95), right=k, n=n, classes=classes)


def calibration(probabilities: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Ten bins of equal width; at least one row."""
    values, hits = np.array(probabilities), np.array(right, dtype=float)
    places = np.minimum((values * _BINS).astype(int), _BINS - 1)
    bins = [
        (int(here.sum()), float(values[here].mean()), float(hits[here].mean()))
        for here in (places == place for place in range(_BINS))
        if here.any()
    ]
    error = sum(rows * abs(mean - share) for rows, mean, share in bins) / len(hits)
    return Calibration(error=error, bins=tuple(bins))


def _by_class(answers: Sequence[str], examples: Sequence[EvalExample]) -> dict[str, ClassScore]:
    golds = [plain(example.gold) for example in examples]
    choices = (choice for example in examples for choice in example.choices)
    names: dict[str, str] = {}
    for name in (*choices, *(example.gold for example in examples)):
        names.setdefault(plain(name), name)
    return {name: _class_score(same, answers, golds) for same, name in names.items()}


def _class_score(name: str, answers: Sequence[str], golds: Sequence[str]) -> ClassScore:
    n, named = golds.count(name), answers.count(name)
    right = sum(answer == gold == name for answer, gold in zip(answers, golds, strict=True))
    return ClassScore(
        n=n,
        named=named,
        right=right,
        precision=right / named if named else 0.0,
        recall=right / n if n else 0.0,
        f1=2 * right / (n + named) if n + named else 0.0,
    )
