"""The commands for many runs: sweep, track, tables, plots."""

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console

from stepdistill.common.command_line import ConfigFileSettings, add_command, make_app
from stepdistill.common.errors import ConfigError
from stepdistill.trainer.errors import refused
from stepdistill.trainer.settings.study import (
    TABLES,
    FiguresSettings,
    SweepSettings,
    TablesSettings,
    TrackAddSettings,
    TrackExportSettings,
    TrackImportSettings,
)
from stepdistill.trainer.settings.train import NO_FILE
from stepdistill.trainer.study.collect import folders_of_runs, keep_results
from stepdistill.trainer.study.launching import Launcher, array_script, command_lines
from stepdistill.trainer.study.original import read_original, write_original
from stepdistill.trainer.study.state import Clock, state_of
from stepdistill.trainer.study.sweep_file import PlannedRun, read_sweep
from stepdistill.trainer.study.sweep_runner import SweepRunner, count_states, show_runs
from stepdistill.trainer.study.tracking import Run, Tracking, filtered_runs


def sweep_command(settings: SweepSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Train many students: the runs that a file asks for and that are not finished yet.

    The same command again goes on where it was broken off, in the middle of a
    run, too. Started in two shells, e.g. with --include localhost:0 and --include
    localhost:1, it shares the runs out.

    Examples:

        stepdistill sweep study.yaml --status

        stepdistill sweep study.yaml

        stepdistill sweep study.yaml --slurm study.sh && sbatch study.sh

    study.yaml, with paths relative to it:

        output: runs/study              # gets a folder for each run
        options:                        # of all runs: any option of `train`
          model: tiny
          steps: 300
          test: runs/demo/test
          valid: runs/demo/valid
        grid:                           # every combination; may be a list of grids
          data:                         # names of your own for options ...
            all reasons: {train: runs/demo/train}
            a third: {train: runs/demo-third/train}
          method:
            baseline: {mode: standard, labels: gold}
            distilled: {mode: step-by-step}
          subsample: [0.25, 1.0]        # ... or an option and its values
          seed: [0, 1, 2]
        runs:                           # and these; they may name choices
          - {data: all reasons, method: distilled, alpha: 0.8, seed: 0}
    """
    _sweep(settings)


def _sweep(settings: SweepSettings) -> None:
    plan, launcher = read_sweep(settings.file), Launcher(options=settings.launcher_words)
    missing = [run for run in plan.runs if state_of(run.folder) != "finished"]
    if settings.print_commands:
        sys.stdout.writelines(f"{line}\n" for line in command_lines(missing, launcher))
        return
    console = Console(
        stderr=not settings.status, highlight=False, soft_wrap=True, markup=False, emoji=False
    )
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
    with refused(f"--slurm {path}"):
        path.write_text(array_script(missing, launcher, Path.cwd()), encoding="utf-8")
    console.print(f"{path}: an array of {len(missing)} runs; submit it with `sbatch {path}`")


def track_add_command(settings: TrackAddSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Keep finished runs, by their folders or one above; a run that is added again stands once.

    A sweep adds its own runs by itself.

    Example:

        stepdistill track add runs
    """
    folders = folders_of_runs(settings.folders)
    with Tracking(settings.tracking) as file:
        new = keep_results(file, folders)
        _show_held(file, f"{len(folders)} runs found, {new} of them new")


def track_import_command(settings: TrackImportSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Keep the runs of the original's experiment_tracking.csv.

    Example:

        stepdistill track import experiment_tracking.csv --mixes prompt-mixes
    """
    runs = read_original(settings.file, settings.mixes, dict(map(_words, settings.words)))
    typed = sum(run.hand_entered for run in runs)
    with Tracking(settings.tracking) as file:
        new = file.add(runs)
        _show_held(
            file,
            f"{len(runs)} rows read, {new} of them new; {typed} typed in by hand (run 100 or "
            "10,000.0 s), flagged and left out of tables and plots",
        )


def track_export_command(settings: TrackExportSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Write the runs as a CSV file, in the original's columns.

    Examples:

        stepdistill track export all.csv

        stepdistill track export all.csv --full
    """
    with Tracking(settings.tracking, make=False) as file:
        runs = file.runs(hand_entered=settings.hand_entered)
        _export(settings.file, runs, full=settings.full)
        _show_held(file, f"{settings.file}: {len(runs)} runs")


def _show_held(file: Tracking, done: str) -> None:
    """What was done, and what the tracking file holds now."""
    counts = Counter(run.source for run in file.runs(hand_entered=True))
    held = ", ".join(f"{count} {source}" for source, count in sorted(counts.items()))
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print(f"{done}\n{file.path} holds {held or 'no run'}")


def _words(given: str) -> tuple[str, float]:
    mix, _, words = given.partition("=")
    try:
        return mix, float(words)
    except ValueError:
        raise ConfigError(f"--words {given}: give it as MIX=N, e.g. 6=24.3") from None


def _export(path: Path, runs: Sequence[Run], *, full: bool) -> None:
    with refused(path), path.open("w", encoding="utf-8", newline="") as file:
        if full:
            names = [field.name for field in fields(Run)]
            out = csv.DictWriter(file, names, lineterminator="\n")
            out.writeheader()
            out.writerows(asdict(run) for run in runs)
        else:
            write_original(runs, file)


def tables_command(settings: TablesSettings = TABLES, _: ConfigFileSettings = NO_FILE) -> None:
    """Say what many results say: means over all seeds, paired tests, data and money needed.

    Examples:

        stepdistill tables

        stepdistill tables --gpu-hour-usd 2.5 --out tables

        stepdistill tables --source original --pool batch_size lr
    """
    from stepdistill.trainer.study import run_tables  # pandas and scipy take a second
    from stepdistill.trainer.study.encoder_table import encoder_table
    from stepdistill.trainer.study.frame import frame_of

    runs, selection = filtered_runs(settings)
    frame = frame_of(runs, settings.pool)
    shown = (
        run_tables.accuracy_table(frame),
        run_tables.paired_table(frame, all_pairs=settings.all_pairs),
        run_tables.data_table(frame),
        run_tables.cost_table(frame, settings.accuracy, settings.gpu_hour_usd),
        encoder_table(frame),
    )
    if settings.pool:
        selection += f"; those that differ in {', '.join(settings.pool)} alone count as one kind"
    sys.stdout.write(f"{selection}\n\n" + "\n".join(map(run_tables.markdown, shown)))
    if settings.out is not None:
        for table in shown:
            run_tables.write_table(table, settings.out)
        names = ", ".join(table.name for table in shown)
        sys.stdout.write(f"\n{settings.out}: {names}, each as .md, .csv and .tex\n")


def plots_command(settings: FiguresSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Draw test accuracy over what was varied, with 95 % bands over seeds.

    By share of the data, by size of the student, by length of the rationales and
    by their rate: one PNG and one SVG for each task, the original's runs in panels
    beside one's own.

    Examples:

        stepdistill plots --out figures

        stepdistill plots --out figures --source own --task demo
    """
    from stepdistill.common.figures import write_picture  # matplotlib takes a second
    from stepdistill.trainer.study.frame import frame_of
    from stepdistill.trainer.study.run_pictures import KINDS, pictures

    runs, selection = filtered_runs(settings)
    frame = frame_of(runs)
    sys.stdout.write(f"{selection}\n")
    for kind in KINDS:
        drawn = list(pictures(kind, frame))
        for picture in drawn:
            with refused(f"--out {settings.out}"):
                png, svg = write_picture(picture, settings.out)
            sys.stdout.write(f"{png}, {svg.name}\n")
        if not drawn:
            sys.stdout.write(f"{kind.name}: left out, it needs {kind.needs}\n")


track_app = make_app(
    "track", "Keep the results of runs, one's own and the original's, in one SQLite file."
)
add_command(track_app, track_add_command, "add")
add_command(track_app, track_import_command, "import")
add_command(track_app, track_export_command, "export")
