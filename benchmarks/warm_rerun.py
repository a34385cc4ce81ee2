#!/usr/bin/env python3
"""What `annotate run` costs when the store has every answer and only the shards are missing.

All rows are looked up (asking finds nothing to ask), read and written; CPU for each row, less
start-up, against the floor's loop (floor.py warm) over the same rows. Memory is what is resident
without the map of the store, at its highest, and how it grows with the rows.

Example:

    python benchmarks/warm_rerun.py --rows 1000000 --check --json benchmarks/results/warm.json
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from annotate_command import Annotate, show_help
from made_task import MAX_TOKENS, MODEL, MadeTask, make_task
from measuring import Figure, Results, parser, report, run_measured
from static_server import completion
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.reply import ReplyContext, read_answer

FLOOR = Path(__file__).with_name("floor.py")
# Nobody listens here: whatever is asked fails.
NOBODY = "http://127.0.0.1:9/v1"
COST_BAR, START_BAR_S, MEMORY_BAR_MB, GROWTH_BAR_MB = 1.6, 0.5, 120.0, 5.0
PER = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The rows to find, all in the store and in the floor's. tiny: one row, for start-up."""

    task: MadeTask
    tiny: MadeTask
    results: Results
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def annotate(self) -> Annotate:
        """The command; it has nobody to ask."""
        return Annotate(task=self.task, base_url=NOBODY)

    def keep(self, values: dict[str, float]) -> None:
        """Add one round's values."""
        for name, value in values.items():
            self.samples.setdefault(name, []).append(value)

    def floor(self, what: str, *more: str | Path) -> float:
        """CPU us for each row of one run of the floor."""
        n, folder = str(self.task.n), self.task.folder
        command = [sys.executable, FLOOR, what, "--rows", n, "--folder", folder, *more]
        return json.loads(run_measured(command).output)["cpu_us_per_row"]


def fill_store(task: MadeTask) -> None:
    """Put an answer to every row's request into the store, as a run would have done."""
    annotate = Annotate(task=task, base_url=NOBODY)
    config = RunSettings(
        task="bench",
        splits=("train",),
        teacher=MODEL,
        prompts=task.prompts,
        store=annotate.store,
        out=annotate.out,
        data=str(task.rows),
        base_url=NOBODY,
    )
    answer: Answer = read_answer(completion(), ReplyContext(MAX_TOKENS, request_id="req_bench"))
    keys = (request.key for row in make_plans(config)[0].rows() for request in row.requests)
    with ResponseStore.open(annotate.store, write=True) as store:
        while group := list(islice(keys, 20_000)):
            store.put([(key, answer) for key in sorted(group)], [])


def cost_round(bench: Bench) -> None:
    """CPU for each row: the floor, then `annotate`."""
    n = bench.task.n
    tiny = Annotate(task=bench.tiny, base_url=NOBODY)
    made, read = bench.floor("warm"), bench.floor("warm", "--file", bench.task.rows)
    whole, started = bench.annotate().run(watch_memory=True), tiny.run()
    few = bench.annotate().run(rows=max(1, n // 10), watch_memory=True)
    whole_us = (whole.cpu_s - started.cpu_s) / n * 1e6
    assert whole.rss_mb is not None and few.rss_mb is not None
    values = {
        "whole": whole_us,
        "floor": made,
        "floor, file": read,
        "whole/floor": whole_us / made,
        "whole/floor, file": whole_us / read,
        "start": started.cpu_s,
        "help": show_help().cpu_s,
        "memory": whole.rss_mb,
        "growth": (whole.rss_mb - few.rss_mb) / (n - n // 10) * PER,
    }
    bench.keep(values)
    bench.results.raw.append({**values, "memory of a tenth": few.rss_mb, "wall_s": whole.wall_s})


def figures(samples: dict[str, list[float]]) -> list[Figure]:
    """The figures with their bars."""
    return [
        Figure(name="re-run / floor", samples=samples["whole/floor"], unit="x", at_most=COST_BAR),
        Figure(name="re-run / floor on the file", samples=samples["whole/floor, file"], unit="x"),
        Figure(name="re-run", samples=samples["whole"], unit="us/row"),
        Figure(name="floor", samples=samples["floor"], unit="us/row"),
        Figure(name="floor on the file", samples=samples["floor, file"], unit="us/row"),
        Figure(name="run of one row", samples=samples["start"], unit="s", at_most=START_BAR_S),
        Figure(name="--help", samples=samples["help"], unit="s", at_most=START_BAR_S),
        Figure(name="memory", samples=samples["memory"], unit="MB", at_most=MEMORY_BAR_MB),
        Figure(name=f"growth per {PER:,} rows", samples=samples["growth"], unit="MB",
               at_most=GROWTH_BAR_MB),
    ]  # fmt: skip


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=1)
    given.add_argument("--rows", type=int, default=1_000_000, help="rows in the store (1,000,000)")
    return given.parse_args()


def main() -> int:
    given = options()
    rows, rounds = (5_000, 1) if given.smoke else (given.rows, given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            task=make_task(Path(folder) / "task", rows),
            tiny=make_task(Path(folder) / "tiny", 1),
            results=Results(benchmark="warm_rerun", settings={"rows": rows, "rounds": rounds}),
        )
        for task in (bench.task, bench.tiny):
            fill_store(task)
        bench.floor("fill")
        show_help()
        Annotate(task=bench.tiny, base_url=NOBODY).run()  # compiles the modules
        for _ in range(rounds):
            cost_round(bench)
    bench.results.figures = figures(bench.samples)
    return report(bench.results, given)


if __name__ == "__main__":
    sys.exit(main())
