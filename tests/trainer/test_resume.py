"""A run that is broken off and started again is the unbroken run, bit for bit."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.trainer.main import main
from tests.trainer.made_rows import arguments
from tests.warm import WarmProcess, plain_environment

STEPS = 40
RUN = {"steps": STEPS, "batch_size": 8, "eval_every": 8, "log_every": 3, "dropout": 0.1}
BOUND_S = 100


def _line(data: Path, output: Path, save_every: int) -> list[str]:
    return arguments(data, output, **RUN, save_every=save_every)


def _wait_for(there: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_S
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def _content(output: Path) -> tuple[Any, Any, bytes]:
    results = orjson.loads((output / "results.json").read_bytes())
    return results["history"], results["test"], (output / "model/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, bytes]:
    output = tmp_path_factory.mktemp("unbroken")
    assert main([*_line(data, output, 8), "--quiet"]) == 0
    return _content(output)


def test_sigterm_saves_and_leaves(
    warm_stepdistill: WarmProcess, data: Path, unbroken: tuple[Any, Any, bytes], tmp_path: Path
) -> None:
    line = _line(data, tmp_path, 1000)
    run = warm_stepdistill.start("train", *line, cwd=tmp_path, env=plain_environment())
    _wait_for(lambda: any((tmp_path / "checkpoints").glob("best-*")))
    os.kill(run.pid, signal.SIGTERM)
    ended = run.wait(BOUND_S)
    assert ended.returncode == 130
    message = ended.stderr
    assert "the same command goes on there" in message and "error" not in message
    assert not (tmp_path / "results.json").exists()
    [step] = (tmp_path / "checkpoints").glob("step-*")
    assert int(step.name.removeprefix("step-")) < STEPS
    assert main([*line, "--quiet"]) == 0
    assert _content(tmp_path) == unbroken


@pytest.mark.slow
def test_a_kill_in_the_middle_of_saving_loses_nothing_before_it(
    warm_stepdistill: WarmProcess, data: Path, unbroken: tuple[Any, Any, bytes], tmp_path: Path
) -> None:
    line, folder = _line(data, tmp_path, 1), tmp_path / "checkpoints"
    run = warm_stepdistill.start("train", *line, cwd=tmp_path, env=plain_environment())
    _wait_for(lambda: any(folder.glob("step-*")) and any(folder.glob(".step-*.draft/*")))
    run.kill()
    assert run.wait(BOUND_S).returncode == -signal.SIGKILL
    assert any(folder.glob("step-*"))
    assert main([*_line(data, tmp_path, 8), "--quiet"]) == 0
    assert _content(tmp_path) == unbroken
    left = sorted(path.name for path in folder.iterdir())
    # The last two steps, each with its best student, and no half of one.
    assert {name.partition("-")[0] for name in left} == {"best", "step"}
    assert [name for name in left if name.startswith("step")] == ["step-32", f"step-{STEPS}"]


def test_a_checkpoint_of_another_run_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"steps": 2, "batch_size": 8, "eval_every": 1}
    assert main([*arguments(data, tmp_path, **options), "--quiet"]) == 0
    (tmp_path / "results.json").unlink()
    assert main([*arguments(data, tmp_path, **options, seed=1), "--quiet"]) == 2
    assert "from other settings or data" in capsys.readouterr().err


@pytest.mark.parametrize("zero", [0, 1])
def test_universal_does_no_harm_where_it_is_not_needed(
    data: Path, tmp_path: Path, zero: int
) -> None:
    options = {"steps": 2, "batch_size": 8, "eval_every": 1, "zero": zero}
    line = [*arguments(data, tmp_path, **options), "--quiet"]
    assert main(line) == 0
    first = _content(tmp_path)
    (tmp_path / "results.json").unlink()
    assert main([*line, "--universal"]) == 0
    assert _content(tmp_path) == first


def test_training_ends_when_nothing_gets_better(data: Path, tmp_path: Path) -> None:
    options = {"steps": 50, "batch_size": 4, "eval_every": 1, "patience": 3, "lr": 1e-9}
    line = [*arguments(data, tmp_path, **options), "--quiet"]
    assert main(line) == 0
    results = orjson.loads((tmp_path / "results.json").read_bytes())
    assert [point["step"] for point in results["history"]["valid"]] == [1, 2, 3, 4]
    # All are as good, so the last one that explains no worse is kept.
    assert (results["valid"]["step"], results["steps"]) == (4, 4)
    (tmp_path / "results.json").unlink()  # as though it had been killed before it was written
    assert main(line) == 0
    again = orjson.loads((tmp_path / "results.json").read_bytes())
    assert (again["steps"], again["history"]) == (4, results["history"])
