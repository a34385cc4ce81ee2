"""What is kept while training: the last step and the best student. Folders appear whole.

    DIR/checkpoints/step-300      weights, optimizer, progress.json: all that going on takes
    DIR/checkpoints/best-200      the best student so far, a Hugging Face folder

A folder is written under another name and renamed when it is complete; older ones go after that.
So a kill in the middle of saving costs the steps since the last complete folder, and no more.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import orjson
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.errors import TrainingError
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.settings.train import CHECKPOINTS_NAME
from stepdistill.trainer.training.engine import STATE_NAME, Engine
from stepdistill.trainer.training.loop import TrainingProgress

_PROGRESS = TypeAdapter(TrainingProgress)
_UNIVERSAL = "universal"

Weights = dict[str, torch.Tensor]


class Checkpoints:
    """The checkpoints of one run. Every rank must make the same calls."""

    def __init__(self, output: Path, fingerprint: str, engine: Engine, student: Student) -> None:
        self._folder = output / CHECKPOINTS_NAME
        self._fingerprint = fingerprint
        self._engine, self._student = engine, student

    def save_best(self, step: int) -> None:
        """Keep the student of now as the best."""
        weights = copy_weights(self._engine)
        if self._engine.world.rank == 0:
            folder = self.best(step)
            with writing(folder), appearing(folder) as draft:
                save_student(self._student, weights, draft)

    def save(self, progress: TrainingProgress) -> None:
        """Keep all that going on from here takes, then remove what is older."""
        with writing(self._folder):
            self._save(progress)

    def _save(self, progress: TrainingProgress) -> None:
        world = self._engine.world
        whole = self._folder / f"step-{progress.step}"
        draft = Path(world.from_first(str(_draft(whole)) if world.rank == 0 else None))
        self._engine.save(draft)
        shares = world.gather(progress)
        if world.rank == 0:
            content = {"fingerprint": self._fingerprint, "ranks": [asdict(one) for one in shares]}
            write_whole(draft / "progress.json", orjson.dumps(content))
            _publish(draft, whole)
            # Only now: until the new folder has its name, the older one is what a kill leaves.
            self._clean({whole, self.best(progress.best_step)})

    def restore(self, *, universal: bool) -> TrainingProgress:
        """Go on from the last complete step, if there is one; this rank's progress.

        Raises ConfigError when it is from other settings, data, or another number of ranks.
        """
        last = last_step(self._folder.parent)
        if last is None:
            return TrainingProgress()
        world = self._engine.world
        shares = _read(last, self._fingerprint)
        if len(shares) == world.size:
            self._engine.load(last, STATE_NAME)
            return shares[world.rank]
        whole = self._engine.resizable_as_it_is
        if not universal and not whole:
            raise ConfigError(
                f"{last}: written by {len(shares)} ranks, these are {world.size}: add --universal "
                "to convert it, or start as many ranks as before"
            )
        self._engine.load(last, STATE_NAME if whole else _UNIVERSAL)
        return _shared_out(shares, world.rank)

    def best(self, step: int) -> Path:
        """The folder of the best student, found at that step."""
        return self._folder / f"best-{step}"

    def load_best(self, step: int) -> None:
        """Put the best student's weights into the engine's, for judging."""
        world = self._engine.world
        weights = load_file(self.best(step) / "model.safetensors") if world.rank == 0 else None
        put_weights(self._engine, weights)

    def _clean(self, keep: set[Path]) -> None:
        for folder in self._folder.iterdir():
            if folder not in keep:
                shutil.rmtree(folder)


def last_step(output: Path) -> Path | None:
    """The last complete step's folder of a run."""
    return max((output / CHECKPOINTS_NAME).glob("step-*"), key=_step_of, default=None)


def ranks_of(output: Path, fingerprint: str) -> int | None:
    """How many ranks wrote the last step, None where there is none. Raises ConfigError."""
    last = last_step(output)
    return None if last is None else len(_read(last, fingerprint))


def convert(output: Path) -> None:
    """Make the last step loadable by any number of ranks. Raises TrainingError."""
    last = last_step(output)
    if last is None or (last / _UNIVERSAL).exists():
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


def copy_weights(engine: Engine) -> Weights:
    """The student's weights now, on the CPU; tied ones once."""
    with engine.whole_model() as losses:
        return {
            name: weight.detach().to("cpu", copy=True)
            for name, weight in losses.student.named_parameters()
        }


def put_weights(engine: Engine, weights: Weights | None) -> None:
    """Put rank 0's weights into every rank's student. The optimizer knows nothing of it."""
    with engine.whole_model(changed=True) as losses, torch.no_grad():
        for name, weight in losses.student.named_parameters():
            if weights is not None:
                weight.copy_(weights[name])
            if not engine.in_lockstep:  # else leaving `whole_model` tells the others
                engine.world.broadcast(weight)


def save_student(student: Student, weights: Weights, folder: Path) -> None:
    """A folder for AutoModelForSeq2SeqLM and AutoTokenizer."""
    student.model.save_pretrained(folder, state_dict=weights)
    student.tokenizer.save_pretrained(folder)


@contextmanager
def writing(what: Path) -> Generator[None]:
    """Raises TrainingError where something under `what` cannot be written, as on a full disk."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(
            f"{what}: cannot be written ({reason}): mend that, and the same command goes on from "
            "its last checkpoint"
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
    for file in _files(draft):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _read(folder: Path, fingerprint: str) -> list[TrainingProgress]:
    path = folder / "progress.json"
    try:
        content = orjson.loads(path.read_bytes())
        shares = [_PROGRESS.validate_python(share) for share in content["ranks"]]
    except (OSError, orjson.JSONDecodeError, KeyError, ValidationError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}): --force starts again") from None
    if content["fingerprint"] != fingerprint:
        raise ConfigError(
            f"{folder}: from other settings or data: take another --output, or --force"
        )
    return shares


def _shared_out(shares: list[TrainingProgress], rank: int) -> TrainingProgress:
    """The progress for another number of ranks: the first rank takes over all that was counted."""
    mine = shares[0]
    every = shares if rank == 0 else []
    mine.rows = sum(share.rows for share in every)
    mine.input_tokens = sum(share.input_tokens for share in every)
    mine.target_tokens = sum(share.target_tokens for share in every)
    mine.padded = sum(share.padded for share in every)
    return mine
