"""The sweep command: plan, status, commands; what is run, what is not, and what is told.

Here a child process that takes no time stands where the launcher is; test_sweep_kills.py has the
real one.
"""

import io
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from stepdistill.trainer.errors import Stopped
from stepdistill.trainer.locks import claim
from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import RESULTS_NAME, TrainSettings
from stepdistill.trainer.study.launching import Launcher
from stepdistill.trainer.study.state import LOCK_NAME, Clock, read_note, state_of
from stepdistill.trainer.study.sweep_file import PlannedRun, Sweep, read_sweep
from stepdistill.trainer.study.sweep_runner import RunsFailed, SweepRunner
from stepdistill.trainer.study.tracking import Tracking
from tests.trainer.study.waiting import wait_for


@pytest.fixture
def file(data: Path, tmp_path: Path) -> Path:
    options = {"model": "tiny", **{name: str(data / name) for name in ("train", "valid", "test")}}
    path = tmp_path / "study.yaml"
    grid = {"mode": ["standard", "step-by-step"], "seed": [0, 1]}
    path.write_text(
        yaml.safe_dump({"output": "runs", "options": options, "grid": grid}, sort_keys=False)
    )
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick(Launcher):
    """Puts a finished run's results where the training would; fails where mode and seed say so."""

    results: Path
    failing: str = ""

    def command(self, run: PlannedRun, port: str) -> list[str]:
        code = (
            "import shutil, sys; print('a line before'); "
            f"shutil.copy({str(self.results)!r}, {str(run.folder / RESULTS_NAME)!r})"
        )
        if run.name == self.failing:
            code = "import sys; sys.exit('error: the loss is not finite; lower --lr')"
        return [Path(sys.executable).name, "-c", code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    message: str
    failed: bool


def _go(file: Path, launcher: Launcher) -> Outcome:
    plan, out = read_sweep(file), io.StringIO()
    console = Console(file=out, width=200, soft_wrap=True)
    with Tracking(file.parent / "tracking.sqlite") as tracking:
        try:
            SweepRunner(plan, launcher, tracking, console, Clock(plan.runs)).run()
        except RunsFailed:
            return Outcome(message=out.getvalue(), failed=True)
    return Outcome(message=out.getvalue(), failed=False)


@pytest.fixture
def results(finished: TrainSettings) -> Path:
    return finished.output / RESULTS_NAME


def _starts(plan: Sweep) -> list[int]:
    notes = [read_note(run.folder) for run in plan.runs]
    return [note.starts if note is not None else 0 for note in notes]


def test_a_failed_run_is_a_line_and_the_others_go_on(file: Path, results: Path) -> None:
    first = _go(file, Quick(results=results, failing="standard, seed 1"))
    assert first.failed
    assert "run 2 of 4  standard, seed 1" in first.message
    assert first.message.count("failed after") == 1
    assert "(exit code 1): the loss is not finite; lower --lr; see" in first.message
    assert "4 runs: 3 finished, 1 failed" in first.message
    again = _go(file, Quick(results=results))
    assert not again.failed
    assert "1 of 4 to run, about" in again.message
    assert "4 runs: 4 finished" in again.message
    assert _starts(read_sweep(file)) == [1, 2, 1, 1]
    assert "to run" not in _go(file, Quick(results=results)).message


def test_a_run_that_another_process_is_at_is_left_to_it(file: Path, results: Path) -> None:
    plan = read_sweep(file)
    with claim(plan.runs[2].folder, LOCK_NAME):
        assert state_of(plan.runs[2].folder) == "running"
        assert (
            "step-by-step, seed 0: another process is at it"
            in _go(file, Quick(results=results)).message
        )
    assert _starts(plan) == [1, 1, 0, 1]
    assert state_of(plan.runs[2].folder) == "interrupted"


_OUTLIVING = """
import sys
from pathlib import Path
from stepdistill.trainer.study.launching import launch
from stepdistill.trainer.study.state import LOCK_NAME
from stepdistill.trainer.locks import claim
folder = Path(sys.argv[1])
child = "import time; from pathlib import Path; print('here', flush=True)"
child += f"\\nwhile not Path({sys.argv[2]!r}).exists(): time.sleep(0.01)"
with claim(folder, LOCK_NAME) as lock:
    launch([Path(sys.executable).name, "-c", child], folder / "log", lock, lambda: None)
"""


def test_a_training_that_outlives_its_sweep_keeps_the_run(tmp_path: Path) -> None:
    folder, end = tmp_path / "run", tmp_path / "end"
    with subprocess.Popen([sys.executable, "-c", _OUTLIVING, folder, end]) as parent:
        wait_for(lambda: (folder / "log").exists() and "here" in (folder / "log").read_text())
        parent.kill()
        parent.wait()
        assert state_of(folder) == "running"
        end.touch()
        wait_for(lambda: state_of(folder) == "interrupted")


def test_ctrl_c_waits_for_the_training_and_says_how_to_go_on(file: Path, results: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Interrupted(Quick):
        def command(self, run: PlannedRun, port: str) -> list[str]:
            if run.name == "standard, seed 1":
                raise KeyboardInterrupt
            return super().command(run, port)

    with pytest.raises(Stopped, match="1 finished, 1 interrupted, 2 missing; the same command"):
        _go(file, Interrupted(results=results))


def test_status_shows_what_is_there(
    file: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = read_sweep(file).runs[0]
    done.folder.mkdir(parents=True)
    shutil.copy(results, done.folder)
    assert main(["sweep", str(file), "--status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines if line.strip()[:1].isdigit()]
    assert rows[0][:3] == ["1", "standard, seed 0", "finished"]
    assert [row[2] for row in rows[1:4]] == ["missing"] * 3
    assert all(row[3].startswith("~") for row in rows[1:4])  # guessed by the finished one
    assert "4 runs: 1 finished, 3 missing" in lines[-1]


def test_commands_for_elsewhere(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(file), "--print-commands", "--num-gpus", "4"]) == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 4
    assert all(
        line[0] == "deepspeed" and line[line.index("--num_gpus") + 1] == "4" for line in lines
    )
    ports = {line[line.index("--master_port") + 1] for line in lines}
    outputs = {line[line.index("--output") + 1] for line in lines}
    assert len(ports) == len(outputs) == 4


def test_an_array_script(file: Path, tmp_path: Path) -> None:
    script = tmp_path / "study.sh"
    assert main(["sweep", str(file), "--slurm", str(script)]) == 0
    text = script.read_text()
    assert "#SBATCH --array=1-4" in text
    assert text.count("deepspeed --master_port $port") == 4
    assert next(line for line in text.splitlines() if line.startswith("  4) ")).endswith(" ;;")


def test_help_shows_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--help"]) == 0
    assert "grid:   " in capsys.readouterr().out
