"""How far each run of a sweep is, what came out of it, and how long the rest may take."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.locks import is_held
from stepdistill.trainer.settings.train import RESULTS_NAME, TrainSettings
from stepdistill.trainer.study.sweep_file import PlannedRun


class _Read(BaseModel):
    # results.json holds more than this, and later versions may hold more still.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Folder(_Read):
    """A folder of shards."""

    folder: str
    fingerprint: str
    task: str | None = None
    teacher: str | None = None
    cost_usd: float | None = None  # of all its answers; None: no price is known


class ResultSplit(_Read):
    """What was read of one split."""

    folders: list[Folder]
    used: int  # rows learnt from, or judged on
    without_rationale: int = 0
    rationale_words: float | None = None  # mean words of a rationale learnt from
    templates: list[str] = []  # that the rationales are of


class Results(_Read):
    """What is used of one results.json, and where it stands there. Accuracies are 0..1."""

    fingerprint: str
    config: TrainSettings
    steps: int
    train: ResultSplit = Field(validation_alias=AliasPath("data", "train"))
    valid: ResultSplit = Field(validation_alias=AliasPath("data", "valid"))
    test: ResultSplit = Field(validation_alias=AliasPath("data", "test"))
    valid_accuracy: float = Field(validation_alias=AliasPath("valid", "accuracy"))  # the best
    accuracy: float = Field(validation_alias=AliasPath("test", "student", "accuracy"))
    teacher_accuracy: float = Field(validation_alias=AliasPath("test", "teacher", "accuracy"))
    # Of kinds of label that are more than right or wrong, by name.
    measures: dict[str, float] = Field(
        default={}, validation_alias=AliasPath("test", "student", "measures")
    )
    seconds: float = Field(validation_alias=AliasPath("cost", "seconds"))  # without evaluation
    ranks: int = Field(validation_alias=AliasPath("cost", "ranks"))  # of one device each


def read_results(folder: Path) -> Results:
    """The results in a run's folder. Raises ConfigError."""
    path = folder / RESULTS_NAME
    try:
        with refused(path, "read"):
            return Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"{path}: no results of a training run: {first_problem(error)}") from None


NOTE_NAME = "sweep.json"
LOG_NAME = "sweep.log"
LOCK_NAME = ".sweep.lock"

State = Literal["finished", "running", "failed", "interrupted", "missing"]


class Note(BaseModel):
    """What a sweep keeps beside a run's results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: str
    choices: dict[str, str]
    starts: int = 0  # how often it was launched
    whole_s: float | None = None  # seconds from launch to exit, where one start did it all
    failure: str | None = None  # the error it failed with last; None: it did not fail


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
    if not held and is_held(folder, LOCK_NAME):
        return "running"
    note = read_note(folder)
    return "failed" if note is not None and note.failure is not None else "interrupted"


def seconds_of(folder: Path, results: Results) -> float:
    """What a finished run took: from launch to exit where that is known, else training alone."""
    note = read_note(folder)
    return results.seconds if note is None or note.whole_s is None else note.whole_s


class Clock:
    """Guesses seconds for runs from those of a sweep that are finished."""

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self._paces: dict[str, list[float]] = {}
        for run in runs:
            if state_of(run.folder) == "finished":
                self.learn(run, read_results(run.folder))

    def learn(self, run: PlannedRun, results: Results) -> None:
        """Note what a finished run took."""
        took = seconds_of(run.folder, results)
        self._paces.setdefault(run.config.model, []).append(took / max(1, results.steps))

    def guess(self, run: PlannedRun) -> float | None:
        """Seconds, by the mean for a step of the same model; None where none is finished."""
        paces = self._paces.get(run.config.model)
        return fmean(paces) * run.config.steps if paces else None
