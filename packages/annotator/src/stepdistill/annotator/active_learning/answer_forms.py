"""A label as one of the answers that a small student can learn: the label itself, an equation with
places for the row's numbers, a range of numbers, or which of the row's options it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from stepdistill.common.kinds.kind import Kind

_NUMBER = re.compile(r"\d+(?:\.\d+)?")  # `8`, `8.0`
_PLACE = re.compile(r"<(\d+)>")
_FEW = 20  # different numbers up to which each is an answer of its own
_RANGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """A row as the small student sees it."""

    place: int  # its number in the source, from 0
    number: float  # 0..1, by seed and id: rows with the lowest are the random sample
    text: str
    choices: tuple[str, ...]  # of this row alone; empty where all rows share the labels
    gold: str | None
    group: str = ""  # the text that it may share with others; empty where no field is shared


def form_of(kind: Kind, label: str, row: PoolRow) -> str:
    """What the student learns in a label's place."""
    if kind.name != "equation":
        return label
    # `8.0 - 3` of a row with 8 and 3 is `<0> - <1>`: so it can be right in a row with others.
    places = {value: f"<{n}>" for n, value in reversed([*enumerate(_numbers(row.text))])}
    return _NUMBER.sub(lambda found: places.get(float(found[0]), found[0]), label)


def label_in(kind: Kind, form: str, row: PoolRow) -> str:
    """The label that a form stands for in this row."""
    if kind.name != "equation":
        return form
    values = _numbers(row.text)

    def value(found: re.Match[str]) -> str:
        place = int(found[1])
        return f"{values[place]:g}" if place < len(values) else "0"

    return _PLACE.sub(value, form)


def ranges_of(kind: Kind, labels: Sequence[str]) -> dict[str, str]:
    """Of many numbers: each to the middle of its range, as tenths of all; else nothing."""
    if kind.name != "number" or len(set(labels)) <= _FEW:
        return {}
    numbers = sorted(float(label) for label in labels)
    size = -(-len(numbers) // _RANGES)
    middles = [f"{median(numbers[n : n + size]):g}" for n in range(0, len(numbers), size)]
    return {
        label: min(middles, key=lambda middle: abs(float(middle) - float(label)))
        for label in labels
    }


def _numbers(text: str) -> list[float]:
    return [float(found) for found in _NUMBER.findall(text)]
