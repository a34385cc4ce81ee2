#!/usr/bin/env python3
"""How often the promise of `stepdistill cascade` holds, and when its drift alarm is raised.

Over recorded answers of real teachers (PaLM 540B on e-SNLI, gpt-3.5-turbo on ANLI), where those lie
beside the checkout (../shared/data), and the probabilities of a tiny student that is trained here
on a few minutes of CPU. Each draw takes some rows for validation, with replacement, finds the
temperature and the threshold as the command does, and looks at **all** rows whether the promise
holds: these are what the validation rows were drawn from, so nothing is estimated.

    missed      share of all draws whose promise does not hold; a draw that gives none misses none
    given       share of draws in which a threshold is found
    deferred    share of all rows that go to the teacher then, on average

A drift alarm is false where rows come from the very pool that the validation rows come from. Rows
are shifted to other ones: of another data set, of other shares of the labels. What a weak student
does not notice, no alarm can.

Example:

    python benchmarks/cascade.py --check --json benchmarks/results/cascade.json
"""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
from numpy.typing import NDArray

from audit_coverage import REAL, ROOT, recorded
from measuring import Figure, Results, parser, report
from race_templates import json_lines
from stepdistill.annotator.prompt.task import load_task
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
from stepdistill.trainer.cascade.drift import ALARM_RISK, DriftAlarm, reference_of
from stepdistill.trainer.cascade.guarantee import Outcomes, Promised, choose
from stepdistill.trainer.cascade.temperature import confidence, fitted_temperature
from stepdistill.trainer.inference.cascade import TUNING_SHARE
from stepdistill.trainer.model.answers import StudentAnswer
from stepdistill.trainer.settings.cascade import Promise

