"""How good some answers are: against gold labels, with a 95 % interval; what probabilities mean."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean

import numpy as np

from stepdistill.common.intervals import wilson
from stepdistill.common.kinds.kind import Answered, Kind
from stepdistill.common.terminal import one_line
from stepdistill.trainer.data.examples import EvalExample

_Form = tuple[str, ...]
_Z_95 = 1.959964  # to six places: results.json has always had these intervals
_BINS = 10
_WIDEST_LABEL = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How well one class is told. Shares are fractions, 0..1."""

    n: int  # rows that are of it
    named: int  # rows that were given it
    right: int  # rows that were given it and are of it
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many of n rows were right."""

    accuracy: float  # 0..1
    interval: tuple[float, float]  # Wilson's, 95 %
    right: int
    n: int
    classes: dict[str, ClassScore] | None = None  # by gold label, where labels name classes

    def in_words(self) -> tuple[str, str, str]:
        """As tables show it: accuracy, its interval, the counts."""
        low, high = self.interval
        return f"{self.accuracy:.3f}", f"{low:.3f} - {high:.3f}", f"{self.right}/{self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredScore(Score):
    """The score of labels that are more than right or wrong. A class of its own, so that files
    with the scores of other kinds have the fields that they always had."""

    measures: dict[str, float]  # of sets: F1 and the like; of numbers: errors and correlations


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far probabilities are from how often they are right."""

    error: float  # expected calibration error: the mean gap over the bins, by their rows
    bins: tuple[tuple[int, float, float], ...]  # (rows, mean probability, share right) of each


def score(answers: Sequence[str | None], examples: Sequence[EvalExample], kind: Kind) -> Score:
    """The score of some answers; a row without one is wrong."""
    pairs = [
        (None if answer is None else kind.said(answer), example.gold)
        for answer, example in zip(answers, examples, strict=True)
    ]
    classes = _by_class(pairs, examples, kind) if kind.spec.classes else None
    found = score_of(correct(answers, examples, kind), classes)
    measures = kind.scores(pairs) | (_overlap(pairs) if kind.is_prose else {})
    if not measures:
        return found
    base = {each.name: getattr(found, each.name) for each in fields(found)}
    return MeasuredScore(**base, measures=measures)


def measure_lines(scores: Mapping[str, Score]) -> list[str]:
    """A line for each measure besides accuracy: what whoever is scored by it reached."""
    measured = {who: each for who, each in scores.items() if isinstance(each, MeasuredScore)}
    names = dict.fromkeys(name for each in measured.values() for name in each.measures)
    return [
        f"{name:<20} "
        + ", ".join(
            f"{who} {each.measures[name]:.3f}"
            for who, each in measured.items()
            if name in each.measures
        )
        for name in names
    ]


def correct(
    answers: Sequence[str | None], examples: Sequence[EvalExample], kind: Kind
) -> list[bool]:
    """Which answers say the gold label: as labels of the kind, as `predict` gives them out."""
    said = (None if answer is None else kind.said(answer) for answer in answers)
    return [
        answer is not None and kind.same(answer, example.gold, example.choices)
        for answer, example in zip(said, examples, strict=True)
    ]


def majority(labels: Iterable[str], kind: Kind) -> str:
    """The most frequent label, as it is spelt most often; at least one label."""
    spelt = Counter(labels)
    counts = Counter[tuple[str, ...]]()
    for label, n in spelt.items():
        counts[kind.form(label)] += n
    [(most, _)] = counts.most_common(1)
    return next(label for label, _ in spelt.most_common() if kind.form(label) == most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Accuracy of one less that of another on the same rows."""

    difference: float  # -1..1
    interval: tuple[float, float]  # 95 %, paired bootstrap
    only_one: int  # rows that the one alone had right
    only_other: int


def difference(
    one: Sequence[bool], other: Sequence[bool], *, samples: int = 10_000, seed: int = 0
) -> Difference:
    """Compare who was right row by row; at least one row.

    Resampling the rows is drawing how many of them favour the one, the other, or neither.
    """
    n = len(one)
    gains = np.array(one, dtype=int) - np.array(other, dtype=int)
    for_one, for_other = int((gains > 0).sum()), int((gains < 0).sum())
    shares = np.array([for_one, for_other, n - for_one - for_other]) / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, size=samples)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, (0.025, 0.975))
    return Difference(
        difference=(for_one - for_other) / n,
        interval=(float(low), float(high)),
        only_one=for_one,
        only_other=for_other,
    )


def against_majority(less: Difference, label: str) -> list[str]:
    """What is to be said of a student that always saying one label is as good as."""
    (low, high), gap = less.interval, less.difference
    if low > 0:
        return []
    how = "no better" if gap <= 0 else "not clearly better"
    said = one_line(label)
    said = said if len(said) <= _WIDEST_LABEL else f"{said[: _WIDEST_LABEL - 3]}..."
    return [
        f"{how} than the majority, {said!r} for every row: {gap:+.3f} ({low:+.3f} to {high:+.3f})"
    ]


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


def macro_f1(classes: Mapping[str, ClassScore]) -> float:
    """The mean F1 of the classes that any row has or was given; at least one such."""
    met = [each.f1 for each in classes.values() if each.n or each.named]
    return fmean(met)


def _overlap(answered: Sequence[Answered]) -> dict[str, float]:
    """chrF over all rows, 0..1: how much of the wording is the gold label's, where hardly any
    answer is its very words."""
    from sacrebleu import corpus_chrf  # a tenth of a second, for tasks of this kind alone

    found = corpus_chrf([said or "" for said, _ in answered], [[gold for _, gold in answered]])
    return {"chrf": found.score / 100}


def _by_class(
    answered: Sequence[Answered], examples: Sequence[EvalExample], kind: Kind
) -> dict[str, ClassScore]:
    """Each class is called as the rows' choices call it first."""
    choices = [choice for example in examples for choice in example.choices]
    golds = [kind.classes_in(gold) for _, gold in answered]
    names: dict[tuple[str, ...], str] = {}
    for name in (*choices, *(name for gold in golds for name in gold), *kind.spec.classes):
        names.setdefault(kind.form(name), name)
    n, named, right = Counter[_Form](), Counter[_Form](), Counter[_Form]()
    for (answer, _), classes in zip(answered, golds, strict=True):
        gold = {kind.form(name) for name in classes}
        said = {kind.form(name) for name in kind.classes_in(answer or "")}
        n.update(gold)
        named.update(said)
        right.update(gold & said)
    return {name: _class_score(n[same], named[same], right[same]) for same, name in names.items()}


def _class_score(n: int, named: int, right: int) -> ClassScore:
    return ClassScore(
        n=n,
        named=named,
        right=right,
        precision=right / named if named else 0.0,
        recall=right / n if n else 0.0,
        f1=2 * right / (n + named) if n + named else 0.0,
    )
