#!/usr/bin/env python3
"""What a teacher's reasons do for small students: all, none, and as many as `auto` buys.

Labels and reasons are recorded ones of a real teacher (PaLM 540B, few-shot), where they lie beside
the checkout (../shared/data), and those of the simulated teacher for the demo's rows. Students of
several seeds learn from the same labels with 0, 20, 40, 70 and 100 % of the reasons, in the order
in which `annotate run --rationale-rate auto` tries them; `auto` decides by some rows, without
--point-worth, and all are judged on others.

    none, all   accuracy of students without reasons, and with all of them
    all - none  the difference in points, with its 95 % interval over seeds and rows
    auto        accuracy at the rate that auto takes; bought: the share of reasons it paid for

Then, of several candidate reasons of each row, one is chosen (`stepdistill rationales choose`) by
what it does for a student, against one at random. The candidates: the row's own reasons and those
of two other rows, in random order, so that it is known which should be chosen; and PaLM's beside
what people wrote (cqa, anli1), where nobody knows.

    own             share of rows whose own reasons are chosen; at random a third
    chosen, random  accuracy of students that learn from the chosen ones, or from one at random

Last, whether the rule itself can be believed, on the demo with 20 seeds: five students without
reasons against five others without (`false`: how often a gain is found that is none), and against
five with all of them (`found`).

Example:

    python benchmarks/reasons.py --json benchmarks/results/reasons.json
"""

import argparse
import gzip
import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from audit_coverage import REAL, ROOT
from measuring import Figure, Results, parser, report
from race_templates import json_lines
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.run.rate_choice import TriedRate, buy_while_it_pays
from stepdistill.common.intervals import gain_of
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.manifest import (
    CostEntry,
    Counts,
    Hashes,
    Manifest,
    ReaderEntry,
    ShardEntry,
    TeacherEntry,
    TokenTotals,
)
from stepdistill.common.record import PartRef, Record

