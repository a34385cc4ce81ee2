#!/usr/bin/env python3
"""What `annotate run --grow` buys, against as much money spent on rows drawn at random.

The teacher's answers are PaLM's recorded ones of four datasets, where they lie beside the checkout
(../shared/data), and made up for the demo task: the gold label, and of one row in ten another one.
Both ways buy rounds of the same sizes, and begin with the same 50 random rows. A student that
learnt each round's rows is judged by the gold labels of rows that nobody may buy: the one that
chooses (logistic regression), and one of another kind that had no part in it (naive Bayes). A
row's price is by its text's and its answer's characters, four for a token.

    saving    of the money that random rows take to the accuracy that both ways reach; of no
              meaning, and not told, where random rows bring a student less than three points
    ahead     points of accuracy at equal money, the mean over all rounds after the first
    forecast  how often the interval that is foretold at half of the rows holds what came of it

Intervals are over seeds (95 %: Student's t; of savings: the bootstrap).

Example:

    python benchmarks/grow.py --seeds 10 --json benchmarks/results/grow.json
"""

import argparse
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from math import sqrt
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

from stepdistill.annotator.active_learning.answer_forms import PoolRow
from stepdistill.annotator.active_learning.curve import LearningCurve
from stepdistill.annotator.active_learning.judge import Judge
from stepdistill.annotator.active_learning.shared_text import shared_field, with_groups
from stepdistill.annotator.active_learning.student import Features
from stepdistill.annotator.dataset.demo import demo_rows
from stepdistill.annotator.prompt.task import load_task
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import LabelSpec

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"
SIZES = (50, 75, 113, 169, 253, 379, 568, 852, 1278)
FIRST_SEED = 200  # the shares were set by what seeds 100 to 105 of esnli had shown
FLAT = 0.03  # a curve that rises by no more is one that money buys nothing on
USD_IN, USD_OUT = 1.5e-6 / 4, 2e-6 / 4  # for a character
NLI = {"entailment": "0", "neutral": "1", "contradiction": "2"}
MOST = 3_000  # rows of a pool
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A row, what the teacher says of it, and what that cost."""

    text: str
    choices: tuple[str, ...]
    gold: str
    label: str | None
    usd: float
    premise: str = ""  # which other rows may have, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Rows that may be bought, and rows that judge."""

    name: str
    kind: Kind
    pool: list[Answered]
    test: list[Answered]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return map(json.loads, text.decode().strip().split("\n"))


def recorded(name: str, split: str) -> list[Answered]:
    """A split's rows with PaLM's answers."""
    rows = lines(REAL / "datasets" / name / f"{name}_{split}.json")
    said = lines(REAL / "palm-fewshot" / name / f"{split}_CoT.jsonl.gz")
    return [answered(name, row, each["output"]) for row, each in zip(rows, said, strict=False)]


def answered(name: str, row: dict[str, Any], said: str) -> Answered:
    choices: tuple[str, ...] = ()
    own = re.split(r"\n+(?:Q|Premise):", said)[0].strip()
    if name == "cqa":
        text, gold, choices = row["question"], row["answer"], tuple(row["choices"])
        found = re.search(r"answer is\s*\(?([a-e])\)", own)
        label = choices["abcde".index(found[1])] if found else None
    elif name == "svamp":
        text, gold = row["input"], row["label"]
        found = re.search(r"answer is\s*(.+?)\.?$", own)
        label = found[1] if found else None
        if label and kind_of(LabelSpec(kind="equation")).check(label, {}) is not None:
            label = None
    else:
        text, gold = f"{row['premise']}\n{row['hypothesis']}", str(row["label"])
        found = re.search(r"(?:Answer:|answer is)\s*(entailment|neutral|contradiction)", own)
        label = NLI[found[1]] if found else None
    shown = len(text) + sum(map(len, choices)) + 400  # and the prompt's own words
    return Answered(
        text=text,
        choices=choices,
        gold=gold,
        label=label,
        usd=shown * USD_IN + len(own) * USD_OUT,
        premise=row.get("premise", ""),
    )


