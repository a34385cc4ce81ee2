"""Runs as a pandas frame: which columns make runs of one kind, and means over their seeds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.study.tracking import Run

# What is compared: a contender is one combination of these.
CONTENDER = ("method", "teacher", "mix", "alpha", "data")
# What must be equal for a fair comparison, the seed beside it.
CONTEXT = (
    *("source", "task", "model", "subsample", "max_input_tokens", "batch_size", "optimizer"),
    *("lr", "settings"),
)
BASELINE, _SECOND_BASELINE = "standard, gold", "standard, teacher"
ONE_TASK = ("standard", "encoder")  # modes


def frame_of(runs: Sequence[Run], pool: Sequence[str] = ()) -> pd.DataFrame:
    """A line for each run, `method` and `device_seconds` among the columns.

    pool: columns that are not looked at, so that runs that differ in them alone are one kind.
    Raises ConfigError when there is no run.
    """
    if not runs:
        raise ConfigError("no run to show: `stepdistill track add FOLDER` keeps finished ones")
    frame = pd.DataFrame([asdict(run) for run in runs])
    frame.insert(0, "method", frame["mode"] + ", " + frame["labels"])
    # A baseline learns from nobody's answers, whatever stands beside it; alpha weighs two tasks.
    frame.loc[frame["method"] == BASELINE, ["teacher", "mix", "templates"]] = ""
    frame.loc[frame["mode"].isin(ONE_TASK), "alpha"] = 1.0
    for name in ("rationale_rate", "rationale_words", "teacher_cost_usd", "teacher_accuracy"):
        frame[name] = pd.to_numeric(frame[name])
    frame.loc[frame["method"] == BASELINE, "teacher_cost_usd"] = 0.0
    frame["device_seconds"] = frame["seconds"] * frame["ranks"]
    return frame.drop(columns=list(pool))


def baseline_of(frame: pd.DataFrame) -> str:
    """The method that others are compared with: on gold labels alone, else on the teacher's."""
    return BASELINE if BASELINE in set(frame["method"]) else _SECOND_BASELINE


def present(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of some columns that the frame has."""
    return [name for name in names if name in frame.columns]


def telling(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of some columns that differ from line to line, and so must be shown."""
    return [name for name in present(frame, names) if name == "method" or _differs(frame, name)]


def _differs(frame: pd.DataFrame, name: str) -> bool:
    whole = frame if name != "alpha" else frame[~frame["mode"].isin(ONE_TASK)]
    told = {value for value in whole[name] if value != ""}
    return len(told) > (0 if name == "teacher" else 1)


_CONFIDENCE = 0.95
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean with its 95 % interval, Student's t."""

    n: int
    mean: float
    low: float  # NaN where n is 1, as the other end
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Differences of pairs."""

    difference: Mean
    p: float  # of the paired t test; NaN where it is not defined


def mean_of(values: Sequence[float]) -> Mean:
    """Over one value or more."""
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Mean(n=1, mean=mean, low=_NAN, high=_NAN)
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, n - 1) * stats.sem(values))
    return Mean(n=n, mean=mean, low=mean - reach, high=mean + reach)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Paired:
    """Of as many values each, the pairs in the same order; the difference is ours less theirs."""
    # Rounded, so that two differences that are alike on paper are alike.
    differences = np.subtract(ours, theirs).round(9)
    p = _NAN
    if len(differences) > 1 and np.ptp(differences) > 0:
        p = float(stats.ttest_1samp(differences, 0.0).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
    return Paired(difference=mean_of(differences.tolist()), p=p)


def corrected(p_values: Sequence[float]) -> list[float]:
    """For so many tests at once, after Benjamini and Hochberg; NaN stays."""
    known = ~np.isnan(p_values)
    fixed = np.full(len(p_values), _NAN)
    if known.any():
        fixed[known] = stats.false_discovery_control(np.asarray(p_values)[known])
    return fixed.tolist()
