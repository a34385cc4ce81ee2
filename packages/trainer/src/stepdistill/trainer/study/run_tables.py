"""Tables of runs: test accuracy, methods in pairs, and what data and money an accuracy takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean

import numpy as np
import orjson
import pandas as pd

from stepdistill.trainer.errors import refused
from stepdistill.trainer.study.frame import (
    BASELINE,
    CONTENDER,
    CONTEXT,
    ONE_TASK,
    baseline_of,
    corrected,
    mean_of,
    paired,
    present,
    telling,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as it is shown and written."""

    name: str  # of its files
    title: str
    note: str  # how its figures are made
    frame: pd.DataFrame
    digits: dict[str, int]  # by column, default 3


def markdown(table: Table) -> str:
    """As a section with a heading."""
    aligned = [
        "right" if pd.api.types.is_numeric_dtype(table.frame[name]) else "left"
        for name in table.frame.columns
    ]
    text = _written(table).to_markdown(index=False, disable_numparse=True, colalign=aligned)
    return f"## {table.title}\n\n{text}\n\n{table.note}\n"


def write_table(table: Table, folder: Path) -> None:
    """`NAME.md`, `NAME.csv` and `NAME.tex` in a folder, which is made. Raises ConfigError."""
    latex = _written(table).to_latex(
        index=False, escape=True, caption=table.title, label=f"tab:{table.name}"
    )
    texts = {"md": markdown(table), "csv": table.frame.to_csv(index=False), "tex": latex}
    with refused(f"--out {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        for kind, text in texts.items():
            (folder / f"{table.name}.{kind}").write_text(text, encoding="utf-8")


def _written(table: Table) -> pd.DataFrame:
    """All cells as words."""
    return pd.DataFrame(
        {
            name.replace("_", " "): [_word(value, table.digits.get(name, 3)) for value in column]
            for name, column in table.frame.items()
            if isinstance(name, str)
        }
    )


def _word(value: object, digits: int) -> str:
    if value is None or value != value:  # NaN is not itself
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


_PLACE = ("source", "task", "model")
_SHOWN = (*_PLACE, "method", *CONTENDER[1:], *CONTEXT[3:])
_BESIDE = ("rationale_rate", "rationale_words")
_HOUR_S = 3600


def accuracy_table(frame: pd.DataFrame) -> Table:
    """A line for each kind of run: the mean over all of its seeds."""
    shown = telling(frame, _SHOWN)
    kinds = frame.groupby(present(frame, _SHOWN), dropna=False, sort=True)
    lines = [_kind(part, shown) for _, part in kinds]
    return Table(
        name="accuracy",
        title="Test accuracy",
        note="Mean over all n seeds, none left out; low and high: 95 % interval, Student's t over "
        "seeds, cut at 0 and 1 (empty for one seed). Behind them: means of what else is measured "
        "of sets and numbers. hours: of training, over all devices, without evaluation.",
        frame=pd.DataFrame(lines).dropna(axis="columns", how="all"),
        digits={"subsample": 3, "rationale_rate": 2, "rationale_words": 1, "hours": 2, "lr": 5},
    )


def paired_table(frame: pd.DataFrame, *, all_pairs: bool = False) -> Table:
    """A line for each contender against the baseline, or against each other one."""
    places = frame.groupby(list(_PLACE), sort=True)
    lines = [line for _, part in places for line in _duels(part, all_pairs=all_pairs)]
    found = pd.DataFrame(lines)
    if lines:
        found["p_corrected"] = corrected(found["p"].tolist())
    hidden = [name for name in _PLACE if len(set(frame[name])) == 1]
    return Table(
        name="paired",
        title="Methods compared in pairs",
        note="A pair is alike in every other setting, the seed included; difference: of test "
        "accuracy, ours less theirs, its 95 % interval (t over pairs); p of the paired t test, "
        "and the same corrected for so many tests (Benjamini and Hochberg)."
        if lines
        else "No two methods were run with settings and a seed alike.",
        frame=found.drop(columns=hidden, errors="ignore"),
        digits=dict.fromkeys(("p", "p_corrected"), 4),
    )


def _kind(part: pd.DataFrame, shown: list[str]) -> dict[str, object]:
    mean = mean_of(part["test_accuracy"].tolist())
    return {
        **{name: part[name].iloc[0] for name in shown},
        "n": mean.n,
        "accuracy": mean.mean,
        "low": max(mean.low, 0.0),
        "high": min(mean.high, 1.0),
        **_measures(part),
        **{name: part[name].mean() for name in _BESIDE},
        "hours": part["device_seconds"].mean() / _HOUR_S,
    }


def _measures(part: pd.DataFrame) -> dict[str, float]:
    """What besides accuracy is measured of the task's kind of label: means over the seeds."""
    each_run: list[dict[str, float]] = [orjson.loads(text) for text in part["measures"] if text]
    names = dict.fromkeys(name for run in each_run for name in run)
    return {name: fmean(run[name] for run in each_run if name in run) for name in names}


def named(frame: pd.DataFrame, whole: pd.DataFrame) -> str:
    """A contender in words, by what tells it from the others of a frame."""
    one = frame.iloc[0]
    words = [str(one["method"])]
    for name in telling(whole, CONTENDER[1:]):
        if one[name] != "" and not (name == "alpha" and one["mode"] in ONE_TASK):
            words.append(str(one[name]) if name in ("teacher", "data") else f"{name} {one[name]}")
    return ", ".join(words)


def _duels(part: pd.DataFrame, *, all_pairs: bool) -> Iterator[dict[str, object]]:
    context, baseline = present(part, (*CONTEXT[3:], "seed")), baseline_of(part)
    contenders = part.groupby(present(part, CONTENDER), dropna=False, sort=True)
    sides = [(str(group["method"].iloc[0]), named(group, part), group) for _, group in contenders]
    # The baseline stands first, so that in every pair it is theirs.
    for theirs, ours in combinations(sorted(sides, key=lambda side: side[0] != baseline), 2):
        if not all_pairs and theirs[0] != baseline:
            continue
        # Runs that are alike to the seed are one, a mean: else a pair would count twice.
        left, right = (_means(side[2], context) for side in (ours, theirs))
        both = [key for key in left if key in right]
        if not both:
            continue
        test = paired([left[key] for key in both], [right[key] for key in both])
        yield {
            **{name: part[name].iloc[0] for name in _PLACE},
            "ours": ours[1],
            "theirs": theirs[1],
            "pairs": test.difference.n,
            "difference": test.difference.mean,
            "low": test.difference.low,
            "high": test.difference.high,
            "p": test.p,
        }


def _means(runs: pd.DataFrame, context: list[str]) -> dict[tuple[object, ...], float]:
    """Mean accuracy by what pairs must have in common."""
    found: dict[tuple[object, ...], list[float]] = {}
    for *key, accuracy in runs[[*context, "test_accuracy"]].itertuples(index=False):
        found.setdefault(tuple(key), []).append(float(accuracy))
    return {key: fmean(values) for key, values in found.items()}


_PLACE_OF_CURVE = (*_PLACE, *CONTEXT[4:])  # all that must be equal but the share of the data
_DRAWS = 1000
_RANGE = (2.5, 97.5)
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One contender at several shares of the data."""

    name: str
    place: dict[str, object]  # what tells it from the curves of other places
    runs: pd.DataFrame
    points: dict[float, list[float]]  # accuracies by share, in rising order of shares
    target: list[float]  # accuracies whose mean is to be reached

    def mean_at(self, share: float, column: str) -> float:
        """A column's mean, interpolated; NaN where it is not known."""
        means = [self.runs.loc[self.runs["subsample"] == x, column].mean() for x in self.points]
        return float(np.interp(share, list(self.points), means))

    def needed(self) -> float:
        """The share at which the means reach the target's."""
        means = [float(np.mean(values)) for values in self.points.values()]
        return share_needed(list(self.points), means, float(np.mean(self.target)))

    def in_words(self, share: float) -> str:
        """`62 %`; `<= 10 %` where the smallest share reaches it already; `never`."""
        sign = "<= " if share == min(self.points) else ""
        return "never" if share == _NEVER else f"{sign}{100 * share:.3g} %"

    def line(self) -> dict[str, object]:
        """What every table of curves says."""
        reach = {"to_reach": float(np.mean(self.target)), "needed": self.in_words(self.needed())}
        return {**self.place, "method": self.name, **reach}


def curves(frame: pd.DataFrame, accuracy: float | None = None) -> Iterator[Curve]:
    """Each contender, with the accuracy to reach: that, else the baseline's with all data."""
    for _, part in frame.groupby(present(frame, _PLACE_OF_CURVE), dropna=False, sort=True):
        whole = part[(part["method"] == baseline_of(part)) & (part["subsample"] == 1.0)]
        target = whole["test_accuracy"].tolist() if accuracy is None else [accuracy]
        if not target:
            continue
        place = {name: part[name].iloc[0] for name in telling(frame, _PLACE_OF_CURVE)}
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
    for (share, before), (next_share, after) in pairwise(zip(shares, accuracies, strict=True)):
        if after >= target:
            return share + (target - before) / (after - before) * (next_share - share)
    return _NEVER


def share_range(curve: Curve) -> tuple[float, float]:
    """The middle 95 % of the share needed when the seeds of every point are drawn anew."""
    random, shares = np.random.default_rng(0), list(curve.points)

    def drawn(values: list[float]) -> list[float]:
        return random.choice(values, (_DRAWS, len(values))).mean(axis=1).tolist()

    accuracies = zip(*map(drawn, curve.points.values()), strict=True)
    found = [
        share_needed(shares, list(row), target)
        for row, target in zip(accuracies, drawn(curve.target), strict=True)
    ]
    low, high = np.percentile(found, _RANGE, method="nearest")
    return float(low), float(high)


def data_table(frame: pd.DataFrame) -> Table:
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


def cost_table(frame: pd.DataFrame, accuracy: float | None, gpu_hour_usd: float | None) -> Table:
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
    low, high = share_range(curve)
    return {
        **curve.line(),
        "from": curve.in_words(low),
        "to": curve.in_words(high),
        "points": len(curve.points),
        "n": sum(map(len, curve.points.values())),
    }


def _cost_line(curve: Curve, gpu_hour_usd: float | None) -> dict[str, object]:
    share = curve.needed()
    if share == _NEVER:
        empty = {"teacher_usd": "", "hours": None, "gpu_usd": None, "usd": ""}
        return {**curve.line(), **empty}
    hours = curve.mean_at(share, "device_seconds") / _HOUR_S
    gpu = hours * gpu_hour_usd if gpu_hour_usd is not None else float("nan")
    teacher = curve.mean_at(share, "teacher_cost_usd")
    return {
        **curve.line(),
        "teacher_usd": _dollars(teacher),
        "hours": hours,
        "gpu_usd": gpu,
        "usd": _dollars(teacher + gpu) if gpu_hour_usd is not None else "",
    }


def _dollars(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.2f}"
