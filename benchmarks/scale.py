#!/usr/bin/env python3
"""Whether the simulator of runs (scale_model.py) tells what a run takes.

What the parts of a run cost is measured in small runs; then larger ones, at other settings, are
predicted and really made: by the run itself, by 2 and 4 workers of a Ray cluster, and as two shards
that are joined; bound by answers in flight, by a limit, and by this machine's cores. Each
prediction has to be within 15 % of what was measured.

Example:

    python benchmarks/scale.py --check --json benchmarks/results/scale.json
    python benchmarks/scale_tables.py    # what docs/scale.md says by it
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the tests' own cluster

from annotate_command import Annotate
from annotate_throughput import base_url, served
from cluster_cpu import watched
from made_task import MadeTask, make_task
from measuring import Figure, Results, Spent, allow_many_files, parser, report, run_measured
from scale_model import AskCosts, Costs, Setup, predict
from static_server import serving
from tests.journeys.cluster import QUIET, Cluster, ray_cluster

BAR = 0.15
# Rows of the runs that costs are measured by, and of those that are predicted.
SMALL, MORE, MOST, LARGE, STORED = 4_000, 8_000, 50_000, 20_000, 100_000
MANY, FEW, SLOW_S, PACED_PER_MINUTE = 256, 64, 0.1, 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all runs share. tasks: by how many rows they have."""

    server: str
    cluster: Cluster
    tasks: dict[int, MadeTask]
    results: Results

    def annotate(self, rows: int, answer_s: float, in_flight: int, *options: str) -> Annotate:
        """A run with an empty store."""
        made = Annotate(
            task=self.tasks[rows],
            base_url=base_url(self.server, answer_s),
            concurrency=in_flight,
            options=options,
        )
        made.forget()
        return made

    def by_ray(self, workers: int) -> tuple[str, ...]:
        """The options for so many workers."""
        return ("--engine", "ray", "--address", self.cluster.address, "--workers", str(workers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run as it was. ray_cpu_s, workers_cpu_s: of the cluster's processes meanwhile."""

    wall_s: float
    cpu_s: float
    memory_mb: float
    store_mb: float
    shard_mb: float
    ray_cpu_s: float = 0.0
    workers_cpu_s: float = 0.0
    server_cpu_s: float = 0.0


def measure(bench: Bench, annotate: Annotate) -> Measured:
    """Make a run."""
    before = served(bench.server)
    with watched(bench.cluster) as cpu:
        spent = annotate.run(watch_memory=True)
    after = served(bench.server)
    compact(annotate)
    assert before is not None and after is not None, "our own server counts"
    return Measured(
        wall_s=spent.wall_s,
        cpu_s=spent.cpu_s,
        memory_mb=spent.rss_mb or 0.0,
        store_mb=size_mb(annotate.store),
        shard_mb=size_mb(annotate.out),
        ray_cpu_s=cpu.of(workers=False),
        workers_cpu_s=cpu.of(workers=True),
        server_cpu_s=after.cpu_s - before.cpu_s,
    )


def compact(annotate: Annotate) -> None:
    """Rid a run's store of pages that LMDB keeps to use again: how many, depends on commits."""
    command = [*annotate.command()[:3], "store", "compact", "--store", annotate.store]
    run_measured(command, cwd=annotate.task.folder)


def size_mb(*folders: Path) -> float:
    """What is on the disk, in MB."""
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return sum(file.stat().st_blocks * 512 for file in files) / 2**20


def measure_costs(bench: Bench) -> Costs:  # budget: a line for each cost
    """What the parts cost, by small runs. None of them is among those that are predicted."""
    tiny = starting(bench)
    small, more = (measure(bench, bench.annotate(rows, 0, MANY)) for rows in (SMALL, MORE))
    large = measure(bench, bench.annotate(MOST, 0, MANY))
    # By two sizes: what comes once a run is apart.
    each = each_us(large.cpu_s - more.cpu_s, MOST - MORE)
    first_s = max(0.0, more.cpu_s - tiny.cpu_s - MORE * each / 1e6)
    slow = measure(bench, bench.annotate(MORE, SLOW_S, FEW))
    limit = ("--requests-per-minute", str(PACED_PER_MINUTE))
    paced = measure(bench, bench.annotate(SMALL, SLOW_S, FEW, *limit))
    write_us = measure_writing(bench)
    slow_us = ask_costs(slow, tiny, MORE, write_us, first_s)
    paced_us = ask_costs(paced, tiny, SMALL, write_us, first_s).run
    join_s, join_us = measure_joining(bench)
    fleet_1 = starting(bench, *bench.by_ray(1))
    fleet_more = measure(bench, bench.annotate(MORE, 0, MANY, *bench.by_ray(1)))
    fleet_slow, fleet_slow_3 = (
        measure(bench, bench.annotate(MORE, SLOW_S, FEW, *bench.by_ray(n))) for n in (1, 3)
    )
    row_mb = (more.memory_mb - small.memory_mb) / (MORE - SMALL)
    # Ten rows of many: the others are read and left out.
    part = bench.annotate(MOST, 0, MANY, "--shard", f"0/{MOST // 10}")
    shutil.rmtree(part.out, ignore_errors=True)
    looked = run_measured(part.command(), cwd=part.task.folder)
    return Costs(
        start_s=tiny.wall_s,
        start_cpu_s=tiny.cpu_s,
        first_s=first_s,
        at_once=AskCosts(run=each - write_us),
        slow=slow_us,
        pacing=max(0.0, paced_us - slow_us.run) * PACED_PER_MINUTE / 60 / 1e6,
        write_us=write_us,
        look_us=each_us(looked.cpu_s - tiny.cpu_s, MOST),
        join_s=join_s,
        join_us=join_us,
        fleet_start_s=fleet_1.wall_s - tiny.wall_s - fleet_1.workers_cpu_s,
        fleet_start_cpu_s=fleet_1.cpu_s - tiny.cpu_s,
        fleet_worker_s=fleet_1.workers_cpu_s,
        fleet_at_once=ask_costs(fleet_more, fleet_1, MORE, write_us, first_s),
        fleet_slow=ask_costs(fleet_slow, fleet_1, MORE, write_us, first_s),
        fleet_calls_us=each_us(fleet_slow_3.cpu_s - fleet_slow.cpu_s, MORE) / 2,
        server_us=each_us(more.server_cpu_s, MORE),
        store_bytes=(large.store_mb - more.store_mb) / (MOST - MORE) * 2**20,
        shard_bytes=more.shard_mb / MORE * 2**20,
        memory_mb=more.memory_mb - row_mb * MORE,
        fleet_memory_mb=fleet_slow.memory_mb - row_mb * MORE,
        row_bytes=row_mb * 2**20,
    )


def starting(bench: Bench, *options: str) -> Measured:
    """A run of one row: the middle one of three."""
    runs = [measure(bench, bench.annotate(1, SLOW_S, FEW, *options)) for _ in range(3)]
    return sorted(runs, key=lambda run: run.wall_s)[1]


def ask_costs(
    run: Measured, tiny: Measured, rows: int, write_us: float, first_s: float
) -> AskCosts:
    """What a request costs each, by a run of so many rows and one of a single row."""
    return AskCosts(
        run=each_us(run.cpu_s - tiny.cpu_s - first_s, rows) - write_us,
        worker=each_us(run.workers_cpu_s - tiny.workers_cpu_s, rows),
        ray=each_us(run.ray_cpu_s - tiny.ray_cpu_s, rows) if run.workers_cpu_s else 0.0,
    )


def each_us(seconds: float, n: int) -> float:
    """Microseconds of each."""
    return seconds / n * 1e6


def measure_writing(bench: Bench) -> float:
    """Microseconds a row, where the store has all answers: by two sizes, so that what starting
    costs is left out."""
    annotate = bench.annotate(MORE, 0, MANY)
    annotate.run()
    whole, part = annotate.run(offline=True), annotate.run(offline=True, rows=MORE // 4)
    return each_us(whole.cpu_s - part.cpu_s, MORE - MORE // 4)


def measure_joining(bench: Bench) -> tuple[float, float]:
    """Seconds that joining two runs takes for no rows, and microseconds for each row."""
    joined: list[float] = []
    for rows in (MORE, MOST):
        parts = shards_of(bench, rows, 0, MANY)
        for part in parts:
            run_part(part)
        joined.append(sum(each.wall_s for each in join(bench, rows, parts)))
    slope_s = max(0.0, joined[1] - joined[0]) / (MOST - MORE)
    return joined[0] - slope_s * MORE, slope_s * 1e6


def shards_of(bench: Bench, rows: int, answer_s: float, in_flight: int) -> list[Annotate]:
    """Two runs that do a half of the rows each; in flight: together."""
    return [
        replace(bench.annotate(rows, answer_s, in_flight, "--shard", f"{i}/2"), name=f"part-{i}")
        for i in (0, 1)
    ]


def run_part(part: Annotate) -> None:
    """One of several runs."""
    shutil.rmtree(part.out, ignore_errors=True)
    part.forget()
    run_measured(part.command(), cwd=part.task.folder)


def join(bench: Bench, rows: int, parts: Sequence[Annotate]) -> tuple[Spent, Spent]:
    """Join shards, and then stores."""
    folder = bench.tasks[rows].folder
    for name in ("joined", "merged"):
        shutil.rmtree(folder / name, ignore_errors=True)
    annotate = parts[0].command()[:3]
    outs, stores = [part.out for part in parts], [part.store for part in parts]
    gathered = run_measured([*annotate, "gather", *outs, "--out", folder / "joined"], cwd=folder)
    into = ("--store", folder / "merged")
    merged = run_measured([*annotate, "store", "merge", *stores, *into], cwd=folder)
    return gathered, merged


def measure_shards(bench: Bench, rows: int, answer_s: float, in_flight: int) -> Measured:
    """Two runs at the same time, and what joins them: their times, sizes and CPU together."""
    parts = shards_of(bench, rows, answer_s, in_flight)
    for part in parts:
        shutil.rmtree(part.out, ignore_errors=True)
        part.forget()
    start, before = time.perf_counter(), os.times()
    children = [
        subprocess.Popen(
            [str(word) for word in part.command()],
            cwd=part.task.folder,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OPENAI_API_KEY": "bench"},
        )
        for part in parts
    ]
    if any(child.wait() for child in children):
        raise RuntimeError("a part did not end well")
    join(bench, rows, parts)
    wall_s, after = time.perf_counter() - start, os.times()
    return Measured(
        wall_s=wall_s,
        cpu_s=after.children_user + after.children_system
        - before.children_user - before.children_system,
        memory_mb=0.0,
        store_mb=size_mb(*(part.store for part in parts)),
        shard_mb=size_mb(bench.tasks[rows].folder / "joined"),
    )  # fmt: skip


class Case(NamedTuple):
    """A run to predict. name: for people."""

    name: str
    setup: Setup


def cases(rows: int, kept_bytes: float, *, smoke: bool) -> list[Case]:
    """What is predicted and made: bound by answers in flight, by a limit, and by the cores."""
    cores = os.cpu_count()
    base = Setup(rows=rows, answer_s=0.25, in_flight=192, cores=cores, kept_bytes=kept_bytes)
    made: list[Case] = []
    for workers in (0, 2) if smoke else (0, 2, 4):
        who = f"{workers} workers" if workers else "1 worker"
        setup = replace(base, workers=workers)
        limited = replace(setup, answer_s=0.05, per_s=60_000 / 60)
        made.append(Case(name=f"{who}, 192 at 250 ms", setup=setup))
        made.append(Case(name=f"{who}, 60,000 a minute", setup=limited))
        if not smoke:
            by_cores = replace(setup, answer_s=0.0, in_flight=256)
            made.append(Case(name=f"{who}, at once", setup=by_cores))
    made.append(Case(name="2 shards, 192 at 250 ms", setup=replace(base, shards=2)))
    if not smoke:
        stored = replace(base, rows=STORED, answer_s=0.0, in_flight=MANY)
        made.append(Case(name="1 worker, 100,000 rows at once", setup=stored))
    return made


def try_case(bench: Bench, case: Case) -> Measured:
    """Make the run of a case."""
    setup = case.setup
    if setup.shards > 1:
        return measure_shards(bench, setup.rows, setup.answer_s, setup.in_flight)
    options = bench.by_ray(setup.workers) if setup.workers else ()
    if math.isfinite(setup.per_s):
        options += ("--requests-per-minute", f"{60 * setup.per_s:.0f}")
    return measure(bench, bench.annotate(setup.rows, setup.answer_s, setup.in_flight, *options))


FIGURES = {"time": "wall_s", "CPU": "cpu_s", "store": "store_mb", "memory": "memory_mb"}


def figures(raw: Sequence[dict[str, Any]]) -> list[Figure]:
    """By how many percent each prediction is beside what was found."""
    beside: dict[str, list[float]] = {}
    for each in raw:
        if "told" not in each:
            continue
        for name, field in FIGURES.items():
            told, found = each["told"][field], each["found"][field]
            if found and not (name == "store" and "shards" in each["what"]):
                off = 100 * abs(told / found - 1)
                beside.setdefault(f"{each['what']}: {name}", []).append(off)
    return [
        # CPU time itself differs by a seventh from one run to the next on a shared machine.
        Figure(
            name=name,
            samples=samples,
            unit="% off",
            at_most=None if name.endswith("CPU") else 100 * BAR,
        )
        for name, samples in beside.items()
    ]


def main() -> int:
    given = parser(__doc__, rounds=1).parse_args()
    allow_many_files()
    os.environ.update(QUIET)
    large = SMALL if given.smoke else LARGE
    results = Results(benchmark="scale", settings={"rows": large, "rounds": given.rounds})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tasks = {n: make_task(folder / str(n), n) for n in (1, SMALL, MORE, MOST, LARGE, STORED)}
        server = stack.enter_context(serving())
        cluster = stack.enter_context(ray_cluster())
        bench = Bench(server=server, cluster=cluster, tasks=tasks, results=results)
        for _ in range(2):  # compiles the modules, and Ray's
            measure(bench, bench.annotate(1, 0, 64, *bench.by_ray(1)))
        costs = measure_costs(bench)
        results.raw.append({"what": "costs", **asdict(costs)})
        kept_bytes = tasks[large].rows.stat().st_size / large
        for case in cases(large, kept_bytes, smoke=given.smoke):
            told = predict(case.setup, costs)
            # Of runs of seconds starting is the most, and that varies.
            n = given.rounds if case.setup.answer_s or given.smoke else 3 * given.rounds
            for _ in range(n):
                found = try_case(bench, case)
                both = {"told": {**asdict(told), "wall_s": told.wall_s}, "found": asdict(found)}
                at = {"what": case.name, "rows": case.setup.rows, "load": os.getloadavg()[0]}
                results.raw.append({**at, **both})
    results.figures = figures(results.raw)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