def demo() -> Dataset:
    task = load_task(ROOT / "prompts", "demo")
    kind, rng = kind_of(task.label), np.random.default_rng(1)

    def made(split: str, n: int) -> list[Answered]:
        rows: list[Answered] = []
        for row in islice(demo_rows(split, n), n):
            fields = {name: str(row[path]) for name, path in task.fields.items()}
            gold = str(kind.gold(kind.gold_text(row[str(task.gold)])))
            slips = kind.slips(gold, fields)
            errs = slips and rng.random() < 0.1
            label = kind.label_of(str(rng.choice(slips))) if errs else gold
            text = "\n".join(fields.values())
            usd = (len(text) + 400) * USD_IN + 120 * USD_OUT
            rows.append(Answered(text=text, choices=(), gold=gold, label=label, usd=usd))
        return rows

    return Dataset(name="demo", kind=kind, pool=made("train", MOST), test=made("test", 500))


def dataset(name: str) -> Dataset:
    if name == "demo":
        return demo()
    kinds = {"cqa": LabelSpec(kind="options", options=["a"]), "svamp": LabelSpec(kind="equation")}
    pool, tests = ("valid", ("test",)) if name == "anli1" else ("train", ("test",))
    if name == "esnli":
        tests = ("valid", "test")
    return Dataset(
        name=name,
        kind=kind_of(kinds.get(name, LabelSpec(kind="text"))),
        pool=recorded(name, pool)[:MOST],
        test=[row for split in tests for row in recorded(name, split)][:1_000],
    )


def naive_bayes() -> Any:
    from sklearn.naive_bayes import MultinomialNB

    return MultinomialNB(alpha=0.1)


def pool_row(place: int, row: Answered, number: float) -> PoolRow:
    return PoolRow(place=place, number=number, text=row.text, choices=row.choices, gold=row.gold)


class Trial:
    """One dataset: both ways, seed after seed."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.n = data, len(data.pool)
        every = [*data.pool, *data.test]
        rows = [pool_row(n, row, 0.0) for n, row in enumerate(every)]
        self.students = {
            "logistic": Features(rows, data.kind, 0),
            "bayes": Features(rows, data.kind, 0, naive_bayes),
        }
        fields = [{"premise": row.premise, "text": row.text} for row in data.pool]
        own = with_groups(rows[: self.n], fields, shared_field(fields))
        self.own = Features(own, data.kind, 0)
        self.sizes = [size for size in SIZES if size <= 0.7 * self.n]

    def seed(self, seed: int) -> dict[str, Any]:
        """What both ways come to."""
        numbers = np.random.default_rng(seed).random(self.n)
        order: list[int] = np.argsort(numbers, kind="stable").tolist()
        pool = [
            pool_row(n, row, number)
            for n, (row, number) in enumerate(zip(self.data.pool, numbers, strict=True))
        ]
        judge = Judge(kind=self.data.kind, pool=pool, valid=[], seed=seed, _features=self.own)
        grown, ends, found = list[int](), list[int](), dict[str, Any]()
        for way in ("random", "grow"):
            found[way] = {"usd": [], "logistic": [], "bayes": []}
        for size in self.sizes:
            if grown:
                grown += judge.next_rows(grown, size - len(grown))[0]
            else:
                grown = order[:size]
            judge.labels |= self._labels(grown)
            ends.append(len(grown))
            if 0.4 * self.sizes[-1] <= size < 0.6 * self.sizes[-1]:
                rights = [judge.right(end, grown) for end in ends]
                told = LearningCurve(ends, rights, seed).at(self.sizes[-1])
                found["told"] = asdict(told)
            for way, bought in (("random", order[:size]), ("grow", grown)):
                found[way]["usd"].append(sum(self.data.pool[row].usd for row in bought))
                for student in self.students:
                    found[way][student].append(self._accuracy(student, bought))
        return found

    def _labels(self, bought: list[int]) -> dict[int, str]:
        each = ((row, self.data.pool[row].label) for row in bought)
        return {row: label for row, label in each if label is not None}

    def _accuracy(self, student: str, bought: list[int]) -> float:
        said = self.students[student].guesses(self._labels(bought), held_out=False)
        same = self.data.kind.same
        right = [
            same(said.labels[self.n + n], row.gold, row.choices)
            for n, row in enumerate(self.data.test)
        ]
        return sum(right) / len(right)


def saving(usd: tuple[Floats, Floats], right: tuple[Floats, Floats]) -> float:
    """Of mean curves, random's first: what share of its money the other saves."""
    rising = [np.maximum.accumulate(each) for each in right]
    target = min(rising[0][-1], rising[1][-1])
    random, grown = (_at(target, r, u) for r, u in zip(rising, usd, strict=True))
    return 1 - grown / random


