#!/usr/bin/env python3
"""The tables of docs/scale.md: what runs of many rows take, by the costs that `scale.py` has kept.

Example:

    python benchmarks/scale_tables.py benchmarks/results/scale.json
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from scale_model import Costs, Setup, predict

KEPT = Path(__file__).parent / "results" / "scale.json"
ROWS, SERVERS, MOST_WORKERS = (10**6, 10**8, 10**9), (1, 10, 100), 16
# A server is a GPU that answers so many at a time, each in so many seconds, for so much an hour.
SLOTS, ANSWER_S, HOUR_USD = 64, 2.0, 2.0
_COMPARED = ("told / found", "time, s", "CPU, s", "memory, MB")
_FOUND = ("wall_s", "cpu_s", "memory_mb")
_COLUMNS = ("rows", "servers", "how", "time", "bound by", "store", "memory", "servers, USD")


def kept_costs(file: Path) -> Costs:
    """The costs in a file of results."""
    found = next(each for each in json.loads(file.read_bytes())["raw"] if each["what"] == "costs")
    named = {each.name: found[each.name] for each in fields(Costs)}
    return TypeAdapter(Costs).validate_python(named)


def compared(file: Path) -> str:
    """What was told and what was found, a line for each run; the middle one of several."""
    lines = [_line(_COMPARED), _line(["---", *["--:"] * (len(_COMPARED) - 1)])]
    runs: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(file.read_bytes())["raw"]:
        if "told" in each:
            runs.setdefault(each["what"], []).append(each)
    for what, each in runs.items():
        told = each[0]["told"]
        found = {
            name: median(run["found"][name] for run in each) for name in told if name in _FOUND
        }
        cells = [what]
        for name in _FOUND:
            cells.append(f"{told[name]:.1f} / {found[name]:.1f}" if found[name] else "")
        lines.append(_line(cells))
    return "\n".join(lines)


def ways(rows: int, servers: int) -> Iterator[tuple[str, Setup]]:
    """How such a run may be made, each process on a core of its own."""
    one = Setup(rows=rows, answer_s=ANSWER_S, in_flight=servers * SLOTS, is_told=False)
    yield "one process", one
    if servers > 1:
        workers = min(servers, MOST_WORKERS)
        yield f"{workers} workers", replace(one, workers=workers)
        yield f"{servers} shards", replace(one, shards=servers)


def table(costs: Costs) -> str:
    """A line for each way."""
    lines = [_line(_COLUMNS), _line(["--:", "--:", "---", "--:", "---", "--:", "--:", "--:"])]
    for rows, servers in product(ROWS, SERVERS):
        for how, setup in ways(rows, servers):
            told = predict(setup, costs)
            usd = told.wall_s / 3600 * servers * HOUR_USD
            sizes = _size(told.store_mb / setup.shards), _size(told.memory_mb)
            took = _time(told.wall_s), told.bottleneck
            lines.append(_line([f"{rows:,}", f"{servers}", how, *took, *sizes, f"{usd:,.0f}"]))
    return "\n".join(lines)


def _line(cells: "tuple[str, ...] | list[str]") -> str:
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"


def _size(mb: float) -> str:
    return f"{mb:,.0f} MB" if mb < 1024 else f"{mb / 1024:,.1f} GB"


def main() -> None:
    given = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_argument("results", type=Path, nargs="?", default=KEPT, help="of scale.py")
    results = given.parse_args().results
    print(f"{compared(results)}\n\n{table(kept_costs(results))}")


if __name__ == "__main__":
    main()
