"""A sweep of eight real trainings, killed twice with all that belongs to it, and gone on with."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import yaml

from stepdistill.trainer.study.state import LOG_NAME, read_note, state_of
from stepdistill.trainer.study.sweep_file import Sweep, read_sweep
from stepdistill.trainer.study.tracking import Tracking
from tests.trainer.launching import environment
from tests.trainer.study.waiting import wait_for

BOUND_S = 400


def _file(data: Path, home: Path) -> Path:
    options: dict[str, object] = {name: str(data / name) for name in ("train", "valid", "test")}
    options |= {"model": "tiny", "steps": 30, "eval_every": 15, "save_every": 2, "batch_size": 8}
    grid = {"mode": ["standard", "step-by-step"], "subsample": [0.5, 1.0], "seed": [0, 1]}
    path = home / "study.yaml"
    whole = {"output": "runs", "options": options, "grid": grid}
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return path


def _start(file: Path) -> subprocess.Popen[str]:
    """The command in a process group of its own."""
    tracking = file.parent / "tracking.sqlite"
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "stepdistill.trainer", "sweep", str(file)),
            *("--num-gpus", "1", "--tracking", str(tracking)),
        ],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _killed(file: Path, when: Callable[[], bool]) -> None:
    with _start(file) as run:
        wait_for(when, BOUND_S)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    assert run.returncode == -signal.SIGKILL


def _finished(plan: Sweep) -> int:
    return sum(state_of(run.folder) == "finished" for run in plan.runs)


@pytest.mark.slow
@pytest.mark.timeout(2 * BOUND_S)
def test_killed_twice_and_gone_on_with_no_run_is_run_twice(data: Path, tmp_path: Path) -> None:
    file = _file(data, tmp_path)
    plan = read_sweep(file)
    first, third = plan.runs[0].folder, plan.runs[2].folder
    _killed(file, lambda: any(first.glob("checkpoints/step-*")))  # in the middle of a run
    _killed(file, lambda: _finished(plan) == 2 and third.exists())  # at the start of another
    with _start(file) as one, _start(file) as other:  # two at once share out what is left
        for run in (one, other):
            _, message = run.communicate(timeout=BOUND_S)
            assert run.returncode == 0, message
    assert _finished(plan) == len(plan.runs) == 8
    for number, run in enumerate(plan.runs):
        note = read_note(run.folder)
        log = (run.folder / LOG_NAME).read_text()
        assert note is not None and note.starts == (2 if number in (0, 2) else 1)
        assert log.count("student  ") == 1  # each came to its end once
    assert "going on after step" in (first / LOG_NAME).read_text()
    with Tracking(tmp_path / "tracking.sqlite") as tracking:
        kept = [orjson.loads((run.folder / "results.json").read_bytes()) for run in plan.runs]
        assert {run.key for run in tracking.runs()} == {found["fingerprint"] for found in kept}
        assert len({run.key for run in tracking.runs()}) == 8
