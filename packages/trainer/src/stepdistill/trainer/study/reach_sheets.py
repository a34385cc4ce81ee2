"""How much data, and how much money, a method needs to reach an accuracy."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stepdistill.trainer.study.accuracy_sheets import named
from stepdistill.trainer.study.frame import (
    BASELINE,
    CONTENDER,
    CONTEXT,
    baseline_of,
    present,
    telling,
)
from stepdistill.trainer.study.table import Table

_PLACE = ("source", "task", "model", *(name for name in CONTEXT[4:]))
_DRAWS = 1000
_RANGE = (2.5, 97.5)
_NEVER = float("inf")
_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One contender at several shares of the data, in rising order. points: accuracies by share."""

    name: str
    place: dict[str, object]
    runs: pd.DataFrame
    points: dict[float, list[float]]
    target: list[float]

    def mean_at(self, share: float, column: str) -> float:
        """A column's mean, interpolated; NaN where it is not known."""
        means = [self.runs.loc[self.runs["subsample"] == x, column].mean() for x in self.points]
        return float(np.interp(share, list(self.points), means))


def curves(frame: pd.DataFrame, accuracy: float | None = None) -> Iterator[Curve]:
    """Each contender, with the accuracy to reach: that, else the baseline's with all data."""
    for _, part in frame.groupby(present(frame, _PLACE), dropna=False, sort=True):
        whole = part[(part["method"] == baseline_of(part)) & (part["subsample"] == 1.0)]
        target = whole["test_accuracy"].tolist() if accuracy is None else [accuracy]
        if not target:
            continue
        place = {name: part[name].iloc[0] for name in telling(frame, _PLACE)}
        for _, group in part.groupby(present(part, CONTENDER), dropna=False, sort=True):
            points = {
                float(str(share)): runs["test_accuracy"].tolist()
                for share, runs in group.groupby("subsample", sort=True)
            }
            yield Curve(
                name=named(group, frame), place=place, runs=group, points=points, target=target
            )


def share_needed(shares: list[float], accuracies: list[float], target: float) -> float:
    """Where a line through the points first reaches the target; inf where it never does."""
    if accuracies[0] >= target:
        return shares[0]
    for number in range(1, len(shares)):
        if accuracies[number] >= target:
            before, after = accuracies[number - 1 : number + 1]
            part = (target - before) / (after - before)
            return shares[number - 1] + part * (shares[number] - shares[number - 1])
    return _NEVER


def share_range(curve: Curve) -> tuple[float, float]:
    """The middle 95 % of the share needed when the seeds of every point are drawn anew."""
    dice, shares = np.random.default_rng(0), list(curve.points)

    def drawn(values: list[float]) -> list[float]:
        return dice.choice(values, (_DRAWS, len(values))).mean(axis=1).tolist()

    accuracies = zip(*map(drawn, curve.points.values()), strict=True)
    found = [
        share_needed(shares, list(row), target)
        for row, target in zip(accuracies, drawn(curve.target), strict=True)
    ]
    low, high = np.percentile(found, _RANGE, method="nearest")
    return float(low), float(high)


def data_sheet(frame: pd.DataFrame) -> Table:
    """Data needed to reach the baseline's accuracy with all data."""
    lines = [_data_line(curve) for curve in curves(frame) if len(curve.points) > 1]
    return Table(
        name="data-needed",
        title="Share of the data that reaches the baseline's accuracy with all of it",
        note="Interpolated between the shares that were run; `<=`: their smallest reaches it; "
        "`never`: none does. from, to: 95 % of 1,000 draws of the seeds of every point, with "
        "replacement; with two or three seeds a point, such a range is rather too narrow."
        if lines
        else f"No method was run at two or more shares beside a full `{BASELINE}`.",
        frame=pd.DataFrame(lines),
        digits={},
    )


def cost_sheet(frame: pd.DataFrame, accuracy: float | None, gpu_hour_usd: float | None) -> Table:
    """What it costs to reach an accuracy. gpu_hour_usd: of one device; None: hours alone."""
    lines = [_cost_line(curve, gpu_hour_usd) for curve in curves(frame, accuracy)]
    priced = f"{gpu_hour_usd:g} USD an hour of a device" if gpu_hour_usd is not None else "unpriced"
    return Table(
        name="cost",
        title="Cost to reach an accuracy",
        note="To reach: --accuracy, else the baseline's with all data. At the share needed: the "
        f"teacher's answers, and training time ({priced}), both interpolated. `unknown`: the "
        "tracking file holds no price of the teacher; `never`: the accuracy was not reached."
        if lines
        else f"No accuracy to reach: give --accuracy, or run `{BASELINE}` with all data.",
        frame=pd.DataFrame(lines),
        digits={"hours": 2, "gpu_usd": 2},
    )


def _data_line(curve: Curve) -> dict[str, object]:
    means = [float(np.mean(values)) for values in curve.points.values()]
    target = float(np.mean(curve.target))
    shares = list(curve.points)
    low, high = share_range(curve)
    return {
        **curve.place,
        "method": curve.name,
        "to_reach": target,
        "needed": _spoken(share_needed(shares, means, target), shares),
        "from": _spoken(low, shares),
        "to": _spoken(high, shares),
        "points": len(shares),
        "n": sum(map(len, curve.points.values())),
    }


def _cost_line(curve: Curve, gpu_hour_usd: float | None) -> dict[str, object]:
    target, shares = float(np.mean(curve.target)), list(curve.points)
    means = [float(np.mean(values)) for values in curve.points.values()]
    share = share_needed(shares, means, target)
    line = {
        **curve.place,
        "method": curve.name,
        "to_reach": target,
        "needed": _spoken(share, shares),
    }
    if share == _NEVER:
        return {**line, "teacher_usd": "", "hours": None, "gpu_usd": None, "usd": ""}
    hours = curve.mean_at(share, "device_seconds") / _HOUR_S
    gpu = hours * gpu_hour_usd if gpu_hour_usd is not None else float("nan")
    teacher = curve.mean_at(share, "teacher_cost_usd")
    return {
        **line,
        "teacher_usd": _dollars(teacher),
        "hours": hours,
        "gpu_usd": gpu,
        "usd": _dollars(teacher + gpu) if gpu_hour_usd is not None else "",
    }


def _spoken(share: float, shares: list[float]) -> str:
    if share == _NEVER:
        return "never"
    sign = "<= " if share == shares[0] else ""
    return f"{sign}{100 * share:.3g} %"


def _dollars(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.2f}"
