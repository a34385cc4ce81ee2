"""Settings of what has to do with many runs: sweep, track, tables, plots."""

import shlex
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.common.command_line import LIST, Settings, options
from stepdistill.common.errors import ConfigError

_REPEATED = Parameter(consume_multiple=False)

# What runs of one kind may differ in: see study/frame.py.
Pooled = (
    Literal["model", "subsample", "max_input_tokens", "batch_size", "optimizer", "lr", "settings"]
    | Literal["teacher", "mix", "alpha", "data"]
)


@options("Runs", 1)
class TrackingSettings(Settings):
    """The tracking file."""

    tracking: Path = Path("runs/tracking.sqlite")
    """Where results of runs are kept."""


@options("Sweep", 2, kw_only=False)
class SweepSettings(TrackingSettings):
    """A sweep, and what is done of it; without any of the three options, what is missing is run."""

    file: Path
    """SWEEP.yaml: what to run, see below."""
    _: KW_ONLY
    status: bool = False
    """Show how far the runs are, run none."""
    print_commands: bool = False
    """Print a shell command for each missing run."""
    slurm: Path | None = None
    """Write an array script of the missing runs to this file."""
    num_gpus: int | None = None
    """Ranks of a run; default: all."""
    include: str | None = None
    """HOST:GPUS, as deepspeed's: localhost:0,2."""
    hostfile: Path | None = None
    """As deepspeed's."""
    launcher_options: Annotated[str, Parameter(allow_leading_hyphen=True)] = ""
    """More options of deepspeed, quoted."""

    def check(self) -> None:
        super().check()
        if self.status + self.print_commands + (self.slurm is not None) > 1:
            raise ConfigError("--status, --print-commands and --slurm exclude each other: take one")

    @property
    def launcher_words(self) -> tuple[str, ...]:
        """The options of `deepspeed` itself."""
        named = {"include": self.include, "hostfile": self.hostfile}
        words = [f"--{name}={value}" for name, value in named.items() if value]
        if self.num_gpus is not None:
            words += ["--num_gpus", str(self.num_gpus)]
        return (*words, *shlex.split(self.launcher_options))


@options("Runs", 1, kw_only=False)
class TrackAddSettings(TrackingSettings):
    """Finished runs."""

    folders: tuple[Path, ...]
    """Their folders, or one above."""


@options("Runs", 1, kw_only=False)
class TrackImportSettings(TrackingSettings):
    """The original's runs."""

    file: Path
    """Its experiment_tracking.csv."""
    _: KW_ONLY
    mixes: Path | None = None
    """The original's prompt-mixes."""
    words: Annotated[tuple[str, ...], _REPEATED] = ()
    """MIX=N, mean words of a mix's rationales, which the file does not hold."""


@options("Runs", 1, kw_only=False)
class TrackExportSettings(TrackingSettings):
    """Runs as a table."""

    file: Path
    """The CSV file to write."""
    _: KW_ONLY
    full: bool = False
    """All columns, not the original's alone."""
    hand_entered: bool = False
    """The rows typed in by hand, too."""


@options("Runs", 1)
class RunFilterSettings(TrackingSettings):
    """Which runs of the tracking file are shown."""

    source: Literal["own", "original"] | None = None
    """One's own runs alone, or the original's."""
    study: Annotated[tuple[str, ...], _REPEATED] = ()
    """Of these sweeps alone."""
    task: Annotated[tuple[str, ...], _REPEATED] = ()
    """Of these tasks alone."""
    hand_entered: bool = False
    """The original's rows typed in by hand, too."""


@options("Tables", 2)
class TablesSettings(RunFilterSettings):
    """What the tables show."""

    pool: Annotated[tuple[Pooled, ...], LIST] = ()
    """Put runs together that differ in these alone."""
    all_pairs: bool = False
    """Compare all methods, not with the baseline alone."""
    accuracy: float | None = None
    """What is to be reached, 0..1; default: the baseline's with all data."""
    gpu_hour_usd: float | None = None
    """Price of an hour of one device."""
    out: Path | None = None
    """Folder for Markdown, CSV and LaTeX, too."""


@options("Figures", 2)
class FiguresSettings(RunFilterSettings):
    """Where figures go."""

    out: Path
    """Folder for pictures, PNG and SVG."""


TRACKING, TABLES = TrackingSettings(), TablesSettings()