RISK, VALIDATION_ROWS, LEARNT = 0.05, 600, 3_000
STEPS = 600
MADE_UP, MADE_ROWS = "made up", 10_000
STREAM, SHIFT_SEEN_BY, REFERENCE = 1_000, 500, 400
NOBODY = PartRef(label=None, rationale=None)
# Targets below what the teacher alone reaches, in points, and of the student's own answers above
# what it reaches by answering all.
BELOW_TEACHER, ABOVE_STUDENT = (0.08, 0.05, 0.02), (0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Rows with what a teacher and the student say of them."""

    name: str
    answers: tuple[StudentAnswer, ...]
    student: NDArray[np.bool_]  # who is right
    teacher: NDArray[np.bool_]
    golds: tuple[str, ...]


def esnli(split: str) -> list[Record]:
    """Rows of e-SNLI with PaLM's label, where it gave one that can be read."""
    spec = load_task(ROOT / "prompts", "esnli")
    names = list(spec.label.classes)  # 0: entailment, 1: neutral, 2: contradiction
    said: dict[int, str] = {}
    with gzip.open(REAL / "palm-fewshot" / "esnli" / f"{split}_CoT.jsonl.gz") as file:
        for line in map(orjson.loads, file):
            own = line["output"].split("\n\n")[0]
            label = own.rpartition("Answer:")[2].strip().lower() if "Answer:" in own else ""
            if label in spec.label.classes:
                said[line["idx"]] = label
    rows = list(json_lines(REAL / "datasets" / "esnli" / f"esnli_{split}.json"))
    return [
        record(
            split,
            place,
            (row["premise"], row["hypothesis"]),
            names[int(row["label"])],
            said.get(place),
        )
        for place, row in enumerate(rows)
    ]


def anli() -> list[Record]:
    """Rows of ANLI, whole splits, with gpt-3.5-turbo's label where it could be read."""
    return [
        record(
            each.row[0],
            each.row[1],
            (each.fields["premise"], each.fields["hypothesis"]),
            each.gold,
            each.label,
        )
        for each in recorded("anli1")
        if each.template == "100"
    ]


def record(split: str, place: int, texts: tuple[str, str], gold: str, label: str | None) -> Record:
    """A row as a shard has it."""
    return Record(
        id=f"{split}-{place}",
        split=split,
        index=place,
        input={"premise": texts[0], "hypothesis": texts[1]},
        label=label,
        rationale=None,
        gold=gold,
        templates=NOBODY,
        keys=NOBODY,
        confidence=None,
    )


def write_shards(folder: Path, records: list[Record]) -> Path:
    """A folder that `train` takes."""
    spec = load_task(ROOT / "prompts", "esnli")
    folder.mkdir(parents=True)
    content = b"".join(orjson.dumps(each.content) + b"\n" for each in records)
    (folder / "shard-00000.jsonl").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry = ShardEntry(
        file="shard-00000.jsonl", rows=len(records), bytes=len(content), sha256=digest
    )
    manifest = Manifest(
        task="esnli",
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


@cache
def pools() -> dict[str, Pool]:
    """The rows that the student has not learnt from, answered by it."""
    from stepdistill.trainer.inference.predictor import Predictor
    from stepdistill.trainer.inference.rows import AskedRow

    train = esnli("train")
    rest = [each for split in ("valid", "test") for each in esnli(split)]
    with TemporaryDirectory() as home:
        shards = {
            "train": write_shards(Path(home) / "train", train[:LEARNT]),
            "valid": write_shards(Path(home) / "valid", train[LEARNT : LEARNT + 200]),
        }
        learn(shards, Path(home) / "student")
        predictor = Predictor(Path(home) / "student" / "model")
        fill = predictor.settings.student.input.format
        found: dict[str, Pool] = {}
        for name, records in (("e-SNLI", train[LEARNT + 200 :] + rest), ("ANLI", anli())):
            choices = tuple(predictor.settings.label.classes)
            rows = [AskedRow(id=r.id, input=fill(**r.input), choices=choices) for r in records]
            answers = [
                answer
                for start in range(0, len(rows), 64)
                for answer in predictor.label_with_logs(rows[start : start + 64])
            ]
            found[name] = Pool(
                name=name,
                answers=tuple(answers),
                student=np.array(
                    [a.label == r.gold for a, r in zip(answers, records, strict=True)]
                ),
                teacher=np.array([r.label == r.gold for r in records]),
                golds=tuple(str(r.gold) for r in records),
            )
    found[MADE_UP] = made_up()
    return found


def made_up() -> Pool:
    """A good student, mostly sure and right as often, of a teacher that is right on 97 of 100."""
    rng = np.random.default_rng(0)
    sure = 1 / 3 + 2 / 3 * rng.beta(4, 0.6, MADE_ROWS)
    student = rng.random(MADE_ROWS) < sure
    logs = np.log(np.stack([sure, (1 - sure) * 0.7, (1 - sure) * 0.3], axis=1) + 1e-9)
    labels = rng.choice(["one", "two", "three"], MADE_ROWS)
    answers = [
        # Twice as sure of itself as it should be: a temperature of 2 puts that right.
        StudentAnswer(label=str(label), probability=0.0, logs=tuple(2 * row), place=0)
        for label, row in zip(labels, logs, strict=True)
    ]
    return Pool(
        name=MADE_UP,
        answers=tuple(answers),
        student=student,
        teacher=rng.random(MADE_ROWS) < 0.97,
        golds=tuple(map(str, labels)),
    )


def learn(shards: dict[str, Path], output: Path) -> None:
    """Train the tiny student."""
    words = [Path(sys.executable).parent / "stepdistill", "train", "--model", "tiny"]
    words += ["--student", "encoder", "--steps", str(STEPS), "--eval-every", str(STEPS // 3)]
    words += ["--train", shards["train"], "--valid", shards["valid"], "--test", shards["valid"]]
    alone = {name: value for name, value in os.environ.items() if name != "RANK"}
    subprocess.run([*map(str, words), "--output", str(output), "--quiet"], check=True, env=alone)


def draw(pool: Pool, promise: Promise, target: float, seed: int) -> tuple[bool, float] | None:
    """(whether the promise holds for all rows, share of them that is deferred); None: none is
    given."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, len(pool.answers), VALIDATION_ROWS)
    tunes = rng.random(VALIDATION_ROWS) < TUNING_SHARE
    tuned = places[tunes]
    temperature = fitted_temperature(
        [pool.answers[int(place)] for place in tuned], [bool(each) for each in pool.student[tuned]]
    )
    sure = confidences(pool, temperature)

    def outcomes(chosen: NDArray[np.int64]) -> Outcomes:
        return Outcomes(
            confidence=sure[chosen], student=pool.student[chosen], teacher=pool.teacher[chosen]
        )

    promised = Promised(promise=promise, target=target, risk=RISK)
    found = choose(outcomes(tuned), outcomes(places[~tunes]), promised)
    if found is None:
        return None
    answered = sure >= found.threshold
    right = np.where(answered, pool.student, pool.teacher)
    share = right.mean() if promise == "system" else pool.student[answered].mean()
    return bool(share >= target), float(1 - answered.mean())


_KNOWN: dict[tuple[str, float], NDArray[np.float64]] = {}


def confidences(pool: Pool, temperature: float) -> NDArray[np.float64]:
    """The student's, of all rows of a pool."""
    known = (pool.name, temperature)
    if known not in _KNOWN:
        _KNOWN[known] = np.array([confidence(each, temperature) for each in pool.answers])
    return _KNOWN[known]


def promises(pool: Pool) -> Iterator[tuple[Promise, float]]:
    """The promises that are asked for."""
    if pool.name == MADE_UP:
        for share in (0.9, 0.95):
            yield "system", share
            yield "student", share
        return
    teacher, student = pool.teacher.mean(), pool.student.mean()
    for less in BELOW_TEACHER:
        yield "system", round(float(teacher) - less, 2)
    for more in ABOVE_STUDENT:
        yield "student", round(float(student) + more, 2)


def percent(name: str, share: float, at_most: float | None = None) -> Figure:
    """A share as a figure. at_most: its bar, a share too."""
    bar = None if at_most is None else 100 * at_most
    return Figure(name=name, unit="%", samples=[100 * share], at_most=bar)


def most_missed(draws: int, risk: float) -> float:
    """The share of draws that may be unlucky, where each is with a chance of `risk`: of 1,000 such
    benchmarks 999 have no more."""
    rng = np.random.default_rng(0)
    return float(np.quantile(rng.binomial(draws, risk, 200_000), 0.999)) / draws


def measure_promises(results: Results, draws: int) -> None:
    """Every promise, so many draws of each."""
    slack = most_missed(draws, RISK)
    for pool in pools().values():
        print(
            f"{pool.name}: {len(pool.answers):,} rows, teacher {pool.teacher.mean():.3f}, student "
            f"{pool.student.mean():.3f}"
        )
        for promise, target in promises(pool):
            found = [draw(pool, promise, target, seed) for seed in range(draws)]
            given = [each for each in found if each is not None]
            missed = sum(not holds for holds, _ in given) / draws
            deferred = float(np.mean([share for _, share in given])) if given else float("nan")
            name = f"{pool.name}, {promise} {target:.2f}"
            results.figures += [
                percent(f"{name}: missed", missed, slack),
                percent(f"{name}: given", len(given) / draws),
                percent(f"{name}: deferred", deferred),
            ]


def alarm_row(reference: Pool, stream: Pool, seed: int, weights: NDArray[np.float64] | None) -> int:
    """The row at which the alarm is raised; 0: it is not."""
    rng = np.random.default_rng(seed)

    def drawn(pool: Pool, n: int, share: NDArray[np.float64] | None) -> Iterator[tuple[float, str]]:
        sure = confidences(pool, 1.0)
        for place in map(int, rng.choice(len(pool.answers), n, p=share)):
            yield float(sure[place]), pool.answers[place].label

    before = list(drawn(reference, REFERENCE, None))
    names = sorted({answer.label for answer in reference.answers})
    sureness, labels = [sure for sure, _ in before], [label for _, label in before]
    alarm = DriftAlarm(reference_of(sureness, labels, names))
    for sure, label in drawn(stream, STREAM, weights):
        if alarm.look(sure, label):
            return alarm.rows
    return 0


def mostly(those: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Chances of rows, by which those come that often."""
    chances = np.full(len(those), (1 - share) / (~those).sum())
    chances[those] = share / those.sum()
    return chances


def joined(one: Pool, other: Pool) -> Pool:
    """The rows of both."""
    return Pool(
        name=f"{one.name}+{other.name}",
        answers=one.answers + other.answers,
        student=np.concatenate([one.student, other.student]),
        teacher=np.concatenate([one.teacher, other.teacher]),
        golds=one.golds + other.golds,
    )


def measure_alarms(results: Results, draws: int) -> None:
    """Streams that are like the validation rows, and others."""
    own, other = pools()["e-SNLI"], pools()["ANLI"]
    golds = np.array(own.golds)
    slack = most_missed(draws, ALARM_RISK)
    false = sum(alarm_row(own, own, seed, None) > 0 for seed in range(draws)) / draws
    results.figures.append(percent("alarm, rows as before: false", false, slack))
    labels = np.array([each.label for each in own.answers])
    both = joined(own, other)
    halves = np.repeat(
        [0.5 / len(own.answers), 0.5 / len(other.answers)], [len(golds), len(other.golds)]
    )
    shifts: list[tuple[str, Pool, NDArray[np.float64] | None]] = [
        ("rows of ANLI", other, None),
        ("every other row of ANLI", both, halves),
        ("60 % that it answers alike", own, mostly(labels == "contradiction", 0.6)),
        ("60 % of one gold label", own, mostly(golds == "contradiction", 0.6)),
    ]
    for name, stream, weights in shifts:
        rows = [alarm_row(own, stream, 10_000 + seed, weights) for seed in range(draws // 5)]
        seen = sum(0 < row <= SHIFT_SEEN_BY for row in rows) / len(rows)
        results.figures.append(percent(f"alarm, {name}: raised within {SHIFT_SEEN_BY} rows", seen))
        median = float(np.median([row for row in rows if row] or [float("nan")]))
        figure = Figure(name=f"alarm, {name}: median row", unit="rows", samples=[median])
        results.figures.append(figure)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--draws", type=int, default=1_000, help="of each promise, and of streams")
    given = options.parse_args()
    draws = 50 if given.smoke else given.draws
    settings: dict[str, object] = {"draws": draws, "risk": RISK, "validation_rows": VALIDATION_ROWS}
    results = Results(benchmark="cascade", settings=settings)
    if not REAL.is_dir():
        print(f"no recorded answers: {REAL} is not there")
        return 0
    measure_promises(results, draws)
    measure_alarms(results, draws)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
