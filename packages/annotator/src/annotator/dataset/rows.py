"""A row: the task's fields as text, the gold label in the task's own words, and where it stood."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from annotator.dataset.files import RawRow
from annotator.dataset.sources import Source
from common.errors import DatasetError
from common.labels import plain
from common.task import LabelSpec, TaskSpec

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a split. index: its number in the source, from 0. fields: placeholder -> text."""

    id: str
    split: str
    index: int
    fields: dict[str, str]
    gold: str | None
    gold_rationale: str | None


def read_rows(task: TaskSpec, source: Source, split: str, samples: int | None) -> Iterator[Row]:
    """The first `samples` rows (all if None), in the source's order. Raises DatasetError."""
    for index, raw in enumerate(islice(source.rows(), samples)):
        try:
            yield _row(task, raw, split, index)
        except KeyError as missing:
            has = ", ".join(raw)
            where = f"{source.name} row {index}"
            raise DatasetError(
                f"{where}: task {task.task} wants {missing.args[0]}; the row has: {has}"
            ) from None


def _row(task: TaskSpec, raw: RawRow, split: str, index: int) -> Row:
    fields = {
        name: _text(pick(raw, path, f"`{name}: {path}`")) for name, path in task.fields.items()
    }
    named = pick(raw, task.id, f"`id: {task.id}`") if task.id else f"{split}-{index}"
    return Row(
        id=_text(named),
        split=split,
        index=index,
        fields=fields,
        gold=gold_label(task.label, pick(raw, task.gold, f"`gold: {task.gold}`"))
        if task.gold
        else None,
        gold_rationale=_optional(raw, task.gold_rationale),
    )


def pick(raw: RawRow, path: str, asked: str) -> object:
    """The value at `choices[0]` or `a.b`; a path with braces is a text filled from such paths.

    Raises KeyError(asked) when the row has no such place.
    """
    if "{" in path:
        return _PLACEHOLDER.sub(lambda found: _text(pick(raw, found[1], asked)), path)
    value: object = raw
    for step in _steps(path):
        try:
            value = cast(Any, value)[step]
        except (KeyError, IndexError, TypeError):
            raise KeyError(asked) from None
    return value


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(number) if number else key for key, number in _STEP.findall(path))


def gold_label(label: LabelSpec, value: object) -> str | None:
    """The dataset's label in the task's words; for classes the name whose `gold` has the value."""
    if value is None or value == "":
        return None
    text = _text(value)
    for name, spec in label.classes.items():
        if plain(name) == plain(text) or any(_text(gold) == text for gold in spec.gold):
            return name
    return None if label.kind == "classes" else text


def _optional(raw: RawRow, path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return _text(pick(raw, path, path)).strip() or None
    except KeyError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
