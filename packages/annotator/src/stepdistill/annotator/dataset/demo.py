"""The demo task's rows: little word problems, made here, so that a first run needs no download.

    operation  which operation solves the problem: the label
    problem    a story and its question, and in between a sentence about somebody else, told in
               the words of another operation: no single word gives the label away
    rationale  one sentence of reasons about this very story

Row i of a split follows from (seed, split, i) alone, so it is the same however many are asked for.
The words are data: `demo.yaml`.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel

from stepdistill.common.errors import DatasetError

T = TypeVar("T")
Operation = Literal["addition", "subtraction", "multiplication", "division"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

VERSION = 1  # raised when the same (seed, split, i) would give another row
DEFAULT_SIZES = {"train": 1200, "valid": 200, "test": 300}  # rows

# A text belongs to one split for ever, by its hash: so no text is ever in two of them.
_SPLIT_OF_HASH = ("train", "train", "train", "train", "valid", "test")


class Story(BaseModel):
    """How a problem is told; {a} and {b} are its numbers, in the order of the operation."""

    opening: str
    turn: str
    question: str
    rationale: str


class DemoWords(BaseModel):
    """The content of `demo.yaml`, whose comments say what is what. Its order decides the rows."""

    children: list[tuple[str, str, str]]  # name, subject, possessive
    things: list[str]
    places: list[str]
    other_people: list[str]
    other_things: list[str]
    stories: dict[Operation, list[Story]]
    asides: dict[Operation, list[str]]


@cache
def demo_words() -> DemoWords:
    """What the rows are made of."""
    text = Path(__file__).with_name("demo.yaml").read_text(encoding="utf-8")
    return DemoWords.model_validate(yaml.safe_load(text))


def demo_rows(split: str, n: int | None = None, seed: int = 0) -> Iterator[dict[str, object]]:
    """The first n rows of `train`, `valid` or `test`; n None gives the split its usual size.

    Raises DatasetError on another split.
    """
    size = size_of(split)
    return (_row(split, index, seed) for index in range(size if n is None else n))


def size_of(split: str) -> int:
    """How many rows a split usually has. Raises DatasetError: there is no such split."""
    if split not in DEFAULT_SIZES:
        has = ", ".join(DEFAULT_SIZES)
        raise DatasetError(f"the demo task generates {has}: there is no split {split}")
    return DEFAULT_SIZES[split]


def _row(split: str, index: int, seed: int) -> dict[str, object]:
    draw = _Draw(f"{seed}/{split}/{index}")
    operation = draw.one(OPERATIONS)
    problem, rationale = _problem(operation, draw)
    while _split_of(problem) != split:
        problem, rationale = _problem(operation, draw)
    return {
        "id": f"{split}-{index}",
        "problem": problem,
        "operation": operation,
        "rationale": rationale,
    }


def _problem(operation: Operation, draw: "_Draw") -> tuple[str, str]:
    known = demo_words()
    story = draw.one(known.stories[operation])
    first, second = _numbers(operation, draw)
    (name, she, her), (friend, _, _) = draw.two(known.children)
    words = {"name": name, "she": she, "She": she.capitalize(), "her": her, "friend": friend}
    words |= {"a": first, "b": second}
    words |= {"things": draw.one(known.things), "place": draw.one(known.places)}
    parts = [text.format_map(words) for text in (story.opening, story.turn, story.question)]
    # Never last: the question stays the last word, as in a school book.
    parts.insert(int(draw.uniform() * 3), _aside(operation, draw))
    return " ".join(parts), story.rationale.format_map(words)


def _aside(operation: Operation, draw: "_Draw") -> str:
    known = demo_words()
    others: list[Operation] = [name for name in OPERATIONS if name != operation]
    other = draw.one(others)
    first, second = _numbers(other, draw)
    words = {"who": draw.one(known.other_people), "things": draw.one(known.other_things)}
    return draw.one(known.asides[other]).format(a=first, b=second, **words)


def _numbers(operation: Operation, draw: "_Draw") -> tuple[str, str]:
    """Two numbers that suit the operation: nothing below zero, nothing left over."""
    small, large = draw.between(2, 9), draw.between(3, 12)
    match operation:
        case "addition":
            return str(draw.between(4, 60)), str(draw.between(3, 40))
        case "subtraction":
            return str(large * 4 + small), str(draw.between(3, large * 4))
        case "multiplication":
            return str(large), str(small)
        case "division":
            return str(large * small), str(small)


def _split_of(problem: str) -> str:
    byte = hashlib.blake2b(problem.encode(), digest_size=1).digest()[0]
    return _SPLIT_OF_HASH[byte % len(_SPLIT_OF_HASH)]


class _Draw:
    """Choices from a seed; only random() is used, whose sequence Python promises to keep."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def uniform(self) -> float:
        return self._random.random()

    def between(self, low: int, high: int) -> int:
        return low + int(self.uniform() * (high - low + 1))

    def one(self, choices: Sequence[T]) -> T:
        return choices[int(self.uniform() * len(choices))]

    def two(self, choices: Sequence[T]) -> tuple[T, T]:
        first = int(self.uniform() * len(choices))
        second = (first + self.between(1, len(choices) - 1)) % len(choices)
        return choices[first], choices[second]
