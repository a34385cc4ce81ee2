"""`stepdistill track add|import|export`: what is in the tracking file."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.study import (
    TrackAddSettings,
    TrackExportSettings,
    TrackImportSettings,
)
from stepdistill.trainer.study.collect import folders_of_runs, keep_results
from stepdistill.trainer.study.original import read_original, write_original
from stepdistill.trainer.study.tracking import Run, Tracking


def add_runs(settings: TrackAddSettings) -> None:
    """Keep finished runs. Raises DistillError."""
    folders = folders_of_runs(settings.folders)
    with Tracking(settings.tracking) as file:
        new = keep_results(file, folders)
        _show(file, f"{len(folders)} runs found, {new} of them new")


def import_runs(settings: TrackImportSettings) -> None:
    """Keep the original's runs. Raises DistillError."""
    runs = read_original(settings.file, settings.mixes, dict(map(_words, settings.words)))
    typed = sum(run.hand_entered for run in runs)
    with Tracking(settings.tracking) as file:
        new = file.add(runs)
        _show(
            file,
            f"{len(runs)} rows read, {new} of them new; {typed} typed in by hand (run 100 or "
            "10,000.0 s), flagged and left out of tables and plots",
        )


def export_runs(settings: TrackExportSettings) -> None:
    """Write the file's runs as CSV. Raises DistillError."""
    with Tracking(settings.tracking, make=False) as file:
        runs = file.runs(hand_entered=settings.hand_entered)
        _export(settings.file, runs, full=settings.full)
        _show(file, f"{settings.file}: {len(runs)} runs")


def _show(file: Tracking, done: str) -> None:
    """What was done, and what the tracking file holds now."""
    counts = Counter(run.source for run in file.runs(hand_entered=True))
    held = ", ".join(f"{count} {source}" for source, count in sorted(counts.items()))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{done}\n{file.path} holds {held or 'no run'}")


def _words(given: str) -> tuple[str, float]:
    mix, _, words = given.partition("=")
    try:
        return mix, float(words)
    except ValueError:
        raise ConfigError(f"--words {given}: give it as MIX=N, e.g. 6=24.3") from None


def _export(path: Path, runs: Sequence[Run], *, full: bool) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            if full:
                out = csv.DictWriter(
                    file, [field.name for field in fields(Run)], lineterminator="\n"
                )
                out.writeheader()
                out.writerows(asdict(run) for run in runs)
            else:
                write_original(runs, file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
