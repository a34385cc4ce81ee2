"""ZeRO 0 to 3 on two ranks, and from two ranks to one. Slow: each is a launch of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.trainer.conftest import RUN
from tests.trainer.made_rows import arguments
from trainer.main import main

ROOT = Path(__file__).parents[2]
STEADY = RUN | {"lr": 1e-5}
BOUND_S = 240
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _launch(*line: str) -> subprocess.Popen[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = Path(sys.executable).with_name("deepspeed")
    train = ROOT / "packages" / "trainer" / "train.py"
    ours = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.Popen(
        [launcher, "--num_gpus", "2", "--master_port", str(port), train, *line],
        env=environment | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _finish(run: subprocess.Popen[str]) -> None:
    with run:
        said, _ = run.communicate(timeout=BOUND_S)
    assert run.returncode == 0, said


def _results(output: Path) -> Any:
    return orjson.loads((output / "results.json").read_bytes())


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    output = tmp_path_factory.mktemp("alone")
    assert main([*arguments(data, output, **STEADY), "--quiet"]) == 0
    return _results(output)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_every_stage_gives_the_same(data: Path, alone: Any, tmp_path: Path, zero: int) -> None:
    _finish(_launch(*arguments(data, tmp_path, **STEADY, zero=zero, accumulate=2), "--quiet"))
    found = _results(tmp_path)
    for one, two in zip(alone["history"]["train"], found["history"]["train"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
    assert found["test"] == alone["test"]
    assert found["valid"] == alone["valid"]


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_one_rank_goes_on_where_two_were_killed(
    data: Path, alone: Any, tmp_path: Path, zero: int
) -> None:
    line = arguments(data, tmp_path, **STEADY, zero=zero, save_every=3)
    run = _launch(*line)
    end = time.monotonic() + BOUND_S
    while not any((tmp_path / "checkpoints").glob("step-*")):
        assert time.monotonic() < end
        time.sleep(0.002)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=BOUND_S)
    if zero:
        assert main([*line, "--quiet"]) == 2  # another number of ranks, and nobody said so
    assert main([*line, "--quiet", *(["--universal"] if zero else [])]) == 0
    found = _results(tmp_path)
    assert found["steps"] == RUN["steps"]
    for one, two in zip(alone["history"]["train"], found["history"]["train"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert found["test"] == alone["test"]


def test_ranks_that_read_different_data_say_so_and_end(data: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environment = os.environ | world | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    train = ROOT / "packages" / "trainer" / "train.py"
    runs = [
        subprocess.Popen(
            [sys.executable, train, *arguments(data, tmp_path), f"--train={data / split}"],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, split in enumerate(("train", "valid"))
    ]
    said = [run.communicate(timeout=BOUND_S)[1] for run in runs]
    assert [run.returncode for run in runs] == [2, 2]
    assert "the ranks read different data or settings" in said[0]


def test_a_compiled_student_learns_the_same(data: Path, alone: Any, tmp_path: Path) -> None:
    # A process of its own: the compiler warns of things of its own, which are errors here.
    train = ROOT / "packages" / "trainer" / "train.py"
    line = [sys.executable, train, *arguments(data, tmp_path, **STEADY), "--quiet", "--compile"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    environment.pop("RANK", None)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled = _results(tmp_path)["history"]["train"]
    for one, two in zip(alone["history"]["train"], compiled, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
