"""kill -9 after single calls of the Batch API: no batch is lost, created twice, or paid twice.

The simulator kills whoever called, at the moment when the call is done and its answer not yet sent,
or a little later. Judged by its books.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.log import BatchCall, CallKind
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import digests
from tests.journeys.test_row_to_shard import simulator
from tests.warm import WarmProcess, plain_environment

ROWS = 60
PACE = BatchTimes(validating_s=0.05, running_s=0.4, finalizing_s=0.05)
PROTOCOLS: tuple[BatchProtocol, ...] = get_args(BatchProtocol)


def settings_of(protocol: BatchProtocol) -> SimulatorSettings:
    """A simulator that takes batches as a provider does."""
    batch = SimulatedBatchSettings(protocol=protocol, plan=BatchPlan(times=PACE))
    return SimulatorSettings(dialect="gemini" if protocol == "gemini" else "openai", batch=batch)


def words(teacher: Simulator) -> list[str]:
    """The command line; three parts."""
    protocol = teacher.settings.batch.protocol
    name = "t" if protocol == "openai" else f"{protocol}:t"
    return [
        *("run", "demo", "--teacher", name, "--base-url", teacher.base_url),
        *("--samples", str(ROWS), "--batch-api", "--max-batch-requests", "20", "--quiet"),
    ]


class Killer:
    """Kills the running command a moment after a call.

    nth: which call of a run, from 1, of this kind if one is named. after_s: 0 is before its answer
    is sent.
    """

    def __init__(self, nth: int, kind: CallKind | None = None, after_s: float = 0.0) -> None:
        self.nth, self.kind, self.after_s = nth, kind, after_s
        self.pid = 0
        self.seen = 0

    def __call__(self, call: BatchCall) -> None:
        if self.kind not in (None, call.kind):
            return
        self.seen += 1
        if self.seen == self.nth and self.after_s == 0:
            os.kill(self.pid, signal.SIGKILL)
        elif self.seen == self.nth:
            asyncio.get_running_loop().call_later(self.after_s, self._kill)

    def _kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)


async def run_once(
    annotate: WarmProcess, teacher: Simulator, folder: Path, killer: Killer | None = None
) -> int:
    """Run the command to its end, or its death; its exit code."""
    call = annotate.start(*words(teacher), cwd=folder, env=plain_environment())
    if killer is not None:
        killer.pid, killer.seen = call.pid, 0
    teacher.log.batch.on_call = killer
    done = await asyncio.to_thread(call.wait)
    if killer is not None:
        killer.pid = 0
    teacher.log.batch.on_call = None
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def records(run: Path) -> list[dict[str, Any]]:
    """What a run wrote, but the keys: where a teacher is asked is part of them."""
    paths = sorted(run.rglob("*.jsonl"))
    lines = [line for path in paths for line in path.read_bytes().splitlines()]
    return [{**orjson.loads(line), "keys": None} for line in lines]


@asynccontextmanager
async def judged(
    annotate: WarmProcess, tmp_path: Path, protocol: BatchProtocol = "openai"
) -> AsyncGenerator[Simulator]:
    """A teacher, whose books and whose shards must be right in the end."""
    async with simulator(tmp_path, settings_of(protocol)) as teacher:
        yield teacher
    books = teacher.log.batch
    assert books.orphans() == []
    assert books.unused_files() == []
    assert set(books.created().values()) == {1}
    assert Counter(teacher.log.paid().values()) == {1: ROWS}
    async with simulator(tmp_path) as calm:
        (tmp_path / "calm").mkdir()
        online = [word for word in words(calm) if word != "--batch-api"][:-3]
        call = annotate.start(*online, cwd=tmp_path / "calm", env=plain_environment())
        assert (await asyncio.to_thread(call.wait)).returncode == 0
    runs = tmp_path / "runs" / "demo", tmp_path / "calm" / "runs" / "demo"
    assert records(runs[0]) == records(runs[1])
    if protocol == "openai":
        assert digests(runs[0]) == digests(runs[1])


@pytest.mark.parametrize(
    ("kind", "nth", "after_s"),
    [
        (CallKind.UPLOAD, 1, 0),
        (CallKind.UPLOAD, 2, 0.003),
        (CallKind.CREATE, 1, 0),
        (CallKind.CREATE, 3, 0.003),
        (CallKind.BATCH, 1, 0),
        (CallKind.FILE, 1, 0),
        (CallKind.DOWNLOAD, 1, 0),
        (CallKind.DOWNLOAD, 2, 0.02),
        (CallKind.DOWNLOAD, 3, 0.05),
    ],
)
async def test_killed_at_a_call_and_run_again(
    warm_annotate: WarmProcess, tmp_path: Path, kind: CallKind, nth: int, after_s: float
) -> None:
    async with judged(warm_annotate, tmp_path) as teacher:
        killed = await run_once(warm_annotate, teacher, tmp_path, Killer(nth, kind, after_s))
        assert killed == -signal.SIGKILL or after_s
        assert await run_once(warm_annotate, teacher, tmp_path) == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_killed_at_a_creation_of_each_protocol(
    warm_annotate: WarmProcess, tmp_path: Path, protocol: BatchProtocol
) -> None:
    async with judged(warm_annotate, tmp_path, protocol) as teacher:
        killer = Killer(2, CallKind.CREATE)
        assert await run_once(warm_annotate, teacher, tmp_path, killer) != 0
        assert await run_once(warm_annotate, teacher, tmp_path) == 0


async def test_killed_again_while_it_finds_out_what_became_of_the_first_call(
    warm_annotate: WarmProcess, tmp_path: Path
) -> None:
    async with judged(warm_annotate, tmp_path) as teacher:
        assert await run_once(warm_annotate, teacher, tmp_path, Killer(2, CallKind.UPLOAD)) != 0
        assert await run_once(warm_annotate, teacher, tmp_path, Killer(1, CallKind.FILES)) != 0
        assert await run_once(warm_annotate, teacher, tmp_path, Killer(2, CallKind.CREATE)) != 0
        assert await run_once(warm_annotate, teacher, tmp_path, Killer(1, CallKind.BATCHES)) != 0
        assert await run_once(warm_annotate, teacher, tmp_path) == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("after_s", [0, 0.004, 0.03])
async def test_killed_at_each_single_call_one_after_the_other(
    warm_annotate: WarmProcess, tmp_path: Path, after_s: float, protocol: BatchProtocol
) -> None:
    nth, survived = 0, False
    while not survived:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        async with judged(warm_annotate, folder, protocol) as teacher:
            survived = (
                await run_once(warm_annotate, teacher, folder, Killer(nth, after_s=after_s)) == 0
            )
            assert await run_once(warm_annotate, teacher, folder) == 0
    assert nth > 8, "each of three parts has three calls at least"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_run_that_is_killed_again_and_again_gets_there(
    warm_annotate: WarmProcess, tmp_path: Path
) -> None:
    async with judged(warm_annotate, tmp_path) as teacher:
        for nth in range(1, 40):
            if await run_once(warm_annotate, teacher, tmp_path, Killer(nth)) == 0:
                break
        else:
            pytest.fail("40 runs did not get there")
