"""`stepdistill sweep SWEEP.yaml`: the runs of a file, those that are not there yet."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.study import SweepSettings
from stepdistill.trainer.study.cluster import array_script, command_lines
from stepdistill.trainer.study.launching import Launcher
from stepdistill.trainer.study.screen import count_states, show_runs
from stepdistill.trainer.study.state import Clock, state_of
from stepdistill.trainer.study.sweep_file import PlannedRun, read_sweep
from stepdistill.trainer.study.sweep_runner import SweepRunner
from stepdistill.trainer.study.tracking import Tracking


def sweep(settings: SweepSettings) -> None:
    """The command. Raises DistillError; RunsFailed when some runs did."""
    plan, launcher = read_sweep(settings.file), Launcher(options=settings.launcher_words)
    missing = [run for run in plan.runs if state_of(run.folder) != "finished"]
    if settings.print_commands:
        sys.stdout.writelines(f"{line}\n" for line in command_lines(missing, launcher))
        return
    console = Console(stderr=not settings.status, highlight=False, soft_wrap=True)
    clock = Clock(plan.runs)
    show_runs(console, plan, clock)
    if plan.repeated:
        console.print(f"{plan.repeated} of the file's runs are others over again: run once")
    if settings.slurm is not None:
        _write_script(console, settings.slurm, missing, launcher)
    elif settings.status:
        console.print(count_states(plan.runs))
    else:
        with Tracking(settings.tracking) as tracking:
            SweepRunner(plan, launcher, tracking, console, clock).run()


def _write_script(
    console: Console, path: Path, missing: Sequence[PlannedRun], launcher: Launcher
) -> None:
    if not missing:
        raise ConfigError(f"--slurm {path}: nothing to run, all runs are finished")
    try:
        path.write_text(array_script(missing, launcher, Path.cwd()), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--slurm {path}: cannot be written ({error.strerror})") from None
    console.print(f"{path}: an array of {len(missing)} runs; submit it with `sbatch {path}`")
