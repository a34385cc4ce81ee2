#!/usr/bin/env python3
"""Soft labels from log-probabilities against five votes, at equal money, where the truth is known.

A simulated teacher in doubt draws each answer from chances that its row has, and tells them when it
is asked for log-probabilities. The same rows are labelled by one answer with `--logprobs 20` and by
`--votes 5`, which costs five times as much: for the same money a fifth of the rows is labelled. How
far each is from the known chances is measured; then tiny students learn from what the same money
bought, hard labels of one answer for each row among it, and are judged by gold labels.

Examples:

    python benchmarks/soft_labels.py --check --json benchmarks/results/soft_labels.json
    python benchmarks/soft_labels.py --smoke
"""

import argparse
import asyncio
import contextlib
import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from measuring import Figure, Results, parser, report, run_measured

ROOT = Path(__file__).resolve().parents[1]
VOTES = 5
LEAST = 1e-3  # a share below this counts as this much, so that one vote too few is no infinite loss
SPLITS = ("train", "valid", "test")
# What the same money buys: name -> words of the trainer.
STUDENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "one answer, hard labels": ("told", ()),
    "one answer, logprobs": ("told", ("--soft-labels",)),
    "five votes, a fifth of the rows": ("votes", ("--soft-labels",)),
    "five votes, all rows, five times the money": ("dear", ("--soft-labels",)),
}


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=3)
    given.add_argument("--rows", type=int, default=2000)
    given.add_argument("--accuracy", type=float, default=0.7, help="of the teacher")
    given.add_argument("--steps", type=int, default=600, help="of a student, 0 for none")
    return given.parse_args()


def main() -> int:
    given = options()
    rows, rounds = (100, 1) if given.smoke else (given.rows, given.rounds)
    steps = 4 if given.smoke else given.steps
    settings: dict[str, object] = {"rows": rows, "accuracy": given.accuracy, "steps": steps}
    results = Results(benchmark="soft_labels", settings=settings)
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(label(Path(home), rows, given.accuracy, results))
        if steps:
            students(Path(home), steps, rounds, results)
    return report(results, given)


