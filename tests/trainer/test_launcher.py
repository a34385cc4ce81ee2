"""The real launcher, two ranks on a CPU: the same numbers as one rank, and one voice."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.trainer.conftest import RUN
from tests.trainer.made_rows import arguments
from trainer.main import main

ROOT = Path(__file__).parents[2]
BOUND_S = 110
# Adam makes a large step of a rounding error where a gradient is nearly zero, so steps are small.
STEADY = RUN | {"lr": 1e-5}


def _launch(*line: str) -> subprocess.CompletedProcess[str]:
    """`deepspeed --num_gpus 2 packages/trainer/train.py LINE`, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = Path(sys.executable).with_name("deepspeed")
    train = ROOT / "packages" / "trainer" / "train.py"
    ours = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [launcher, "--num_gpus", "2", "--master_port", str(port), train, *line],
        env=environment | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


def test_two_ranks_are_one(data: Path, tmp_path: Path) -> None:
    assert main([*arguments(data, tmp_path / "one", **STEADY), "--quiet"]) == 0
    run = _launch(*arguments(data, tmp_path / "two", **STEADY))
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
    run = _launch(*arguments(data, tmp_path), "--test", str(tmp_path / "missing"))
    assert run.returncode == 2
    assert run.stderr.count("error: ") == 1
    assert "Traceback" not in run.stderr
