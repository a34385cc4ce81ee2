"""How far each run of a sweep is, as its folder tells, and how long the rest may take."""

import fcntl
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.settings.train import RESULTS_NAME
from stepdistill.trainer.study.results import Results, read_results
from stepdistill.trainer.study.sweep_file import PlannedRun

NOTE_NAME = "sweep.json"
LOG_NAME = "sweep.log"
_LOCK_NAME = ".sweep.lock"

State = Literal["finished", "running", "failed", "interrupted", "missing"]


class Note(BaseModel):
    """What a sweep keeps beside a run's results.

    starts: how often it was launched. whole_s: seconds from launch to exit, where one start did it
    all. failure: what the run said when it failed last; None when it did not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: str
    choices: dict[str, str]
    starts: int = 0
    whole_s: float | None = None
    failure: str | None = None


def read_note(folder: Path) -> Note | None:
    """The note in a run's folder, None where no sweep has been."""
    try:
        return Note.model_validate_json((folder / NOTE_NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{folder / NOTE_NAME}: cannot be read ({error}); remove it") from None


def write_note(folder: Path, note: Note) -> None:
    """Write it whole or not at all."""
    write_whole(folder / NOTE_NAME, f"{note.model_dump_json(indent=2)}\n".encode())


def state_of(folder: Path, *, held: bool = False) -> State:
    """How far the run in that folder is. held: its lock is the caller's own."""
    if (folder / RESULTS_NAME).exists():
        return "finished"
    if not folder.exists():
        return "missing"
    if not held and _is_held(folder):
        return "running"
    note = read_note(folder)
    return "failed" if note is not None and note.failure is not None else "interrupted"


@contextmanager
def claim(folder: Path) -> Generator[int | None]:
    """The run's lock as a file descriptor, None when another process is at this run.

    A child that is given the descriptor holds the lock too: a training that outlives a killed
    sweep is not started a second time beside itself.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        yield lock if _take(lock) else None
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK_NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(lock)
    finally:
        os.close(lock)


class Clock:
    """Guesses seconds for runs from those of a sweep that are finished."""

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self._paces: dict[str, list[float]] = {}
        for run in runs:
            if state_of(run.folder) == "finished":
                self.learn(run, read_results(run.folder))

    def learn(self, run: PlannedRun, results: Results) -> None:
        """Note what a finished run took, its start included where that is known."""
        note = read_note(run.folder)
        took = results.cost.seconds if note is None or note.whole_s is None else note.whole_s
        self._paces.setdefault(run.config.model, []).append(took / max(1, results.steps))

    def guess(self, run: PlannedRun) -> float | None:
        """Seconds, by the mean for a step of the same model; None where none is finished."""
        paces = self._paces.get(run.config.model)
        return fmean(paces) * run.config.steps if paces else None
