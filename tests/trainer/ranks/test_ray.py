"""Ray Train's workers are ranks: its loop calls the trainer, as the guide shows."""

import sys
from pathlib import Path

import orjson
import pytest

from tests.trainer.conftest import RUN
from tests.trainer.launching import python
from tests.trainer.made_rows import arguments

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# A process of its own: Ray starts some that outlive a test's patience with sockets.
_SCRIPT = """
import sys
import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer


def train(config):
    from stepdistill.trainer.main import main

    if code := main(config["words"]):
        raise RuntimeError(f"training ended with exit code {code}")


ray.init(num_cpus=6, include_dashboard=False)
TorchTrainer(
    train,
    train_loop_config={"words": sys.argv[2:]},
    scaling_config=ScalingConfig(num_workers=2),
    run_config=RunConfig(storage_path=sys.argv[1]),
).fit()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Ray's workers are tried on Linux alone")
def test_two_workers_are_two_ranks(data: Path, tmp_path: Path) -> None:
    script, output = tmp_path / "ray_train.py", tmp_path / "out"
    script.write_text(_SCRIPT)
    line = arguments(data, output, **RUN)
    python(tmp_path, script, tmp_path / "ray", "train", *line, timeout_s=500)
    found = orjson.loads((output / "results.json").read_bytes())
    assert (found["cost"]["ranks"], found["steps"]) == (2, RUN["steps"])
