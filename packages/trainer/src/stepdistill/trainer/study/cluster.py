"""The missing runs as commands for machines elsewhere: one a line, or an array script for Slurm."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from stepdistill.trainer.study.launching import Launcher, shell_line
from stepdistill.trainer.study.sweep_file import PlannedRun

_FIRST_PORT = 29500
_SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{runs}
#SBATCH --gpus-per-node=1
#SBATCH --output=%x-%a.log
# One run for each task of the array; a task that is submitted again goes on from its checkpoint.
set -eu
cd {home}
port=$((20000 + (${{SLURM_JOB_ID:-0}} + ${{SLURM_ARRAY_TASK_ID}}) % 20000))
case ${{SLURM_ARRAY_TASK_ID}} in
{cases}
esac
"""


def command_lines(runs: Sequence[PlannedRun], launcher: Launcher) -> list[str]:
    """A shell command for each run; each has a port of its own, so they may run side by side."""
    return [
        shell_line(launcher.command(run, str(_FIRST_PORT + place)))
        for place, run in enumerate(runs)
    ]


def array_script(runs: Sequence[PlannedRun], launcher: Launcher, home: Path) -> str:
    """A Slurm script. home: where the runs' relative paths start from."""
    port = "PORT"
    cases = [
        f"  {number}) {shell_line(launcher.command(run, port)).replace(port, '$port', 1)} ;;"
        for number, run in enumerate(runs, 1)
    ]
    return _SCRIPT.format(
        name=runs[0].folder.parent.name,
        runs=len(runs),
        home=shlex.quote(str(home)),
        cases="\n".join(cases),
    )
