#!/usr/bin/env python3
"""Whether a long run grows: memory, open files and tasks over 200,000 requests, by transport.

The engine as `annotate run` puts it together (limits, breaker, window, store) asks a server that
answers at once, in a process of its own for each transport, and is looked at ten times a second.
Growth is the most of the last quarter less the most of the second: the first is getting going.
The store's own map of its file is left out, as the system takes it back when it likes.

Example:

    python benchmarks/soak.py --check --json benchmarks/results/soak.json
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path

import uvloop
from pydantic import SecretStr

from made_task import MAX_TOKENS, MODEL, prompt, row
from measuring import Figure, Results, allow_many_files, parser, report, rss_mb, run_measured
from static_server import serving
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import Request, RequestForm, endpoint_of
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.proxy_transport import ProxyTransport
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec

TRANSPORTS = {"plain": DirectTransport, "aiohttp": ProxyTransport}
IN_FLIGHT = 256
_GROUP = 256
_LOOK_EVERY_S = 0.1
MEMORY_BAR_MB = 5.0
Look = dict[str, float]


async def requests(base_url: str, n: int) -> AsyncIterator[list[Request]]:
    """So many requests, by groups."""
    form = RequestForm(endpoint_of(base_url), MODEL, {"temperature": 0})
    made = (form.request("", prompt(row(i))) for i in range(n))
    while group := list(islice(made, _GROUP)):
        yield group
        await asyncio.sleep(0)


def _look_at(progress: Progress) -> Look:
    return {
        "asked": progress.asked,
        "memory": rss_mb(os.getpid()),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "tasks": len(asyncio.all_tasks()),
    }


@asynccontextmanager
async def watched(progress: Progress) -> AsyncGenerator[list[Look]]:
    """What is seen of this process while the body runs."""
    seen: list[Look] = []

    async def look() -> None:
        while True:
            seen.append(_look_at(progress))
            await asyncio.sleep(_LOOK_EVERY_S)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()


async def soak(transport: str, base_url: str, n: int, folder: Path) -> list[Look]:
    """Ask all, and say what was seen meanwhile."""
    progress = Progress()
    spec = TeacherSpec(
        model=MODEL,
        base_url=base_url,
        api_key=SecretStr("bench"),
        concurrency=IN_FLIGHT,
        timeout_s=60.0,
        max_tokens=MAX_TOKENS,
    )
    async with AsyncExitStack() as stack:
        store = stack.enter_context(ResponseStore.open(folder, write=True))
        group_commit = await stack.enter_async_context(GroupCommit(store, backlog=IN_FLIGHT))
        context = AskContext(
            teacher=spec,
            store=store,
            group_commit=group_commit,
            progress=progress,
            events=EventLog(None),
        )
        teacher = await stack.enter_async_context(
            OnlineTeacher(context, transport=TRANSPORTS[transport])
        )
        seen = await stack.enter_async_context(watched(progress))
        await teacher.ask_all(requests(base_url, n))
    if progress.asked != n:
        raise RuntimeError(f"{progress.asked} of {n} requests were answered")
    return seen


def growth(seen: list[Look], what: str) -> float:
    """The most of the last quarter of the requests less the most of the second."""
    total = seen[-1]["asked"]
    second = [look[what] for look in seen if total / 4 <= look["asked"] < total / 2]
    last = [look[what] for look in seen if look["asked"] >= 3 * total / 4]
    return max(last) - max(second or [seen[0][what]])


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=1)
    given.add_argument("--requests", type=int, default=200_000, help="in each run (200,000)")
    given.add_argument("--one", choices=TRANSPORTS, help="only this transport, in this process")
    given.add_argument("--base-url", help="with --one: the server to ask")
    return given.parse_args()


def measure(given: argparse.Namespace, n: int, results: Results) -> None:
    """A process for each transport and round."""
    samples: dict[tuple[str, str], list[float]] = {}
    with serving() as server:
        for name in list(TRANSPORTS) * given.rounds:
            command = [sys.executable, __file__, "--one", name, "--requests", str(n)]
            child = run_measured([*command, "--base-url", f"{server}/v1"])
            seen: list[Look] = json.loads(child.output)
            spent = {"cpu_s": child.cpu_s, "wall_s": child.wall_s}
            results.raw.append({"transport": name, **spent, "seen": seen})
            for what in ("memory", "files", "tasks"):
                samples.setdefault((name, what), []).append(growth(seen, what))
    for (name, what), values in samples.items():
        unit, bar = ("MB", MEMORY_BAR_MB) if what == "memory" else (what, 0.0)
        results.figures.append(
            Figure(name=f"{name}: growth of {what}", samples=values, unit=unit, at_most=bar)
        )


def main() -> int:
    given = options()
    allow_many_files()
    n = 3_000 if given.smoke else given.requests
    if given.one:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        with tempfile.TemporaryDirectory() as folder:
            seen = uvloop.run(soak(given.one, given.base_url, n, Path(folder)))
        print(json.dumps(seen))
        return 0
    results = Results(benchmark="soak", settings={"requests": n, "in flight": IN_FLIGHT})
    measure(given, n, results)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
