#!/usr/bin/env python3
"""What `annotate view` takes at a million rows: the first page, filters, searches, memory.

The run is made first: rows, their answers in a store, shards. Then `annotate view` is started with
an empty cache, asked for its first page at once, asked on while its index grows, and measured when
that is whole; then started again. Each query is asked several times, and the slowest query's median
counts. The bars by the clock are for a quiet machine: else it tells of others, too. Memory is what
is resident without the map of the store, at its highest.

Example:

    python benchmarks/view_rows.py --rows 1000000 --check --json benchmarks/results/view_rows.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Self

from annotate_command import Annotate
from made_task import LABELS, MAX_TOKENS, MODEL, MadeTask, make_task
from measuring import Figure, Results, environment, parser, report, rss_mb
from static_server import completion
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.reply import ReplyContext, read_answer

NOBODY = "http://127.0.0.1:9/v1"
PAGE_BAR_S, FILTER_BAR_MS, MEMORY_BAR_MB = 1.0, 1000.0, 200.0
_VIEW = (sys.executable, "-c", "from stepdistill.annotator.cli import main; main()", "view")
# Filters and counts, then searches: a word of every row, of one row, a phrase, beginnings.
FILTERS = (
    *("", "label=neutral", "label=neutral&label=entailment&confidence=0.95+and+more"),
    *("label=contradiction&order=unsure", "order=unsure&start=900000", "template=plain&start=500"),
)
SEARCHES = (
    *("q=days", "q=days&label=neutral", "q=made-777", "q=%22came+77+days%22", "q=har+fer"),
    *("q=Number&order=unsure", "q=zebra"),
)
REPEATS = 5


def fill_store(task: MadeTask) -> None:
    """An answer to every row, with one label or the other."""
    annotate = Annotate(task=task, base_url=NOBODY)
    config = RunSettings(
        task="bench",
        teacher=MODEL,
        prompts=task.prompts,
        store=annotate.store,
        out=annotate.out,
        data=str(task.rows),
        base_url=NOBODY,
    )
    made = read_answer(completion(), ReplyContext(MAX_TOKENS, request_id="req_bench"))
    reasons = "the text says so in its second half, and nothing in it speaks against that."
    answers = [made._replace(text=f"Label: {x}\nRationale: {x}, since {reasons}") for x in LABELS]
    keys = (planned.label.key for planned in make_plans(config)[0].rows())
    numbered = ((key, answers[number * number % 3]) for number, key in enumerate(keys))
    with ResponseStore.open(annotate.store, write=True) as store:
        while group := list(islice(numbered, 20_000)):
            store.put(sorted(group, key=lambda each: each[0]), [])


@dataclass(slots=True)
class Viewing:
    """A running `annotate view`."""

    process: subprocess.Popen[str]
    began_s: float
    base: str
    token: str
    most_mb: float = 0.0
    pages: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    waits: list[float] = field(default_factory=list[float])

    @classmethod
    @contextmanager
    def started(cls, annotate: Annotate) -> Generator[Self]:
        """From its first line to its end."""
        words = (annotate.out, "--store", annotate.store, "--prompts", annotate.task.prompts)
        more = ("--data", annotate.task.rows, "--base-url", NOBODY, "--no-browser", "--index")
        command = [*_VIEW, *words, *more, annotate.task.folder / "index"]
        began_s = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert process.stdout is not None
        base, _, token = process.stdout.readline().strip().partition("/?token=")
        try:
            yield cls(process, began_s, base, token)
        finally:
            process.terminate()
            process.wait()

    def ask(self, query: str) -> dict[str, Any]:
        """A page of the list; its time is kept."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.base}/api/rows?{query}", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            page = json.load(response)
        self.most_mb = max(self.most_mb, rss_mb(self.process.pid))
        self.pages.setdefault(query, []).append(page["cpu_ms"])
        self.waits.append(page["ms"])
        return page

    def slowest(self, queries: tuple[str, ...]) -> float:
        """The median of the slowest query."""
        return max(median(self.pages[query]) for query in queries)

    def since_start_s(self) -> float:
        """Seconds since the command was started."""
        return time.perf_counter() - self.began_s

    def cpu_s(self) -> float:
        """CPU seconds of the command so far, all of its threads."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def view_round(annotate: Annotate, rows: int) -> dict[str, float]:
    """One start with an empty cache, and one with a full one."""
    for file in (annotate.task.folder / "index").glob("*"):
        file.unlink()
    values: dict[str, float] = {}
    queries = (*FILTERS, *SEARCHES)
    with Viewing.started(annotate) as viewing:
        page = viewing.ask("")
        values |= {"first page": viewing.since_start_s(), "first page, CPU": viewing.cpu_s()}
        if len(page["rows"]) != 50:
            raise RuntimeError(f"{len(page['rows'])} rows on the first page")
        number = 0
        while page["state"] != "done":
            page = viewing.ask(queries[number % len(queries)])
            number += 1
            time.sleep(0.2)
        values["index"] = viewing.since_start_s()
        values["while it grows"] = max(viewing.waits)
        if page["known"] != rows:
            raise RuntimeError(f"{page['known']:,} rows of {rows:,}: {page['error']}")
        for query in queries:
            viewing.ask(query)
        values["memory"] = viewing.most_mb
    with Viewing.started(annotate) as viewing:
        viewing.ask("")
        values["first page again"] = viewing.since_start_s()
        values["first page again, CPU"] = viewing.cpu_s()
        # A search that was made is remembered: each of them is asked once.
        for query in (*FILTERS * REPEATS, *SEARCHES):
            viewing.ask(query)
        values |= {"filter": viewing.slowest(FILTERS), "search": viewing.slowest(SEARCHES)}
        values |= {"memory again": viewing.most_mb, "wait": max(viewing.waits)}
    size = sum(file.stat().st_size for file in (annotate.task.folder / "index").glob("*"))
    return {**values, "index size": size / rows}


def figures(samples: dict[str, list[float]]) -> list[Figure]:
    """The figures with their bars."""

    def figure(name: str, key: str, unit: str, at_most: float | None = None) -> Figure:
        return Figure(name=name, samples=samples[key], unit=unit, at_most=at_most)

    return [
        figure("CPU from the command to the first page", "first page, CPU", "s", PAGE_BAR_S),
        figure("likewise once the index is there", "first page again, CPU", "s", PAGE_BAR_S),
        figure("CPU of the slowest filter with its counts", "filter", "ms", FILTER_BAR_MS),
        figure("CPU of the slowest search, not asked before", "search", "ms", FILTER_BAR_MS),
        figure("on the clock: to the first page", "first page", "s", PAGE_BAR_S),
        figure(
            "on the clock: likewise once the index is there", "first page again", "s", PAGE_BAR_S
        ),
        figure("on the clock: the slowest of all, index whole", "wait", "ms", FILTER_BAR_MS),
        figure(
            "on the clock: the slowest of all, index growing", "while it grows", "ms", FILTER_BAR_MS
        ),
        figure("memory", "memory", "MB", MEMORY_BAR_MB),
        figure("memory once the index is there", "memory again", "MB", MEMORY_BAR_MB),
        figure("until the index is whole", "index", "s"),
        figure("the index, for a row", "index size", "bytes"),
    ]


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=1)
    given.add_argument("--rows", type=int, default=1_000_000, help="rows of the run (1,000,000)")
    return given.parse_args()


def main() -> int:
    given = options()
    rows, rounds = (5_000, 1) if given.smoke else (given.rows, given.rounds)
    results = Results(benchmark="view_rows", settings={"rows": rows, "rounds": rounds})
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        annotate = Annotate(task=make_task(Path(folder), rows), base_url=NOBODY)
        fill_store(annotate.task)
        annotate.run(offline=True)
        for _ in range(rounds):
            values = view_round(annotate, rows)
            results.raw.append(dict(values))
            for name, value in values.items():
                samples.setdefault(name, []).append(value)
    results.figures = figures(samples)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
