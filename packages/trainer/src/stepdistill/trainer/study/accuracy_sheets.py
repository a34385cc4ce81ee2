"""Test accuracy by kind of run, and what pairs of runs say of two methods."""

from collections.abc import Iterator
from itertools import combinations
from statistics import fmean

import pandas as pd

from stepdistill.trainer.study.frame import CONTENDER, CONTEXT, baseline_of, present, telling
from stepdistill.trainer.study.seeds import corrected, mean_of, paired
from stepdistill.trainer.study.table import Table

_PLACE = ("source", "task", "model")
_SHOWN = (*_PLACE, "method", *CONTENDER[1:], *CONTEXT[3:])
_BESIDE = ("rationale_rate", "rationale_words")
_HOUR_S = 3600


def accuracy_sheet(frame: pd.DataFrame) -> Table:
    """A line for each kind of run: the mean over all of its seeds."""
    shown = telling(frame, _SHOWN)
    kinds = frame.groupby(present(frame, _SHOWN), dropna=False, sort=True)
    lines = [_kind(part, shown) for _, part in kinds]
    return Table(
        name="accuracy",
        title="Test accuracy",
        note="Mean over all n seeds, none left out; low and high: 95 % interval, Student's t over "
        "seeds, cut at 0 and 1 (empty for one seed). hours: of training, over all devices, without "
        "exams.",
        frame=pd.DataFrame(lines).dropna(axis="columns", how="all"),
        digits={"subsample": 3, "rationale_rate": 2, "rationale_words": 1, "hours": 2, "lr": 5},
    )


def paired_sheet(frame: pd.DataFrame, *, all_pairs: bool = False) -> Table:
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
    hours = part["device_seconds"].mean() / _HOUR_S
    return {
        **{name: part[name].iloc[0] for name in shown},
        "n": mean.n,
        "accuracy": mean.mean,
        "low": max(mean.low, 0.0),
        "high": min(mean.high, 1.0),
        **{name: part[name].mean() for name in _BESIDE},
        "hours": hours,
    }


def named(frame: pd.DataFrame, whole: pd.DataFrame) -> str:
    """A contender in words, by what tells it from the others of a frame."""
    one = frame.iloc[0]
    words = [str(one["method"])]
    for name in telling(whole, CONTENDER[1:]):
        if one[name] != "" and not (name == "alpha" and one["mode"] == "standard"):
            words.append(str(one[name]) if name in ("teacher", "data") else f"{name} {one[name]}")
    return ", ".join(words)


def _duels(part: pd.DataFrame, *, all_pairs: bool) -> Iterator[dict[str, object]]:
    context, baseline = present(part, (*CONTEXT[3:], "seed")), baseline_of(part)
    contenders = part.groupby(present(part, CONTENDER), dropna=False, sort=True)
    # Runs that are alike to the seed are one: a mean, so that no pair counts twice.
    sides = [(str(group["method"].iloc[0]), named(group, part), group) for _, group in contenders]
    for theirs, ours in combinations(sorted(sides, key=lambda side: side[0] != baseline), 2):
        if not all_pairs and theirs[0] != baseline:
            continue
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
