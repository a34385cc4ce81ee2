"""Students that explain beside classifiers that do not: what the reasons are worth, at equal cost.

A classifier on an encoder learns the same labels of the same rows, and its runs cost money and
time as any. Each kind of student stands beside one classifier: of those that took no more of either
the best by validation; where none is as quick, of those that took no more money, and how much
longer it took is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from statistics import fmean

import pandas as pd

from stepdistill.trainer.study.collect import ENCODER_MODE
from stepdistill.trainer.study.frame import CONTENDER, CONTEXT, Mean, mean_of, paired, present
from stepdistill.trainer.study.run_tables import Table, named

_KIND = (*CONTEXT[:3], "method", *CONTENDER[1:], *CONTEXT[3:])
_HOUR_S = 3600
_NOTHING = 1e-6  # USD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Runs that differ by their seed alone."""

    name: str
    is_classifier: bool
    accuracy: dict[int, float]  # by seed, on the test rows
    test_rows: float  # two of a task are comparable where they were judged on as many
    valid: float  # means over the seeds, as those below
    rows: float  # learnt from
    usd: float  # of the teacher; NaN where it is not known
    seconds: float  # of training, over all devices

    def costs_no_more(self, other: "_Kind") -> bool:
        """Of money. Where the other's labels cost nothing, or nobody knows what, it is rows that
        are dear: no more of those, and of unknown prices its own may be one."""
        if other.usd > _NOTHING:
            return self.usd <= other.usd + _NOTHING
        is_as_free = self.usd <= _NOTHING or isnan(other.usd)
        return is_as_free and not self.rows > other.rows

    def beside(self, other: "_Kind") -> Mean:
        """How much more accurate it is, over the seeds that both have; else of the means alone."""
        seeds = sorted(self.accuracy.keys() & other.accuracy.keys())
        if not seeds:
            return mean_of([fmean(self.accuracy.values()) - fmean(other.accuracy.values())])
        ours, theirs = ([each.accuracy[seed] for seed in seeds] for each in (self, other))
        return paired(ours, theirs).difference


def encoder_table(frame: pd.DataFrame) -> Table:
    """A line for each kind of student, beside the classifier that costs no more."""
    lines = [line for _, part in frame.groupby(["source", "task"]) for line in _lines(part)]
    hidden = [name for name in ("source", "task") if len(set(frame[name])) == 1]
    return Table(
        name="encoder",
        title="Beside a classifier on an encoder, at equal money and time",
        note="The classifier: of those that took no more of the teacher's money (where that is "
        "nothing, or unknown: no more rows) and no more time, the one with the best validation. "
        "time: how long it took, of what the student took; above 1 where none was as quick. "
        "difference: of test accuracy, the student's less the classifier's, over the seeds of both "
        "(95 % interval, Student's t). What the reasons themselves are good for is not counted."
        if lines
        else "No classifier was run beside a student: `--student encoder` trains one on the same "
        "rows, on labels alone, so that it can be seen what the reasons are worth.",
        frame=pd.DataFrame(lines).drop(columns=hidden, errors="ignore"),
        digits={"usd": 2, "encoder_usd": 2, "time": 2},
    )


def _lines(part: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Of one task."""
    groups = part.groupby(present(part, _KIND), dropna=False, sort=True)
    kinds = [_kind(runs, part) for _, runs in groups]
    classifiers = [kind for kind in kinds if kind.is_classifier]
    for student in (kind for kind in kinds if not kind.is_classifier):
        rival = _rival(student, classifiers)
        if rival is None:
            continue
        difference = student.beside(rival)
        yield {
            "source": part["source"].iloc[0],
            "task": part["task"].iloc[0],
            "student": student.name,
            "usd": student.usd,
            "encoder": rival.name,
            "encoder_usd": rival.usd,
            "time": rival.seconds / student.seconds if student.seconds else None,
            "n": difference.n,
            "difference": difference.mean,
            "low": difference.low,
            "high": difference.high,
            "student_is": _verdict(difference),
        }


def _rival(student: _Kind, classifiers: list[_Kind]) -> _Kind | None:
    """None where each costs more money, or was judged on other rows."""
    fair = [
        each
        for each in classifiers
        if each.test_rows == student.test_rows and each.costs_no_more(student)
    ]
    quick = [each for each in fair if each.seconds <= student.seconds]
    return max(quick or fair, key=lambda each: each.valid, default=None)


def _verdict(difference: Mean) -> str:
    if difference.n == 1:
        return f"{'higher' if difference.mean > 0 else 'no better'} (one seed)"
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "no better"


def _kind(runs: pd.DataFrame, part: pd.DataFrame) -> _Kind:
    words = [str(runs["model"].iloc[0]), named(runs, part)]
    if len(set(part["subsample"])) > 1:
        words.append(f"{100 * _mean(runs, 'subsample'):.3g} %")
    found: dict[int, list[float]] = {}
    for seed, accuracy in zip(runs["seed"].tolist(), runs["test_accuracy"].tolist(), strict=True):
        found.setdefault(seed, []).append(accuracy)
    return _Kind(
        name=", ".join(words),
        is_classifier=str(runs["mode"].iloc[0]) == ENCODER_MODE,
        accuracy={seed: fmean(values) for seed, values in found.items()},
        test_rows=_mean(runs, "test_rows"),
        valid=_mean(runs, "valid_accuracy"),
        rows=_mean(runs, "train_rows"),
        usd=_mean(runs, "teacher_cost_usd"),
        seconds=_mean(runs, "device_seconds"),
    )


def _mean(runs: pd.DataFrame, column: str) -> float:
    return fmean(runs[column].astype(float).tolist())
