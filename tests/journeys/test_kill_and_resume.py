"""kill -9 at a random moment, then the same command: same shards, almost nothing paid twice."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import ANNOTATE, Reach, digests
from tests.journeys.test_row_to_shard import simulator

IN_FLIGHT = 8
ROWS = 300


def words(base_url: str, name: str) -> list[str]:
    """The command line of one run."""
    return [
        *(str(ANNOTATE), "run", "demo", "--teacher", "t", "--base-url", base_url),
        *("--samples", str(ROWS), "--concurrency", str(IN_FLIGHT), "--quiet"),
        *("--store", f"store-{name}", "--out", f"out-{name}"),
    ]


async def start(command: list[str], folder: Path) -> asyncio.subprocess.Process:
    """The command, running in a folder."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=pipe, stderr=pipe)


async def served(teacher: Simulator, n: int) -> None:
    """Wait until the teacher has answered n requests."""
    while len(teacher.log.entries) < n:  # noqa: ASYNC110  # the simulator tells nobody
        await asyncio.sleep(0.005)


async def on_their_way(teacher: Simulator, n: int) -> None:
    """Wait until the teacher works on n requests."""
    while teacher.log.in_flight < n:  # noqa: ASYNC110  # the simulator tells nobody
        await asyncio.sleep(0.005)


SLOW = SimulatorSettings(latency=Latency(median_ms=15, sigma=0.5))


@pytest.mark.parametrize(
    "kills", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
async def test_killed_at_random_and_run_again_the_shards_are_the_same(
    reach: Reach, tmp_path: Path, kills: int
) -> None:
    moments = random.Random(2026)
    async with simulator(tmp_path, SLOW) as teacher:
        for kill in range(kills):
            process = await start(words(reach(teacher), "killed"), tmp_path)
            await served(teacher, len(teacher.log.entries) + moments.randint(1, 200 // kills))
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL, f"run {kill} ended before the kill"
        last = await start(words(reach(teacher), "killed"), tmp_path)
        assert await last.wait() == 0
        times = Counter(entry.digest for entry in teacher.log.entries)
    assert len(times) == ROWS
    asked_again = sum(n - 1 for n in times.values())
    # Answers on their way, or in a commit's short wait, at each kill.
    assert asked_again <= kills * 2 * IN_FLIGHT
    async with simulator(tmp_path) as calm:
        unbroken = await start(words(reach(calm), "calm"), tmp_path)
        assert await unbroken.wait() == 0
    assert digests(tmp_path / "out-killed") == digests(tmp_path / "out-calm")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
async def test_sigterm_ends_gently_and_nothing_is_asked_twice(reach: Reach, tmp_path: Path) -> None:
    async with simulator(tmp_path, SLOW) as teacher:
        process = await start(words(reach(teacher), "stopped"), tmp_path)
        await served(teacher, 40)
        process.send_signal(signal.SIGTERM)
        _, error = await process.communicate()
        assert process.returncode == 130
        assert error.decode().count("\n") == 1
        assert "the same command goes on" in error.decode()
        assert not (tmp_path / "out-stopped").exists()
        again = await start(words(reach(teacher), "stopped"), tmp_path)
        assert await again.wait() == 0
        times = Counter(entry.digest for entry in teacher.log.entries)
    assert set(times.values()) == {1}
    assert len(times) == ROWS


async def test_ctrl_c_says_at_once_what_is_waited_for(tmp_path: Path) -> None:
    slow = SimulatorSettings(latency=Latency(median_ms=2_000, sigma=0.1))
    async with simulator(tmp_path, slow) as teacher:
        command = [word for word in words(teacher.base_url, "told") if word != "--quiet"]
        process = await start(command, tmp_path)
        assert process.stderr
        await on_their_way(teacher, IN_FLIGHT // 2)  # it begins with half
        process.send_signal(signal.SIGINT)
        line = (await process.stderr.readline()).decode()
        assert re.search(r"stopping: waiting for \d answers that are on the way", line)
        assert "Ctrl-C again leaves" in line
        process.send_signal(signal.SIGINT)
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 130
    assert rest == "annotate: left at once; the same command goes on from what is stored\n"


def test_ctrl_c_while_files_are_read_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "models.yaml")
    command = [ANNOTATE, "run", "demo", "--teacher", "simulated", "--models", "models.yaml"]
    with (
        subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process,
        (tmp_path / "models.yaml").open("w"),  # waits until it is read
    ):
        error = None
        while error is None:  # a signal right before the read is seen behind it, as in any Python
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                _, error = process.communicate(timeout=3)
    assert process.returncode == 130
    assert error == "annotate: interrupted: what was answered is stored; run it again\n"


async def test_a_second_writer_is_told_who_has_the_store(tmp_path: Path) -> None:
    slower = SimulatorSettings(latency=Latency(median_ms=200))
    async with simulator(tmp_path, slower) as teacher:
        first = await start(words(teacher.base_url, "shared"), tmp_path)
        await served(teacher, 5)
        second = await start(words(teacher.base_url, "shared"), tmp_path)
        _, error = await second.communicate()
        assert second.returncode == 2
        assert f"process {first.pid} is writing" in error.decode()
        assert await first.wait() == 0
