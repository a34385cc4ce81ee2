#!/usr/bin/env python3
"""What all cores bring where the store has every answer: `annotate run` and `annotate report`, by
one process and by more.

Both take turns over the same rows; what they write has to be the same, byte for byte. On a machine
that others use, too, what counts is the best pair: in the others somebody else had the cores.

Example:

    python benchmarks/all_cores.py --rows 1000000 --json benchmarks/results/all_cores.json
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from annotate_command import Annotate
from made_task import MODEL, make_task
from measuring import Figure, Results, Spent, parser, report, run_measured
from stepdistill.annotator.run.chunks import usable_cores
from warm_rerun import NOBODY, fill_store

RATIO_BAR = 1.4  # of two processes on two cores, in the best pair


def shards_digest(out: Path) -> str:
    """sha256 of all that a run wrote."""
    digest = hashlib.sha256()
    for path in sorted(out.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


Pairs = dict[str, list[tuple[float, float]]]  # seconds by one process and by more, by command


def pair(one: Annotate, more: Annotate, results: Results) -> Iterator[tuple[str, float, float]]:
    """Seconds of each command by one process and by more. Raises RuntimeError: they do not write
    the same."""
    for name, made in (("run", run), ("report", make_report)):
        (spent, wrote), (other, it_wrote) = made(one), made(more)
        if wrote != it_wrote:
            raise RuntimeError(f"{name}: several processes wrote other bytes than one")
        walls, cpus = (spent.wall_s, other.wall_s), (spent.cpu_s, other.cpu_s)
        at = {"what": name, "load": os.getloadavg()[0]}
        results.raw.append({**at, "wall_s": walls, "cpu_s": cpus})
        yield name, *walls


def run(annotate: Annotate) -> tuple[Spent, str]:
    """What a run costs, and what it writes."""
    return annotate.run(), shards_digest(annotate.out)


def make_report(annotate: Annotate) -> tuple[Spent, str]:
    """What a report of this run costs, and what it says."""
    prices = annotate.task.folder / "free.yaml"
    price = {"valid_from": "2020-01-01", "source": "benchmark", "input": 1, "output": 1}
    prices.write_text(json.dumps({"models": {MODEL: [price]}}))
    words = (annotate.out, "--store", annotate.store, "--prices", prices, "--json")
    processes = annotate.options or ("--processes", "1")
    command = [*annotate.command()[:3], "report", *words, *processes]
    spent = run_measured(command, cwd=annotate.task.folder)
    return spent, spent.output


def figures(pairs: Pairs) -> list[Figure]:
    """The figures with their bars."""
    made: list[Figure] = []
    for name, found in pairs.items():
        ratios = [one / more for one, more in found]
        best = f"{name}: best pair, one / more"
        made += [
            Figure(name=best, samples=[max(ratios)], unit="x", at_least=RATIO_BAR),
            Figure(name=f"{name}: all pairs", samples=ratios, unit="x"),
            Figure(name=f"{name}: one process", samples=[one for one, _ in found], unit="s"),
            Figure(name=f"{name}: more", samples=[more for _, more in found], unit="s"),
        ]
    return made


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=4)
    given.add_argument("--rows", type=int, default=200_000, help="rows in the store (200,000)")
    given.add_argument("--processes", type=int, help="how many; default: one a core")
    return given.parse_args()


def main() -> int:
    given = options()
    rows, rounds = (25_000, 1) if given.smoke else (given.rows, given.rounds)
    processes = given.processes or usable_cores()
    settings: dict[str, object] = {"rows": rows, "pairs": rounds, "processes": processes}
    results = Results(benchmark="all_cores", settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        task = make_task(Path(folder) / "task", rows)
        fill_store(task)
        one = Annotate(task=task, base_url=NOBODY)
        more = Annotate(task=task, base_url=NOBODY, options=("--processes", str(processes)))
        one.run(rows=100)  # compiles the modules
        pairs: Pairs = {}
        for _ in range(rounds):
            for name, *walls in pair(one, more, results):
                pairs.setdefault(name, []).append((walls[0], walls[1]))
    results.figures = figures(pairs)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
