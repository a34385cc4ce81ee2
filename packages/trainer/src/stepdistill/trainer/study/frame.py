"""Runs as a pandas frame, and which of its columns say that two runs are of the same kind."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

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
    frame.loc[frame["mode"] == "standard", "alpha"] = 1.0
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
    whole = frame if name != "alpha" else frame[~frame["method"].str.startswith("standard")]
    told = {value for value in whole[name] if value != ""}
    return len(told) > (0 if name == "teacher" else 1)
