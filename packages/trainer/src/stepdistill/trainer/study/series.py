"""The lines of the figures on runs: what is drawn against what, and over how many runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stepdistill.trainer.settings.train import SIZES
from stepdistill.trainer.study.accuracy_sheets import named
from stepdistill.trainer.study.frame import CONTENDER
from stepdistill.trainer.study.seeds import Mean, mean_of

_SIZES = (*SIZES, "small", "base", "large", "xl", "xxl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of one panel. points: (where, test accuracy), in rising order of where.

    level: the teacher's accuracy on the same rows, None where it is not known.
    """

    panel: str
    label: str
    points: tuple[tuple[float, Mean], ...]
    runs: pd.DataFrame
    level: float | None = None


Maker = Callable[[pd.DataFrame], Iterator[Series]]


def by_subsample(frame: pd.DataFrame) -> Iterator[Series]:
    """Contenders at two shares of the data or more."""
    for panel, part in _panels(frame):
        for _, runs in part.groupby(list(CONTENDER), dropna=False, sort=True):
            yield _series(panel, named(runs, frame), runs, "subsample")


def by_size(frame: pd.DataFrame) -> Iterator[Series]:
    """Contenders with all data, over the sizes of the student."""
    for source, whole in frame.loc[frame["subsample"] == 1.0].groupby("source", sort=False):
        order = sorted(set(whole["model"]), key=lambda model: (_size(model), model))
        places = [float(order.index(model)) for model in whole["model"]]
        for _, runs in whole.assign(size=places).groupby(list(CONTENDER), dropna=False, sort=True):
            yield _series(str(source), named(runs, frame), runs, "size")


def by_words(frame: pd.DataFrame) -> Iterator[Series]:
    """Step-by-step runs over the mean length of the rationales learnt from, as many rows having
    one."""
    column = "rationale_words"
    for panel, part in _panels(_explained(frame, column)):
        share = _at_their_mean(part, "rationale_rate")["rationale_rate"].round(2)
        alike = [part["labels"], part["teacher"], part["subsample"], share]
        for _, runs in part.groupby(alike, sort=True, dropna=False):
            if len({round(words) for words in runs[column]}) > 1:
                yield _series(panel, _taught(runs), _at_their_mean(runs, column), column)


def by_rate(frame: pd.DataFrame) -> Iterator[Series]:
    """Step-by-step runs of the same prompts over the share of rows with a rationale.

    Runs without rationales stand at 0, where the labels, the student and the share are the same.
    """
    column = "rationale_rate"
    for panel, part in _panels(_explained(frame, column)):
        for _, runs in part.groupby(["labels", "teacher", "templates", "subsample"], sort=True):
            placed = _at_their_mean(runs, column)
            if len({round(rate, 3) for rate in placed[column]}) > 1:
                whole = pd.concat([placed, _unexplained(frame, runs)])
                yield _series(panel, _taught(runs), whole, column)


def _size(model: str) -> int:
    """A place in the order of sizes by the model's name; those without a size come first."""
    words = model.replace("_", "-").split("-")
    return max((_SIZES.index(word) for word in words if word in _SIZES), default=-1)


def _explained(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.loc[(frame["mode"] == "step-by-step") & frame[column].notna()]


def _unexplained(frame: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The runs without rationales that are else like these, on the labels of the same teacher."""
    one, found = like.iloc[0], frame.loc[frame["mode"] == "standard"]
    for name in ("source", "model", "labels", "subsample"):
        found = found.loc[found[name] == one[name]]
    return found.loc[(found["teacher"] == "") | (found["teacher"] == one["teacher"])]


def _taught(runs: pd.DataFrame) -> str:
    """Labels, reasons and share of runs that have them in common."""
    one = runs.iloc[0]
    share = f", {100 * float(one['subsample']):g} % of the data" if one["subsample"] != 1.0 else ""
    return f"{one['labels']} labels, reasons of {one['teacher']}{share}"


def _at_their_mean(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Runs on the same data stand at one place, though each seed draws rows of its own."""
    return runs.assign(**{column: runs.groupby(["data", "mix"])[column].transform("mean")})


def _panels(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """One for each source and student, small students first."""
    parts = [(str(part.iloc[0]["model"]), part) for _, part in frame.groupby(["source", "model"])]
    for model, part in sorted(parts, key=lambda each: _size(each[0])):
        yield f"{part.iloc[0]['source']}: {model}", part


def _series(panel: str, label: str, runs: pd.DataFrame, column: str) -> Series:
    points = tuple(
        (float(str(where)), mean_of(part["test_accuracy"].tolist()))
        for where, part in runs.groupby(column, sort=True)
    )
    level = float(np.nanmean([*runs["teacher_accuracy"], np.nan])) if _has_level(runs) else None
    return Series(panel=panel, label=label, points=points, runs=runs, level=level)


def _has_level(runs: pd.DataFrame) -> bool:
    return any(level == level for level in runs["teacher_accuracy"])
