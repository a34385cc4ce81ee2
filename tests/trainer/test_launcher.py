"""The real launcher, two ranks on a CPU: the same numbers as one rank, and one voice."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from stepdistill.trainer.main import main
from tests.trainer.conftest import RUN
from tests.trainer.launching import TRAIN, environment, free_port, launch
from tests.trainer.made_rows import arguments
from tests.warm import WarmProcess

BOUND_S = 110
# Adam makes a large step of a rounding error where a gradient is nearly zero, so steps are small.
STEADY = RUN | {"lr": 1e-5}


def _launched(*line: str) -> subprocess.CompletedProcess[str]:
    with launch(*line) as run:
        out, err = run.communicate(timeout=BOUND_S)
    return subprocess.CompletedProcess(line, run.returncode, out, err)


Launch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["by a scheduler", pytest.param("deepspeed", marks=pytest.mark.slow)])
def two_ranks(request: pytest.FixtureRequest, warm_stepdistill: WarmProcess) -> Launch:
    """Trains by two ranks, that DeepSpeed's launcher or what a scheduler sets has started; what
    the first of them says."""

    def scheduled(*line: str) -> subprocess.CompletedProcess[str]:
        world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        environments = [environment(**world, RANK=rank, LOCAL_RANK=rank) for rank in ("0", "1")]
        runs = [
            warm_stepdistill.start("train", *line, cwd=TRAIN.parent, env=e) for e in environments
        ]
        first, second = [run.wait(BOUND_S) for run in runs]
        assert second.returncode == 0, second.stderr
        return first

    return _launched if request.param == "deepspeed" else scheduled


def test_two_ranks_are_one(two_ranks: Launch, data: Path, tmp_path: Path) -> None:
    assert main([*arguments(data, tmp_path / "one", **STEADY), "--quiet"]) == 0
    run = two_ranks(*arguments(data, tmp_path / "two", **STEADY))
    assert run.returncode == 0, run.stderr
    one, two = (
        orjson.loads((tmp_path / name / "results.json").read_bytes()) for name in ("one", "two")
    )
    for first, second in zip(one["history"]["train"], two["history"]["train"], strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-5)
        assert second["grad_norm"] == pytest.approx(first["grad_norm"], rel=1e-5)
    assert two["test"] == one["test"]
    assert two["cost"]["ranks"] == 2
    assert run.stdout.count("majority label") == 1
    assert "step 12/12" in run.stderr


def test_two_ranks_refuse_with_one_voice(data: Path, tmp_path: Path) -> None:
    run = _launched(*arguments(data, tmp_path), "--test", str(tmp_path / "missing"))
    assert run.returncode == 2
    assert run.stderr.count("error: ") == 1
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_port_that_another_run_has(data: Path, tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as other:
        port = str(other.getsockname()[1])
        world = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, TRAIN, *arguments(data, tmp_path)],
            env=environment(**world, MASTER_PORT=port),
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert f"port {port}" in done.stderr and "--master_port" in done.stderr
    assert done.stderr.count("\n") == 1