DATASETS = ("demo", "esnli", "anli1", "cqa", "svamp")
# Where PaLM's answer says its label, and where the next question begins that it made up.
LABELS = {
    "esnli": re.compile(r"Answer: *(.*)"),
    "anli1": re.compile(r"So the answer is *([a-z ]+)"),
    "cqa": re.compile(r"So the answer is *\([a-e]\) *(.*?)\.?$", re.M),
    "svamp": re.compile(r"The answer is *\(?([^().]*)\)?"),
}
DRAWS, SURELY = 1_000, 0.95
NOBODY = PartRef(label=None, rationale=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A dataset's rows with what the teacher said of them."""

    name: str
    train: list[Record]
    judged: list[Record]  # every other one to decide by, the rest to judge on


def records_of(name: str, split: str) -> Iterator[Record]:
    """Recorded rows with PaLM's label and reasons; rows whose label cannot be read are left out."""
    spec = load_task(ROOT / "prompts", name)
    kind = kind_of(spec.label)
    rows = list(json_lines(REAL / "datasets" / name / f"{name}_{split}.json"))
    with gzip.open(REAL / "palm-fewshot" / name / f"{split}_CoT.jsonl.gz") as file:
        said = {line["idx"]: line["output"].split("\n\n")[0] for line in map(orjson.loads, file)}
    for place, row in enumerate(rows):
        found = LABELS[name].search(said.get(place, ""))
        fields, gold = fields_of(name, row)
        label = found and kind.said(found[1].strip())
        choices = kind.choices(fields)
        gold = kind.gold(gold)
        if not found or not label or (choices and label not in choices) or gold is None:
            continue
        reasons = said[place][: found.start()].strip()
        yield Record(
            id=f"{split}-{place}",
            split=split,
            index=place,
            input=fields,
            label=label,
            rationale=reasons or None,
            gold=gold,
            gold_rationale=row.get("reason") or row.get("abstractive_explanation"),
            templates=NOBODY,
            keys=NOBODY,
            confidence=None,
        )


def fields_of(name: str, row: dict[str, Any]) -> tuple[dict[str, str], str]:
    """The task's fields, and the gold label."""
    if name == "svamp":
        return {"question": row["input"]}, row["label"]
    if name == "cqa":
        choices = dict(zip("abcde", row["choices"], strict=True))
        named = {f"choice_{letter}": text for letter, text in choices.items()}
        return {"question": row["question"], **named}, row["answer"]
    return {"premise": row["premise"], "hypothesis": row["hypothesis"]}, str(row["label"])


def recorded(name: str, most: int, home: Path) -> Rows:
    """Rows to learn from, and rows to be judged on."""
    if name == "demo":
        return demo(most, home)
    if name == "anli1":  # its training rows are not there
        train, judged = list(records_of(name, "valid")), list(records_of(name, "test"))
    else:
        splits = ["valid", "test"] if name == "esnli" else ["test"]
        train = list(records_of(name, "train"))
        judged = [each for split in splits for each in records_of(name, split)]
    return Rows(name=name, train=train[:most], judged=judged[:most])


def demo(most: int, home: Path) -> Rows:
    """The demo's rows, labelled by the simulated teacher."""
    from stepdistill.common.shards import read_manifest, read_records

    splits = "train,valid,test"
    command = [Path(sys.executable).parent / "annotate", "run", "demo", "--teacher", "simulated"]
    words = [*command, "--split", splits, "--store", home / "store", "--out", home / "demo"]
    subprocess.run([*words, "--quiet"], check=True, capture_output=True, cwd=home)
    found = {
        split: list(read_records(home / "demo" / split, read_manifest(home / "demo" / split)))
        for split in splits.split(",")
    }
    return Rows(name="demo", train=found["train"][:most], judged=found["valid"] + found["test"])


def write_shards(folder: Path, task: str, records: Sequence[Record]) -> Path:
    """A folder that the trainer takes."""
    spec = load_task(ROOT / "prompts", task)
    folder.mkdir(parents=True)
    content = b"".join(orjson.dumps(each.content) + b"\n" for each in records)
    (folder / "shard-00000.jsonl").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry = ShardEntry(
        file="shard-00000.jsonl", rows=len(records), bytes=len(content), sha256=digest
    )
    manifest = Manifest(
        task=task,
        split=folder.name,
        counts=Counts(rows=len(records), records=len(records), rejected={}),
        shards=[entry],
        hashes=Hashes(task="0", prompts="0", data="0"),
        fingerprint=digest,
        teacher=TeacherEntry(model="recorded", endpoint="localhost"),
        reader=ReaderEntry(name="verdict", version=1),
        answers=len(records),
        tokens=TokenTotals(),
        cost=CostEntry(usd=None, price="unknown"),
        label=spec.label,
        student=spec.student,
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return folder


class Students:
    """Students that learn from a folder of shards at rates, with all that they had right."""

    def __init__(self, train: Sequence[Path], judged: Path, given: argparse.Namespace) -> None:
        self._words: list[str | Path] = [Path(sys.executable).parent / "stepdistill"]
        self._words += ["rationales", "compare", *train]
        self._words += ["--valid", judged, "--model", given.model, "--steps", str(given.steps)]
        self._words += ["--seeds", str(given.seeds), "--json", "--quiet"]
        self._words += ["--keep", judged.parent / "students.jsonl"]

    def right(self, rate: float) -> list[str]:
        """By seed: of each row 1 or 0."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [*self._words, "--rates", f"{rate:g}"]
        done = subprocess.run(words, check=True, capture_output=True, env=environment)
        return orjson.loads(done.stdout)["rates"][0]["right"]


def shares(right: Sequence[str], part: slice) -> list[float]:
    """Accuracy by seed on some of the rows."""
    return [each[part].count("1") / len(each[part]) for each in right]


DECIDE, JUDGE = slice(0, None, 2), slice(1, None, 2)


def measure_rates(rows: Rows, given: argparse.Namespace, home: Path, results: Results) -> None:
    """None, all and auto on one dataset."""
    train = write_shards(home / "shards" / rows.name / "train", rows.name, rows.train)
    judged = write_shards(home / "shards" / rows.name / "judged", rows.name, rows.judged)
    students, found = Students([train], judged, given), dict[float, list[str]]()

    def try_rate(rate: float) -> TriedRate:
        found[rate] = found.get(rate) or students.right(rate)
        right = tuple(each[DECIDE] for each in found[rate])
        accuracy = fmean(shares(found[rate], DECIDE))
        n = round(rate * sum(each.rationale is not None for each in rows.train))
        return TriedRate(rate=rate, reasons=n, usd=None, right=right, accuracy=accuracy)

    chosen = buy_while_it_pays(try_rate, None)
    assert chosen is not None
    bought = chosen.tried[-1].rate
    try_rate(1.0)
    judge = {rate: [each[JUDGE] for each in right] for rate, right in found.items()}
    gain = gain_of(judge[1.0], judge[0.0])
    auto_gain = gain_of(judge[chosen.rate], judge[1.0])
    for what, rate in (("none", 0.0), ("all", 1.0), ("auto", chosen.rate)):
        results.figures.append(
            Figure(name=f"{rows.name}: {what}", samples=shares(found[rate], JUDGE), unit="right")
        )
    points = Figure(name=f"{rows.name}: all - none", samples=[100 * gain.mean], unit="points")
    share = Figure(name=f"{rows.name}: bought", samples=[bought], unit="share")
    results.figures += [points, share]
    results.raw.append(
        {
            "part": "rates",
            "dataset": rows.name,
            "rows": len(rows.train),
            "judged": len(rows.judged) // 2,
            "teacher_right": fmean(same_label(rows)),
            "all_less_none": [gain.mean, *gain.interval],
            "auto_less_all": [auto_gain.mean, *auto_gain.interval],
            "auto": {"rate": chosen.rate, "bought": bought, "why": chosen.why},
            "right": {f"{rate:g}": right for rate, right in found.items()},
        }
    )


def planted(rows: Rows) -> list[list[Record]]:
    """Three folders of the same rows, one of which has the row's own reasons, whichever."""
    chance = random.Random(0)
    others = [str(each.rationale) for each in rows.train]
    folders: list[list[Record]] = [[], [], []]
    for each in rows.train:
        told = [str(each.rationale), *chance.choices(others, k=2)]
        chance.shuffle(told)
        for folder, text in zip(folders, told, strict=True):
            folder.append(replace(each, rationale=text))
    return folders


def of_people(rows: Rows) -> list[list[Record]]:
    """PaLM's reasons and people's, who argue for the gold label; which comes first is chance."""
    chance, folders = random.Random(0), list[list[Record]]([[], []])
    for each in rows.train:
        is_same = each.label == each.gold and each.gold_rationale
        pair = [each, replace(each, rationale=each.gold_rationale) if is_same else each]
        chance.shuffle(pair)
        for folder, record in zip(folders, pair, strict=True):
            folder.append(record)
    return folders


def own_kept(rows: Rows, choices: Path) -> Iterator[bool]:
    """Of each row with a choice whether its own reasons are kept."""
    own = {each.id: each.rationale for each in rows.train}
    for line in json_lines(choices):
        if len(line["candidates"]) > 1:
            kept = next(each["rationale"] for each in line["candidates"] if each["kept"])
            yield kept == own[line["id"]]


def measure_choice(
    rows: Rows,
    candidates: list[list[Record]],
    what: str,
    given: argparse.Namespace,
    home: Path,
    results: Results,
) -> None:
    """One of several reasons chosen, on one dataset."""
    here = home / "choice" / f"{rows.name}-{what}"
    folders = [
        write_shards(here / f"candidates-{n}" / "train", rows.name, each)
        for n, each in enumerate(candidates)
    ]
    judged = write_shards(here / "judged", rows.name, rows.judged)
    words = [Path(sys.executable).parent / "stepdistill", "rationales", "choose", *folders]
    words += ["--model", given.model, "--steps", str(given.steps), "--out", here / "chosen"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*words, "--json"], check=True, capture_output=True, env=environment)
    facts = orjson.loads(done.stdout)
    kept = list(own_kept(rows, here / "chosen" / "choices.jsonl"))
    ways = {"chosen": [here / "chosen"], "random": folders[:1]}
    right = {way: Students(each, judged, given).right(1.0) for way, each in ways.items()}
    gain = gain_of(right["chosen"], right["random"])
    name = f"{rows.name}, {what}"
    results.figures.append(Figure(name=f"{name}: own", samples=[fmean(kept)], unit="rows"))
    for way, each in right.items():
        every = shares(each, slice(None))
        results.figures.append(Figure(name=f"{name}: {way}", samples=every, unit="right"))
    results.raw.append(
        {
            "part": f"choice, {what}",
            "dataset": rows.name,
            "facts": {**facts, "out": ""},
            "own": [fmean(kept), len(kept)],
            "chosen_less_random": [gain.mean, *gain.interval],
            "right": right,
        }
    )


def measure_rule(rows: Rows, given: argparse.Namespace, home: Path, results: Results) -> None:
    """How often the rule finds a gain where there is none, and where there is one."""
    train = write_shards(home / "rule" / "train", rows.name, rows.train)
    judged = write_shards(home / "rule" / "judged", rows.name, rows.judged)
    many = argparse.Namespace(**{**vars(given), "seeds": 4 if given.smoke else 20})
    students = Students([train], judged, many)
    none, every = students.right(0.0), students.right(1.0)
    chance, half = random.Random(0), min(5, len(none) // 2)

    def share_found(draw: Callable[[], tuple[list[str], list[str]]]) -> float:
        gains = (gain_of(*draw()) for _ in range(DRAWS))
        return fmean(gain.chance_above(0.0) >= SURELY for gain in gains)

    def alike() -> tuple[list[str], list[str]]:
        drawn = chance.sample(none, 2 * half)
        return drawn[:half], drawn[half:]

    def other() -> tuple[list[str], list[str]]:
        return chance.sample(every, half), chance.sample(none, half)

    for what, draw in (("false", alike), ("found", other)):
        share = Figure(name=f"{rows.name}, rule: {what}", samples=[share_found(draw)], unit="share")
        results.figures.append(share)
    accuracies = {"none": shares(none, slice(None)), "all": shares(every, slice(None))}
    results.raw.append({"part": "rule", "dataset": rows.name, "accuracies": accuracies})


def same_label(rows: Rows) -> Iterator[bool]:
    """Of each training row whether the teacher is right."""
    kind = kind_of(load_task(ROOT / "prompts", rows.name).label)
    return (kind.same(str(r.label), str(r.gold), kind.choices(r.input)) for r in rows.train)


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=1)
    given.add_argument("--datasets", default=",".join(DATASETS))
    given.add_argument("--model", default="micro")
    given.add_argument("--steps", type=int, default=800)
    given.add_argument("--seeds", type=int, default=4)
    given.add_argument("--rows", type=int, default=3000, help="of a split at most")
    given.add_argument("--parts", default="rates,choice,rule")
    return given.parse_args()


def main() -> int:
    given = options()
    if given.smoke:
        given.datasets, given.steps, given.seeds, given.rows = "demo", 3, 2, 100
    names = [each for each in given.datasets.split(",") if each == "demo" or REAL.is_dir()]
    settings = {name: getattr(given, name) for name in ("model", "steps", "seeds", "rows")}
    results = Results(benchmark="reasons", settings={**settings, "datasets": ",".join(names)})
    with TemporaryDirectory() as home:
        for name in names:
            rows = recorded(name, given.rows, Path(home))
            print(f"{name}: {len(rows.train):,} rows to learn from", file=sys.stderr)
            if "rates" in given.parts:
                measure_rates(rows, given, Path(home), results)
            if "rule" in given.parts and name == "demo":
                measure_rule(rows, given, Path(home), results)
            if "choice" in given.parts:
                measure_choice(rows, planted(rows), "own among three", given, Path(home), results)
                if name in ("cqa", "anli1"):
                    people = of_people(rows)
                    measure_choice(rows, people, "PaLM or people", given, Path(home), results)
    return report(results, given)


if __name__ == "__main__":
    raise SystemExit(main())
