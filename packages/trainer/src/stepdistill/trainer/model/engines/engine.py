"""The base of all engines: what is asked of whatever computes a student's answers without torch."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.data.tokens import Ints

EngineName = Literal["onnx", "ctranslate2"]
Precision = Literal["fp32", "int8"]


class AnswerEngine(Protocol):
    """An exported student, less its tokenizer. What a row gets hangs on that row alone."""

    def greedy(self, rows: Sequence[Ints], longest: int) -> list[list[int]]:
        """The likeliest token, one after the other, for each row of token ids: `longest` at most,
        without the end mark."""
        ...

    def log_probabilities(
        self, rows: Sequence[Ints], spelt: Sequence[Sequence[Ints]]
    ) -> list[list[float]]:
        """For each row, the log of the probability that each of its texts is said, token by token;
        all of a row's several texts may be moved by the same. A text may end in the end mark, or go
        on."""
        ...


class ExportNote(BaseModel):
    """What an exported folder says of itself, in `export.json`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    engine: EngineName
    precision: Precision
    # Of one that says words: the token that every answer begins behind, the end mark, how many
    # words there are.
    start: int = 0
    end: int = 0
    words: int = 0
    # Of a classifier: the token that stands where nothing is to be read, and the most it can read.
    pad: int = 0
    longest_input: int | None = None


def library(name: str, note: str, extra: EngineName) -> Any:
    """A library that only an export needs. Raises ConfigError: it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{note}: {name} cannot be loaded ({error}): pip install 'stepdistill-trainer[{extra}]'"
        ) from None


def lone_texts(spelt: Sequence[Sequence[Ints]]) -> list[tuple[int, Ints]]:
    """(the row that it answers, its tokens) of every text."""
    return [(row, ids) for row, texts in enumerate(spelt) for ids in texts]


def by_row(values: Sequence[float], spelt: Sequence[Sequence[Ints]]) -> list[list[float]]:
    """A value for every text, as lists of the rows' own."""
    left = iter(values)
    return [[next(left) for _ in texts] for texts in spelt]


def size_of(folder: Path, *, deep: bool = True) -> int:
    """Bytes of all that lies in a folder. deep: and in the folders within."""
    paths = folder.rglob("*") if deep else folder.iterdir()
    return sum(path.stat().st_size for path in paths if path.is_file())
