"""What is kept while training: the last step and the best student. Folders appear whole.

    DIR/checkpoints/step-300      weights, optimizer, progress.json: all that going on takes
    DIR/checkpoints/best-200      the best student so far, a Hugging Face folder

A folder is written under another name and renamed when it is complete; the last two steps stay,
each with its best student. So a kill in the middle of saving costs the steps since the last
complete folder, and one that is found damaged (seals.py) those since the folder before it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.errors import TrainingError, first_line, is_out_of_memory
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import save_tokenizer
from stepdistill.trainer.settings.train import CHECKPOINTS_NAME
from stepdistill.trainer.training.engine import STATE_NAME, Engine, StepResult
from stepdistill.trainer.training.output import PROGRESS_NAME, is_checkpoint, kept_step
from stepdistill.trainer.training.seals import SEALS_NAME, damage, seal
from stepdistill.trainer.training.student_weights import file_size, gathered, put


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPoint:
    """One line of the history: losses are means over the steps since the last line."""

    step: int
    loss: float
    losses: dict[str, float]  # of each task, by its name
    grad_norm: float  # before clipping
    lr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidPoint:
    """One validation."""

    step: int
    accuracy: float  # 0..1
    interval: tuple[float, float]
    right: int
    n: int
    # Of what the teacher says of the rows, a token's mean; None: explanations are not looked at.
    explain_loss: float | None = None


@dataclass(slots=True, kw_only=True)
class TrainingProgress:
    """How far a run has come: what a checkpoint keeps beside the engine's own state."""

    step: int = 0  # steps done
    best_step: int = 0  # after which the student stood that is kept; 0: none yet
    best_right: str = ""  # of each validation row, 1 where that student was right, else 0
    top_right: str = ""  # the same of the first one that had most rows right
    better_step: int = 0  # the last validation that was better than all before it
    train: list[TrainPoint] = field(default_factory=list[TrainPoint])
    valid: list[ValidPoint] = field(default_factory=list[ValidPoint])
    unlogged: list[StepResult] = field(default_factory=list[StepResult])  # since the last line
    rows: int = 0  # that this rank learnt from, as the tokens
    input_tokens: int = 0
    target_tokens: int = 0
    padded: int = 0  # tokens of this rank, padding included
    seconds: float = 0.0  # of training, without validation

    @property
    def best(self) -> ValidPoint:
        """The validation of the best step."""
        return next(point for point in self.valid if point.step == self.best_step)

    def without_a_better(self) -> int:
        """Validations since one was better than all before it."""
        last = self.better_step or self.best_step
        return sum(point.step > last for point in self.valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """In how many shares ranks read a step's rows: ranks x micro-batches."""

    accumulate: int  # micro-batches that were asked for, at least
    count: int  # shares of a step, where the run began

    def micro_batches(self, ranks: int) -> int:
        """As many as leave no share larger than it was, whose memory some rank may not have."""
        return max(self.accumulate, -(-self.count // ranks))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """progress.json."""

    fingerprint: str
    ranks: list[TrainingProgress]
    shares: Shares | None = None  # None: by an earlier version


_KEPT = TypeAdapter(_Kept)
_UNIVERSAL = "universal"
_REMEDY = ": --force starts again"
_COUNTED = ("rows", "input_tokens", "target_tokens", "padded")


class Checkpoints:
    """The checkpoints of one run. Every rank must make the same calls."""

    def __init__(
        self, output: Path, fingerprint: str, engine: Engine, student: Student, shares: Shares
    ) -> None:
        self._folder = output / CHECKPOINTS_NAME
        self._fingerprint, self._shares = fingerprint, shares
        self._engine, self._student = engine, student

    def save_best(self, step: int) -> None:
        """Keep the student of now as the best, a folder that Hugging Face's classes load."""
        if self._engine.world.rank > 0:
            gathered(self._engine, None)
            return
        folder = self.best(step)
        with writing(folder), appearing(folder) as draft:
            scratch = draft / "weights"
            scratch.mkdir()
            weights = gathered(self._engine, scratch)
            size = file_size(self._engine)
            self._student.model.save_pretrained(draft, state_dict=weights, max_shard_size=size)
            shutil.rmtree(scratch)
            save_tokenizer(self._student.tokenizer, draft)
            seal(draft)

    def save(self, progress: TrainingProgress) -> None:
        """Keep all that going on from here takes, then remove what is older."""
        world = self._engine.world
        whole = self._folder / f"step-{progress.step}"
        with writing(self._folder):
            # DeepSpeed writes from every rank, so all must know the one folder.
            draft = Path(world.from_first(str(_draft(whole)) if world.rank == 0 else None))
            self._engine.save(draft)
            shares = world.gather(progress)
            if world.rank == 0:
                content = _Kept(fingerprint=self._fingerprint, ranks=shares, shares=self._shares)
                write_whole(draft / PROGRESS_NAME, orjson.dumps(asdict(content)))
                seal(draft)
                # A later one is there where this run went on before a damaged one.
                earlier = (each for n, each in _steps(self._folder) if n < progress.step)
                before = next(earlier, None)
                _publish(draft, whole)
                # Only now: until the new folder has its name, older ones are what a kill leaves.
                kept = {whole, self.best(progress.best_step), *self._with_its_best(before)}
                for folder in self._folder.iterdir():
                    if folder not in kept and is_checkpoint(folder):
                        shutil.rmtree(folder)

    def _with_its_best(self, step: Path | None) -> tuple[Path, ...]:
        """The folder of a step, and that of the student that was the best then."""
        if step is None:
            return ()
        try:
            return step, self.best(_read(step, self._fingerprint)[0].best_step)
        except ConfigError:  # it cannot be gone on from
            return ()

    def restore(self, last: Path | None, *, universal: bool) -> TrainingProgress:
        """Go on from a step's folder, if there is one; this rank's progress.

        Raises ConfigError when it is from other settings, data, or another number of ranks.
        """
        if last is None:
            return TrainingProgress()
        try:
            return self._restore(last, universal=universal)
        except (OSError, RuntimeError, ValueError, LookupError, AssertionError, EOFError) as error:
            if is_out_of_memory(error):  # the folder is well
                raise
            # DeepSpeed and torch say what is wrong with a state in many classes.
            raise TrainingError(
                f"{last}: cannot be gone on from ({first_line(error)}){_REMEDY}"
            ) from None

    def _restore(self, last: Path, *, universal: bool) -> TrainingProgress:
        world = self._engine.world
        shares = _read(last, self._fingerprint)
        if len(shares) == world.size:
            self._engine.load(last, STATE_NAME)
            return shares[world.rank]
        whole = self._engine.resizable_as_it_is
        if not universal and not whole:
            raise ConfigError(
                f"{last}: written by {len(shares)} ranks, these are {world.size}: leave out "
                "--no-universal to convert it, or start as many ranks as before"
            )
        self._engine.load(last, STATE_NAME if whole else _UNIVERSAL)
        return _shared_out(shares, world.rank)

    def best(self, step: int) -> Path:
        """The folder of the best student, found at that step."""
        return self._folder / f"best-{step}"

    def load_best(self, step: int) -> None:
        """Put the best student's weights into the engine's, for judging."""
        put(self._engine, self._student, self.best(step))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStep:
    """Where a run goes on. folder: of the last step that is whole; None: it begins anew. damaged: a
    line for each later one. ranks: how many wrote it. shares: of a step, if it says so."""

    folder: Path | None = None
    damaged: tuple[str, ...] = ()
    ranks: int = 0
    shares: Shares | None = None


def last_whole(output: Path, fingerprint: str) -> FoundStep:
    """The last step of a run that is whole, with its best student.

    Raises ConfigError: it is from other settings, or there are steps and none is whole.
    """
    damaged: list[str] = []
    for _, step in _steps(output / CHECKPOINTS_NAME):
        wrong = _damage(step, fingerprint)
        if wrong is None:
            kept = _progress(step)
            lines = tuple(f"{line}: going on from {step.name}" for line in damaged)
            return FoundStep(folder=step, damaged=lines, ranks=len(kept.ranks), shares=kept.shares)
        damaged.append(wrong)
    if damaged:
        raise ConfigError(f"{'; '.join(damaged)}{_REMEDY}")
    return FoundStep()


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """(step, its folder), the last one first."""
    steps = ((kept_step(each), each) for each in folder.glob("step-*"))
    return sorted((n, each) for n, each in steps if n is not None)[::-1]


def _damage(step: Path, fingerprint: str) -> str | None:
    """What is wrong with a step or its best student. Raises ConfigError: from other settings."""
    if (wrong := _unlike_its_seals(step)) is not None:
        return f"{step}: damaged ({wrong})"
    try:
        best_step = _progress(step).ranks[0].best_step
    except (OSError, ValidationError, IndexError) as error:
        return f"{step}: damaged ({PROGRESS_NAME} cannot be read: {first_line(error)})"
    _read(step, fingerprint)
    best = step.with_name(f"best-{best_step}")
    wrong = _unlike_its_seals(best) if best_step else None
    return None if wrong is None else f"{best}: damaged ({wrong})"


def _unlike_its_seals(folder: Path) -> str | None:
    """As `damage`; seals that are gone are damage where a step from before has some."""
    mine = kept_step(folder, folder.name.partition("-")[0])
    if mine is not None and folder.is_dir() and not (folder / SEALS_NAME).exists():
        earlier = (each for n, each in _steps(folder.parent) if n <= mine and each != folder)
        if any((each / SEALS_NAME).exists() for each in earlier):
            return f"{SEALS_NAME} is not there"
    return damage(folder)


def convert(last: Path) -> None:
    """Make a step loadable by any number of ranks. Raises TrainingError."""
    if (last / _UNIVERSAL).exists():
        return
    draft = _draft(last / _UNIVERSAL)
    command = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal"]
    command += ["--input_folder", str(last / STATE_NAME), "--output_folder", str(draft)]
    done = subprocess.run(
        [*command, "--inject_missing_state"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise TrainingError(f"{last}: cannot be converted for other ranks ({reason[0]})")
    _publish(draft, last / _UNIVERSAL)


@contextmanager
def writing(what: Path) -> Generator[None]:
    """Raises TrainingError where something under `what` cannot be written, as on a full disk."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise TrainingError(
            f"{what}: cannot be written ({first_line(error)}): mend that, and the same command "
            "goes on from its last checkpoint"
        ) from None


@contextmanager
def appearing(folder: Path) -> Generator[Path]:
    """An empty folder to write in, which takes the place of `folder` when all went well."""
    draft = _draft(folder)
    yield draft
    _publish(draft, folder)


def _draft(folder: Path) -> Path:
    """An empty folder to write in, where `folder` is to appear."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    return draft


def _publish(draft: Path, folder: Path) -> None:
    """Let a complete draft appear under its name."""
    for path in draft.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # or a power cut may keep the name and lose the content
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _read(folder: Path, fingerprint: str) -> list[TrainingProgress]:
    try:
        kept = _progress(folder)
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{folder / PROGRESS_NAME}: cannot be read ({first_line(error)}){_REMEDY}"
        ) from None
    if kept.fingerprint != fingerprint:
        raise ConfigError(
            f"{folder}: from other settings or data: take another --output, or --force"
        )
    return kept.ranks


def _progress(folder: Path) -> _Kept:
    return _KEPT.validate_json((folder / PROGRESS_NAME).read_bytes())


def _shared_out(shares: list[TrainingProgress], rank: int) -> TrainingProgress:
    """The progress for another number of ranks: the first rank takes over all that was counted."""
    mine = shares[0]
    for name in _COUNTED:
        setattr(mine, name, sum(getattr(share, name) for share in shares) if rank == 0 else 0)
    return mine