async def label(home: Path, rows: int, accuracy: float, results: Results) -> None:
    """Ask a teacher for all of it, and set what came against what it knows."""
    from stepdistill.annotator.run.planning import make_plans
    from stepdistill.annotator.settings.run import RunSettings
    from stepdistill.annotator.simulator.answers import SimulatedTeacher
    from stepdistill.annotator.simulator.rehearsal import rehearse
    from stepdistill.annotator.simulator.server import Simulator
    from stepdistill.annotator.simulator.wire import prompt_digest, read_messages

    config = RunSettings(
        task="demo", teacher="t", base_url="http://localhost/v1", prompts=ROOT / "prompts",
        splits=SPLITS, data=None, store=home / "store",
    )  # fmt: skip
    plans = make_plans(config)
    teacher = SimulatedTeacher(
        book=rehearse(plans).book, accuracy=accuracy, seed=1, doubts=True, counts=True
    )
    truth: dict[str, dict[str, float]] = {}
    for planned in plans[0].rows():
        digest = prompt_digest(read_messages(planned.label.messages))
        known = teacher.book.find(digest)
        assert known is not None
        truth[planned.row.id] = teacher.chances(known, digest)
    async with Simulator(teacher) as simulator:
        for name, samples, more in (
            ("told", rows, ("--logprobs", "20")),
            ("votes", rows // VOTES, ("--votes", str(VOTES))),
            ("dear", rows, ("--votes", str(VOTES))),
        ):
            await annotate(home, name, simulator.base_url, "train", samples, *more)
        for split in SPLITS[1:]:
            await annotate(home, "told", simulator.base_url, split, 400)
    told, dear = (shares(home / name / "train") for name in ("told", "dear"))
    results.figures += compared(told, dear, truth, results)


async def annotate(home: Path, name: str, url: str, split: str, samples: int, *more: str) -> None:
    command = [Path(sys.executable).with_name("annotate"), "run", "demo", "--teacher", "t"]
    command += ["--base-url", url, "--split", split, "--samples", str(samples), *more]
    command += ["--out", home / name, "--store", home / f"store-{name}"]
    await asyncio.to_thread(run_measured, command, cwd=ROOT)


def shares(folder: Path) -> dict[str, dict[str, float]]:
    """Row -> label -> its share, by what was told, else by votes."""
    found: dict[str, dict[str, float]] = {}
    for shard in sorted(folder.glob("shard-*.jsonl")):
        for line in shard.read_bytes().splitlines():
            row: dict[str, Any] = json.loads(line)
            votes: dict[str, int] = row["label_votes"] or {}
            n = sum(votes.values())
            found[row["id"]] = row.get("label_probs") or {k: v / n for k, v in votes.items()}
    return found


def compared(
    told: Mapping[str, Mapping[str, float]],
    votes: Mapping[str, Mapping[str, float]],
    truth: Mapping[str, Mapping[str, float]],
    results: Results,
) -> list[Figure]:
    """How far both are from the truth, over rows that both have."""
    rows = sorted(told.keys() & votes.keys())
    figures: list[Figure] = []
    errors: dict[str, float] = {}
    for name, found in (("logprobs", told), (f"{VOTES} votes", votes)):
        each = [(found[row], truth[row]) for row in rows]
        off = [abs(p.get(k, 0.0) - q) for p, truly in each for k, q in truly.items()]
        squares = [sum((p.get(k, 0.0) - q) ** 2 for k, q in truly.items()) for p, truly in each]
        loss = [sum(q * math.log(q / max(p.get(k, 0.0), LEAST)) for k, q in truly.items() if q)
                for p, truly in each]  # fmt: skip
        errors[name] = fmean(off)
        figures += [
            Figure(
                name=f"{name}: mean error of a share", samples=[100 * fmean(off)], unit="points"
            ),
            Figure(
                name=f"{name}: square error of a row, x 100",
                samples=[100 * fmean(squares)],
                unit="",
            ),
            Figure(
                name=f"{name}: divergence of a row, x 100", samples=[100 * fmean(loss)], unit="nats"
            ),
        ]
        results.raw.append({"source": name, "rows": len(rows), "mean error": fmean(off)})
    ratio = errors["logprobs"] / errors[f"{VOTES} votes"]
    name = "mean error by logprobs / by votes, at a fifth of the money"
    return [*figures, Figure(name=name, samples=[ratio], unit="", at_most=0.25)]


def students(home: Path, steps: int, rounds: int, results: Results) -> None:
    os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ["XDG_CACHE_HOME"] = str(home)
    for name, (data, words) in STUDENTS.items():
        accuracies = [
            train(home, home / data / "train", steps, seed, *words) for seed in range(rounds)
        ]
        results.raw.append({"student": name, "accuracies": accuracies})
        results.figures.append(Figure(name=f"student, {name}", samples=accuracies, unit=""))
        print(f"{name}: {accuracies}", file=sys.stderr)


def train(home: Path, data: Path, steps: int, seed: int, *words: str) -> float:
    """The accuracy of a tiny student on the test rows, by gold labels."""
    from stepdistill.trainer.main import main as trainer

    given = [f"--train={data}", *(f"--{s}={home / 'told' / s}" for s in SPLITS[1:])]
    given += [f"--output={home / 'student'}", "--model=tiny", "--mode=standard"]
    given += [f"--steps={steps}", f"--eval-every={max(1, steps // 4)}", f"--seed={seed}"]
    given += ["--batch-size=16", "--lr=1e-3", f"--warmup={steps // 6}", *words]
    with contextlib.redirect_stdout(io.StringIO()):
        code = trainer([*given, "--quiet", "--force"])
    if code:
        raise RuntimeError(f"{words}: exit {code}")
    told = json.loads((home / "student" / "results.json").read_bytes())
    return float(told["test"]["student"]["accuracy"])


if __name__ == "__main__":
    sys.exit(main())
