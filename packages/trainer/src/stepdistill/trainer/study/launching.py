"""A run as a command of the `deepspeed` launcher: at work here, or written down for a cluster."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepdistill.common.own_command import run_to_end
from stepdistill.trainer.study.sweep_file import PlannedRun, words_of

_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """How `deepspeed` is called."""

    options: tuple[str, ...] = ()  # of its own, e.g. ("--num_gpus", "2")

    def command(self, run: PlannedRun, port: str) -> list[str]:
        """The words of the command. port: where the ranks meet, of this machine."""
        own = ["--master_port", port, "--log_level", "error", *self.options]
        trainer = ["--module", "stepdistill.trainer", *words_of(run.options)]
        return ["deepspeed", *own, *trainer, "--output", str(run.folder)]


def launch(words: Sequence[str], log: Path, lock: int, meanwhile: Callable[[], None]) -> int:
    """Run the command to its end; its exit code. What it says goes to the log.

    lock: a file descriptor that it inherits. meanwhile: called now and then. Ctrl-C and SIGTERM
    raise KeyboardInterrupt when the command is through with them.
    """
    with log.open("ab") as out:
        return run_to_end(words, (out, out), meanwhile, fds=(lock,))


def last_lines(log: Path, since: int) -> list[str]:
    """The last lines of a log that say something, of what was written after `since` bytes."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip()]


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
        shlex.join(launcher.command(run, str(port))) for port, run in enumerate(runs, _FIRST_PORT)
    ]


def array_script(runs: Sequence[PlannedRun], launcher: Launcher, home: Path) -> str:
    """A Slurm script. home: where the runs' relative paths start from."""
    port = "PORT"
    cases = [
        f"  {number}) {shlex.join(launcher.command(run, port)).replace(port, '$port', 1)} ;;"
        for number, run in enumerate(runs, 1)
    ]
    return _SCRIPT.format(
        name=runs[0].folder.parent.name,
        runs=len(runs),
        home=shlex.quote(str(home)),
        cases="\n".join(cases),
    )
