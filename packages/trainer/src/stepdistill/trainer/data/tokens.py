"""example -> tokens: every text as token ids, made once and kept in memory-mapped arrays.

A folder of arrays is named by the sha256 of all that decides them: the texts, the table of tasks,
the tokenizer, the limits. It appears whole or not at all.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from stepdistill.trainer.data.examples import Example, TaskText
from stepdistill.trainer.errors import TrainingError, refused
from stepdistill.trainer.settings.tasks import SEPARATOR, Table, Task

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

_FORMAT = 2

Encode = Callable[[Sequence[str], int], list[list[int]]]
"""(texts, longest) -> token ids of each text, end-of-sequence included, cut off at `longest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """Rows of token ids, one after the other: row i is flat[starts[i]:starts[i + 1]]."""

    flat: Ints  # (tokens of all rows,)
    starts: Ints  # (rows + 1,)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Ints:
        return self.flat[self.starts[row] : self.starts[row + 1]]

    def lengths(self, rows: Ints | slice = slice(None)) -> Ints:
        """Tokens of these rows, else of all."""
        return self.starts[1:][rows] - self.starts[:-1][rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTokens:
    """One task's inputs and targets over all examples."""

    inputs: Ragged  # one for each example; empty where it has no target in this task
    targets: Ragged  # example i's are first[i] to first[i + 1]
    first: Ints  # (examples + 1,)
    weights: Floats  # (targets,), 1 unless weighed
    cut: tuple[int, int]  # how many inputs, and how many targets, were longer than the limit

    def counts(self, examples: Ints | slice = slice(None)) -> Ints:
        """How many targets these examples have in this task, else all of them."""
        return self.first[1:][examples] - self.first[:-1][examples]


Tokens = tuple[TaskTokens, ...]
"""One for each task of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthLimits:
    """Tokens at most; what is longer is cut."""

    input: int
    target: int
    input_option: str = "--max-input-tokens"  # what would allow longer ones


def targets_of(task: Task, example: Example) -> list[TaskText]:
    """What the example is to be answered with in this task; none: the task skips it."""
    before = ""
    if task.target == "rationale":
        targets = example.rationales
    elif task.target == "label" or not example.rationales:
        targets = example.labels
    else:
        before, targets = f"{example.label}{SEPARATOR}", example.rationales
    return [TaskText(text=before + one.text, weight=one.weight * example.weight) for one in targets]


def truncate(encode: Encode, texts: Sequence[str], longest: int) -> tuple[list[list[int]], int]:
    """Token ids of each text, and how many texts were longer and are cut."""
    rows = encode(texts, longest + 1)
    long = sum(len(row) > longest for row in rows)
    return [row if len(row) <= longest else [*row[: longest - 1], row[-1]] for row in rows], long


def tokenise(
    examples: Sequence[Example],
    table: Table,
    encode: Encode,
    limits: LengthLimits,
    spell: Encode | None = None,
) -> Tokens:
    """All tasks of all examples as token ids. spell: of targets, where not as of inputs."""
    both = (encode, spell or encode)
    return tuple(_tokenise(examples, task, both, limits) for task in table)


def kept(
    folder: Path, texts: Sequence[Example], table: Table, tokenizer: str, limits: LengthLimits
) -> Path:
    """Where in `folder` the arrays of these very texts belong. tokenizer: its fingerprint."""
    digest = hashlib.sha256()
    settings = [task.model_dump(exclude={"weight", "schedule"}) for task in table]
    digest.update(
        orjson.dumps([_FORMAT, settings, SEPARATOR, tokenizer, limits.input, limits.target])
    )
    for example in texts:
        digest.update(orjson.dumps(example))
    return folder / digest.hexdigest()[:32]


def save(tokens: Tokens, folder: Path) -> None:
    """Write the arrays; the folder appears whole. Raises TrainingError when it cannot."""
    with refused(f"--cache {folder.parent}", kind=TrainingError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        for number, task in enumerate(tokens):
            for name, array in _arrays(task).items():
                np.save(draft / f"{number}-{name}.npy", array)
        if folder.exists():  # somebody else was faster
            shutil.rmtree(draft)
        else:
            draft.rename(folder)


def load(folder: Path, tasks: int) -> Tokens:
    """The arrays that `save` wrote, mapped and not read. Raises TrainingError: damaged."""
    try:
        return tuple(_load(folder, number) for number in range(tasks))
    except (OSError, ValueError) as error:
        raise TrainingError(f"--cache {folder}: damaged ({error}): remove that folder") from None


def _tokenise(
    examples: Sequence[Example], task: Task, encoders: tuple[Encode, Encode], limits: LengthLimits
) -> TaskTokens:
    """encoders: of inputs, and of targets."""
    encode, spell = encoders
    targets = [targets_of(task, example) for example in examples]
    pairs = zip(examples, targets, strict=True)
    # What has no target is not read either, so it costs no tokens.
    asked = [task.prefix + example.input for example, answers in pairs if answers]
    encoded, long_inputs = truncate(encode, asked, limits.input)
    every = [one for targets in targets for one in targets]
    answers, long_targets = truncate(spell, [one.text for one in every], limits.target)
    inputs = iter(encoded)
    return TaskTokens(
        inputs=_ragged([next(inputs) if targets else [] for targets in targets]),
        targets=_ragged(answers),
        first=np.cumsum([0, *map(len, targets)], dtype=np.int64),
        weights=np.array([one.weight for one in every], dtype=np.float32),
        cut=(long_inputs, long_targets),
    )


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    flat = np.fromiter((token for row in rows for token in row), np.int32, int(starts[-1]))
    return Ragged(flat=flat, starts=starts)


def _arrays(task: TaskTokens) -> dict[str, Ints | Floats]:
    return {
        "inputs": task.inputs.flat,
        "inputs-starts": task.inputs.starts,
        "targets": task.targets.flat,
        "targets-starts": task.targets.starts,
        "first": task.first,
        "weights": task.weights,
        "cut": np.array(task.cut),
    }


def _load(folder: Path, number: int) -> TaskTokens:
    def array(name: str) -> NDArray[Any]:
        # Mapped: the ranks of a host share one copy, and rows are read as steps ask for them.
        return np.load(folder / f"{number}-{name}.npy", mmap_mode="r")

    inputs, targets = (
        Ragged(flat=array(name), starts=array(f"{name}-starts")) for name in ("inputs", "targets")
    )
    long_inputs, long_targets = array("cut").tolist()
    return TaskTokens(
        inputs=inputs,
        targets=targets,
        first=array("first"),
        weights=array("weights"),
        cut=(long_inputs, long_targets),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """How many texts of a kind were too long."""

    split: str
    what: str  # `inputs of explain`
    cut: int  # texts longer than the limit
    of: int  # texts in all
    limit: int  # tokens
    option: str  # that sets the limit

    def __str__(self) -> str:
        """One line for the screen."""
        return (
            f"{self.split}: {self.cut:,} of {self.of:,} {self.what} are longer than {self.limit} "
            f"tokens and are cut: {self.option} allows more"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unspellable:
    """Texts of a kind that hold what the student cannot read as it is meant."""

    split: str
    what: str  # `inputs`, `labels and reasons`
    texts: int  # that hold any
    of: int  # texts in all
    characters: str  # that the vocabulary lacks, the first of them
    marks: int  # texts with a mark of the tokenizer, such as `</s>`: read as text

    def __str__(self) -> str:
        """One line for the screen."""
        which = f"{self.split}: {self.texts:,} of {self.of:,} {self.what}"
        if not self.characters:
            return f"{which} hold marks of the tokenizer, such as </s>: they are read as text"
        return (
            f"{which} hold characters that the student's vocabulary lacks ({self.characters}): to "
            "it they are all the same. Where they matter, take another --model: one that reads "
            "bytes, as ByT5, has all"
        )


def truncation(split: str, what: str, cut: int, of: int, limits: LengthLimits) -> Truncation:
    """what: `inputs ...` or `targets ...`, which says whose limit it is."""
    side = "input" if what.startswith("inputs") else "target"
    limit = getattr(limits, side)
    option = limits.input_option if side == "input" else "--max-target-tokens"
    return Truncation(split=split, what=what, cut=cut, of=of, limit=limit, option=option)


def truncations_of(tokens: Tokens, table: Table, limits: LengthLimits) -> Sequence[Truncation]:
    """Each task's inputs and targets of the training rows."""
    found: list[Truncation] = []
    for task, made in zip(table, tokens, strict=True):
        (inputs, targets), asked = made.cut, int((made.counts() > 0).sum())
        found += [
            truncation("train", f"inputs of {task.name}", inputs, asked, limits),
            truncation("train", f"targets of {task.name}", targets, len(made.targets), limits),
        ]
    return found
