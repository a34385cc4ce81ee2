"""The demo task's rows: little word problems, made here, so that a first run needs no download.

    operation  which operation solves the problem: the label
    problem    a story and its question, and in between a sentence about somebody else, told in
               the words of another operation: no single word gives the label away
    rationale  one sentence of reasons about this very story

Row i of a split follows from (seed, split, i) alone, so it is the same however many are asked for.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

from stepdistill.annotator.dataset.demo_stories import (
    ASIDES,
    CHILDREN,
    OPERATIONS,
    OTHER_PEOPLE,
    OTHER_THINGS,
    PLACES,
    STORIES,
    THINGS,
    Operation,
)
from stepdistill.common.errors import DatasetError

T = TypeVar("T")

VERSION = 1  # raised when the same (seed, split, i) would give another row
TRAIN_ROWS, VALID_ROWS, TEST_ROWS = 1200, 200, 300
DEFAULT_SIZES = {"train": TRAIN_ROWS, "valid": VALID_ROWS, "test": TEST_ROWS}

# A text is at home in one split for ever, by its hash: so no text is ever in two of them.
_HOMES = ("train", "train", "train", "train", "valid", "test")


def demo_rows(split: str, n: int | None = None, seed: int = 0) -> Iterator[dict[str, object]]:
    """The first n rows of `train`, `valid` or `test`; n None gives the split its usual size.

    Raises DatasetError on another split.
    """
    if split not in DEFAULT_SIZES:
        raise DatasetError(f"demo: no split {split!r}: take one of {', '.join(DEFAULT_SIZES)}")
    for index in range(DEFAULT_SIZES[split] if n is None else n):
        yield _row(split, index, seed)


def _row(split: str, index: int, seed: int) -> dict[str, object]:
    draw = _Draw(f"{seed}/{split}/{index}")
    operation = draw.one(OPERATIONS)
    problem, rationale = _story(operation, draw)
    while _home(problem) != split:
        problem, rationale = _story(operation, draw)
    return {
        "id": f"{split}-{index}",
        "problem": problem,
        "operation": operation,
        "rationale": rationale,
    }


def _story(operation: Operation, draw: "_Draw") -> tuple[str, str]:
    told = draw.one(STORIES[operation])
    first, second = _numbers(operation, draw)
    (name, she, her), (friend, _, _) = draw.two(CHILDREN)
    words = {"name": name, "she": she, "She": she.capitalize(), "her": her, "friend": friend}
    words |= {"a": first, "b": second, "things": draw.one(THINGS), "place": draw.one(PLACES)}
    parts = [text.format_map(words) for text in (told.opening, told.turn, told.question)]
    # Never last: the question stays the last word, as in a school book.
    parts.insert(int(draw.chance() * 3), _aside(operation, draw))
    return " ".join(parts), told.rationale.format_map(words)


def _aside(operation: Operation, draw: "_Draw") -> str:
    others: list[Operation] = [name for name in OPERATIONS if name != operation]
    other = draw.one(others)
    first, second = _numbers(other, draw)
    words = {"who": draw.one(OTHER_PEOPLE), "things": draw.one(OTHER_THINGS)}
    return draw.one(ASIDES[other]).format(a=first, b=second, **words)


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


def _home(problem: str) -> str:
    return _HOMES[hashlib.blake2b(problem.encode(), digest_size=1).digest()[0] % len(_HOMES)]


class _Draw:
    """Choices from a seed; only random() is used, whose sequence Python promises to keep."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def chance(self) -> float:
        return self._random.random()

    def between(self, low: int, high: int) -> int:
        return low + int(self.chance() * (high - low + 1))

    def one(self, choices: Sequence[T]) -> T:
        return choices[int(self.chance() * len(choices))]

    def two(self, choices: Sequence[T]) -> tuple[T, T]:
        first = int(self.chance() * len(choices))
        second = (first + self.between(1, len(choices) - 1)) % len(choices)
        return choices[first], choices[second]
