"""`stepdistill sweep SWEEP.yaml`: the runs of a file, those that are not there yet."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.command_line import Parser
from stepdistill.trainer.study.cluster import array_script, command_lines
from stepdistill.trainer.study.launching import Launcher
from stepdistill.trainer.study.screen import count_states, show_runs
from stepdistill.trainer.study.state import Clock, state_of
from stepdistill.trainer.study.sweep_file import EXAMPLE, PlannedRun, read_sweep
from stepdistill.trainer.study.sweep_runner import SweepRunner
from stepdistill.trainer.study.tracking import TRACKING, Tracking

_EXAMPLES = f"""examples:
  stepdistill sweep study.yaml --status        what is there, what is not
  stepdistill sweep study.yaml                 run what is missing
  stepdistill sweep study.yaml --slurm study.sh && sbatch study.sh

The same command again goes on where it was broken off, in the middle of a run too. Started in two
shells, e.g. with --include localhost:0 and --include localhost:1, it shares the runs out.

study.yaml, with paths relative to it:

{EXAMPLE}"""


def sweep(arguments: Sequence[str]) -> None:
    """The command. Raises DistillError; RunsFailed when some runs did."""
    given = _options(arguments)
    plan, launcher = read_sweep(given.file), _launcher(given)
    missing = [run for run in plan.runs if state_of(run.folder) != "finished"]
    if given.print_commands:
        sys.stdout.writelines(f"{line}\n" for line in command_lines(missing, launcher))
        return
    console = Console(stderr=not given.status, highlight=False, soft_wrap=True)
    clock = Clock(plan.runs)
    show_runs(console, plan, clock)
    if plan.repeated:
        console.print(f"{plan.repeated} of the file's runs are others over again: run once")
    if given.slurm is not None:
        _write_script(console, given.slurm, missing, launcher)
    elif given.status:
        console.print(count_states(plan.runs))
    else:
        with Tracking(given.tracking) as tracking:
            SweepRunner(plan, launcher, tracking, console, clock).run()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="stepdistill sweep",
        description="Train many students, one after another: the runs that a file asks for and "
        "that are not finished yet.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="SWEEP.yaml", help="what to run, see below")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="show how far the runs are, run none")
    what.add_argument(
        "--print-commands", action="store_true", help="print a shell command for each missing run"
    )
    what.add_argument(
        "--slurm", type=Path, metavar="FILE", help="write an array script of the missing runs"
    )
    parser.add_argument("--num-gpus", type=int, metavar="N", help="ranks of a run, default all")
    parser.add_argument("--include", metavar="HOST:GPUS", help="as deepspeed's, localhost:0,2")
    parser.add_argument("--hostfile", type=Path, metavar="FILE", help="as deepspeed's")
    parser.add_argument(
        "--launcher-options", default="", metavar="TEXT", help="more options of deepspeed, quoted"
    )
    parser.add_argument(
        "--tracking",
        type=Path,
        default=TRACKING,
        metavar="FILE",
        help=f"where results are kept for tables and plots, default {TRACKING}",
    )
    return parser.parse_args(arguments)


def _launcher(given: argparse.Namespace) -> Launcher:
    options = [
        f"--{name}={value}" for name in ("include", "hostfile") if (value := getattr(given, name))
    ]
    if given.num_gpus is not None:
        options += ["--num_gpus", str(given.num_gpus)]
    return Launcher(options=(*options, *shlex.split(given.launcher_options)))


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
