"""How far each run of a sweep is, what came out of it, and how long the rest may take."""

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
from stepdistill.trainer.settings.train import RESULTS_NAME, TrainSettings
from stepdistill.trainer.study.sweep_file import PlannedRun


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ResultScore(_Part):
    """Share of n rows that were right."""

    accuracy: float
    n: int


class ResultTest(_Part):
    """Scores on the test rows."""

    student: ResultScore
    teacher: ResultScore


class Valid(_Part):
    """The best validation."""

    accuracy: float


class ResultCost(_Part):
    """Seconds of training without evaluation; ranks of one device each."""

    seconds: float
    ranks: int


class Folder(_Part):
    """A folder of shards. cost_usd: what its answers cost, None where no price is known."""

    folder: str
    fingerprint: str
    task: str | None = None
    teacher: str | None = None
    cost_usd: float | None = None


class ResultSplit(_Part):
    """What was read. used: rows learnt from, or judged on.

    rationale_words: mean words of a rationale learnt from. templates: that the rationales are of.
    """

    folders: list[Folder]
    used: int
    without_rationale: int = 0
    rationale_words: float | None = None
    templates: list[str] = []


class Splits(_Part):
    """The three splits."""

    train: ResultSplit
    valid: ResultSplit
    test: ResultSplit


class Results(_Part):
    """One results.json."""

    fingerprint: str
    config: TrainSettings
    data: Splits
    valid: Valid
    steps: int
    test: ResultTest
    cost: ResultCost


def read_results(folder: Path) -> Results:
    """The results in a run's folder. Raises ConfigError."""
    path = folder / RESULTS_NAME
    try:
        return Results.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"{path}: no results of a training run: {where}: {first['msg']}"
        ) from None


NOTE_NAME = "sweep.json"
LOG_NAME = "sweep.log"
_LOCK_NAME = ".sweep.lock"

State = Literal["finished", "running", "failed", "interrupted", "missing"]


class Note(BaseModel):
    """What a sweep keeps beside a run's results.

    starts: how often it was launched. whole_s: seconds from launch to exit, where one start did it
    all. failure: the error it failed with last; None when it did not fail.
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
