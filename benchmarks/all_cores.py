#!/usr/bin/env python3
"""What all cores bring where the store has every answer: `annotate run` by one process and by more.

Both take turns over the same rows; the shards have to be the same, byte for byte. On a machine that
others use, too, what counts is the best pair: in the others somebody else had the cores.

Example:

    python benchmarks/all_cores.py --rows 1000000 --json benchmarks/results/all_cores.json
"""

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

from annotate_command import Annotate
from made_task import make_task
from measuring import Figure, Results, Spent, parser, report
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


def pair(one: Annotate, more: Annotate, results: Results) -> tuple[float, float]:
    """Seconds by one process and by more. Raises RuntimeError: they do not write the same."""
    spent: list[Spent] = []
    digests: list[str] = []
    for annotate in (one, more):
        spent.append(annotate.run())
        digests.append(shards_digest(annotate.out))
    if digests[0] != digests[1]:
        raise RuntimeError("several processes wrote other bytes than one")
    walls = spent[0].wall_s, spent[1].wall_s
    cpus = [each.cpu_s for each in spent]
    results.raw.append({"wall_s": walls, "cpu_s": cpus, "load": os.getloadavg()[0]})
    return walls


def figures(pairs: list[tuple[float, float]]) -> list[Figure]:
    """The figures with their bars."""
    ratios = [one / more for one, more in pairs]
    return [
        Figure(name="best pair, one / more", samples=[max(ratios)], unit="x", at_least=RATIO_BAR),
        Figure(name="all pairs", samples=ratios, unit="x"),
        Figure(name="one process", samples=[one for one, _ in pairs], unit="s"),
        Figure(name="more", samples=[more for _, more in pairs], unit="s"),
    ]


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
        pairs = [pair(one, more, results) for _ in range(rounds)]
    results.figures = figures(pairs)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
