"""ZeRO 0 to 3 on two ranks, and from two ranks to one. Slow: each is a launch of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.trainer.main import main
from tests.trainer.conftest import RUN
from tests.trainer.launching import TRAIN, environment, free_port, launch
from tests.trainer.made_rows import arguments

STEADY = RUN | {"lr": 1e-5}
BOUND_S = 240
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _finish(*runs: subprocess.Popen[str]) -> None:
    for run in runs:
        with run:
            out, err = run.communicate(timeout=BOUND_S)
        assert run.returncode == 0, out + err


def _results(output: Path) -> Any:
    return orjson.loads((output / "results.json").read_bytes())


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    output = tmp_path_factory.mktemp("alone")
    assert main([*arguments(data, output, **STEADY), "--quiet"]) == 0
    return _results(output)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_every_stage_gives_the_same(data: Path, alone: Any, tmp_path: Path, zero: int) -> None:
    _finish(launch(*arguments(data, tmp_path, **STEADY, zero=zero, accumulate=2), "--quiet"))
    found = _results(tmp_path)
    for one, two in zip(alone["history"]["train"], found["history"]["train"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
    assert found["test"] == alone["test"]
    assert found["valid"] == alone["valid"]


@pytest.mark.parametrize(
    ("zero", "precision"), [(0, "fp32"), (0, "bf16"), (1, "fp32"), (2, "fp32"), (3, "fp32")]
)
def test_one_rank_goes_on_where_two_were_killed(
    data: Path, alone: Any, tmp_path: Path, zero: int, precision: str
) -> None:
    line = arguments(data, tmp_path, **STEADY, zero=zero, save_every=3, precision=precision)
    run = launch(*line)
    end = time.monotonic() + BOUND_S
    while not any((tmp_path / "checkpoints").glob("step-*")):
        assert time.monotonic() < end
        time.sleep(0.002)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=BOUND_S)
    is_sharded = zero > 0 or precision == "bf16"  # which is ZeRO 1
    if is_sharded:
        assert main([*line, "--quiet", "--no-universal"]) == 2
    assert main([*line, "--quiet"]) == 0
    found = _results(tmp_path)
    assert found["steps"] == RUN["steps"]
    close = 1e-5 if precision == "fp32" else 0.02
    for one, two in zip(alone["history"]["train"], found["history"]["train"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=close)
    assert precision == "bf16" or found["test"] == alone["test"]


@pytest.mark.parametrize("zero", [0, 2, 3])
def test_two_ranks_go_on_where_one_was_stopped(
    data: Path, alone: Any, tmp_path: Path, zero: int
) -> None:
    line = [*arguments(data, tmp_path, **STEADY, zero=zero, save_every=1), "--quiet"]
    one = launch(*line, options=("--num_gpus", "1"))
    end = time.monotonic() + BOUND_S
    while not any((tmp_path / "checkpoints").glob("step-*")):
        assert time.monotonic() < end
        time.sleep(0.002)
    os.kill(one.pid, signal.SIGTERM)  # the launcher alone: its rank notices that it is gone
    _, said = one.communicate(timeout=BOUND_S)
    assert "the launcher is gone" in said and "the same command goes on there" in said
    with launch(*line) as two:
        _, said = two.communicate(timeout=BOUND_S)
    assert two.returncode == 0, said
    assert "written by 1 ranks, gone on from by 2" in said
    found = _results(tmp_path)
    assert found["cost"]["ranks"] == 2
    for before, after in zip(alone["history"]["train"], found["history"]["train"], strict=True):
        assert after["loss"] == pytest.approx(before["loss"], rel=1e-5)
    assert found["test"] == alone["test"]


def test_two_hosts_are_two_ranks(data: Path, tmp_path: Path) -> None:
    """Each host has a launcher of its own, as under Slurm; here both are this machine."""
    hosts = tmp_path / "hostfile"
    hosts.write_text("127.0.0.1 slots=1\nlocalhost slots=1\n")
    port = free_port()
    where = ("--hostfile", str(hosts), "--no_ssh", "--master_addr", "127.0.0.1")
    line = arguments(data, tmp_path / "hosts", **STEADY)
    _finish(
        *(launch(*line, options=(*where, "--node_rank", rank), port=port) for rank in ("0", "1"))
    )
    _finish(launch(*arguments(data, tmp_path / "ranks", **STEADY)))
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("hosts", "ranks")
    ]
    assert weights[0] == weights[1]
    assert _results(tmp_path / "hosts")["cost"]["ranks"] == 2


def test_ranks_that_read_different_data_say_so_and_end(data: Path, tmp_path: Path) -> None:
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    runs = [
        subprocess.Popen(
            [sys.executable, TRAIN, *arguments(data, tmp_path), f"--train={data / split}"],
            env=environment(**world, RANK=str(rank), LOCAL_RANK=str(rank)),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, split in enumerate(("train", "valid"))
    ]
    message = [run.communicate(timeout=BOUND_S)[1] for run in runs]
    assert [run.returncode for run in runs] == [2, 2]
    assert "the ranks read different data or settings" in message[0]


def test_a_compiled_student_learns_the_same(data: Path, alone: Any, tmp_path: Path) -> None:
    # A process of its own: the compiler warns of things of its own, which are errors here.
    line = [sys.executable, TRAIN, *arguments(data, tmp_path, **STEADY), "--quiet", "--compile"]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled = _results(tmp_path)["history"]["train"]
    for one, two in zip(alone["history"]["train"], compiled, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