def _at(where: Any, known: Floats, value: Floats) -> Any:
    """Between the points that are known."""
    interp: Any = np.interp
    return interp(where, known, value)


def summary(name: str, student: str, seeds: list[dict[str, Any]]) -> dict[str, Any]:
    table = {
        way: (
            np.array([seed[way]["usd"] for seed in seeds]),
            np.array([seed[way][student] for seed in seeds]),
        )
        for way in ("random", "grow")
    }
    (usd_r, acc_r), (usd_g, acc_g) = table["random"], table["grow"]
    at_equal: Floats = np.array([_at(usd_r[n], usd_g[n], acc_g[n]) for n in range(len(seeds))])
    ahead, end = (at_equal - acc_r)[:, 1:].mean(axis=1) * 100, (at_equal - acc_r)[:, -1] * 100
    rng, drawn = np.random.default_rng(0), list[float]()
    for _ in range(500):
        rows = rng.integers(0, len(seeds), len(seeds))
        usd = usd_r[rows].mean(axis=0), usd_g[rows].mean(axis=0)
        drawn.append(saving(usd, (acc_r[rows].mean(axis=0), acc_g[rows].mean(axis=0))))
    whole = saving(
        (usd_r.mean(axis=0), usd_g.mean(axis=0)), (acc_r.mean(axis=0), acc_g.mean(axis=0))
    )
    rises = float(acc_r[:, -1].mean() - acc_r[:, 0].mean())
    return {
        "dataset": name,
        "student": student,
        "random": acc_r.mean(axis=0).tolist(),
        "grow": acc_g.mean(axis=0).tolist(),
        "usd": usd_r.mean(axis=0).tolist(),
        "ahead": interval(ahead),
        "ahead_at_end": interval(end),
        "saving": [whole, *(float(np.quantile(drawn, at)) for at in (0.025, 0.975))]
        if rises > FLAT
        else None,
    }


def interval(each: Floats) -> list[float]:
    mean, half = float(each.mean()), float(each.std(ddof=1)) / sqrt(len(each))
    half *= float(cast(Any, student_t).ppf(0.975, len(each) - 1))
    return [mean, mean - half, mean + half]


def shown(found: dict[str, Any]) -> str:
    ahead, end, saved = found["ahead"], found["ahead_at_end"], found["saving"]
    of_it = f"{saved[0]:+.0%} ({saved[1]:+.0%} to {saved[2]:+.0%})" if saved else "none to speak of"
    return (
        f"{found['dataset']:6} {found['student']:9} random {found['random'][-1]:6.1%} grow "
        f"{found['grow'][-1]:6.1%}  ahead {ahead[0]:+.2f} ({ahead[1]:+.2f} to {ahead[2]:+.2f})  at "
        f"the end {end[0]:+.2f} ({end[1]:+.2f} to {end[2]:+.2f})  saving {of_it}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description="Rows by --grow against rows at random")
    options.add_argument("--datasets", default="demo,svamp,anli1,esnli,cqa")
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    results: dict[str, Any] = {"sizes": SIZES, "summaries": [], "seeds": {}, "forecasts": {}}
    for name in chosen.datasets.split(","):
        if name != "demo" and not REAL.is_dir():
            print(f"{name}: left out, as its data is not in {REAL}")
            continue
        trial = Trial(dataset(name))
        seeds = [trial.seed(FIRST_SEED + n) for n in range(chosen.seeds)]
        results["seeds"][name] = seeds
        for student in trial.students:
            found = summary(name, student, seeds)
            results["summaries"].append(found)
            print(shown(found), flush=True)
        truths = [(seed["told"], seed["grow"]["logistic"][-1]) for seed in seeds]
        held = sum(told["low"] <= truth <= told["high"] for told, truth in truths)
        results["forecasts"][name] = [held, len(seeds)]
        print(f"{name:6} forecast held in {held} of {len(seeds)}", flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
