"""A row: the task's fields as text, the gold label in the task's own words, and where it stood."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count, islice
from operator import itemgetter
from typing import Any, Final

from stepdistill.annotator.dataset.files import RawRow
from stepdistill.annotator.dataset.sources import Source
from stepdistill.common.errors import DatasetError
from stepdistill.common.labels import plain
from stepdistill.common.task import LabelSpec, TaskSpec

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")  # the steps of `answers.text[1]`: answers, text, 1
_PATH = re.compile(r"\{([^{}]+)\}")  # `{answers.text[1]}` in "{question} ({answers.text[1]})"
_NOT_THERE = (LookupError, TypeError)  # what a raw row without the path answers with
Getter = Callable[[RawRow], object]


@dataclass(slots=True, kw_only=True)
class Row:
    """One row of a split."""

    id: Final[str]  # unique in task and split
    split: Final[str]
    index: Final[int]  # its number in the source, from 0
    fields: Final[dict[str, str]]  # placeholder -> text
    gold: Final[str | None]  # in the task's words; None where the dataset does not say
    gold_rationale: Final[str | None]


def read_rows(task: TaskSpec, source: Source, split: str, samples: int | None) -> Iterator[Row]:
    """The first `samples` rows (all if None), in the source's order. Raises DatasetError."""
    maker = _RowMaker(task, split)
    numbers = count() if source.indices is None else source.indices
    for index, raw in zip(numbers, islice(source.rows(), samples), strict=False):
        try:
            row = maker.row(raw, index)
        except _NOT_THERE:
            where, has = f"{source.name} row {index}", ", ".join(raw)
            raise DatasetError(
                f"{where}: task {task.task} wants {_missing(task, raw)}; the row has: {has}"
            ) from None
        yield row


class _RowMaker:
    """Makes rows of one task; how to get each value from a raw row is worked out once for all."""

    def __init__(self, task: TaskSpec, split: str) -> None:
        self._split = split
        self._fields = [(name, getter(path)) for name, path in task.fields.items()]
        self._id = getter(task.id) if task.id else None
        self._gold = getter(task.gold) if task.gold else None
        self._gold_rationale = _text_or_none(task.gold_rationale) if task.gold_rationale else None
        # A closed set of labels is worth remembering, open ones are taken as they are.
        self._label_of = lru_cache(1024)(partial(gold_label, task.label))

    def row(self, raw: RawRow, index: int) -> Row:
        """The row. Raises LookupError or TypeError where raw lacks something."""
        return Row(
            id=_text(self._id(raw)) if self._id else f"{self._split}-{index}",
            split=self._split,
            index=index,
            fields={name: _text(get(raw)) for name, get in self._fields},
            gold=self._label_of(_text(self._gold(raw))) if self._gold else None,
            gold_rationale=self._gold_rationale(raw) if self._gold_rationale else None,
        )


def getter(path: str) -> Getter:
    """How to get the value at `choices[0]` or `a.b` from a raw row; a path with braces is a text
    that is filled from the paths inside them.

    What it returns raises LookupError or TypeError when a row has no such path.
    """
    if "{" in path:
        inner = {found[1]: getter(found[1]) for found in _PATH.finditer(path)}
        return lambda raw: _PATH.sub(lambda found: _text(inner[found[1]](raw)), path)
    steps = [int(number) if number else key for key, number in _STEP.findall(path)]
    if len(steps) == 1:
        return itemgetter(steps[0])

    def walk(raw: RawRow) -> object:
        value: Any = raw
        for step in steps:
            value = value[step]
        return value

    return walk


def _text_or_none(path: str) -> Callable[[RawRow], str | None]:
    """Gets a text that a row may lack."""
    get = getter(path)

    def text(raw: RawRow) -> str | None:
        try:
            return _text(get(raw)).strip() or None
        except _NOT_THERE:
            return None

    return text


def _missing(task: TaskSpec, raw: RawRow) -> str:
    """The first path that raw lacks, as the task's file names it."""
    wanted = [*task.fields.items(), ("id", task.id), ("gold", task.gold)]
    return next(f"`{name}: {path}`" for name, path in wanted if path and not _has(raw, path))


def _has(raw: RawRow, path: str) -> bool:
    try:
        getter(path)(raw)
    except _NOT_THERE:
        return False
    return True


def gold_label(label: LabelSpec, value: object) -> str | None:
    """The dataset's label in the task's words; for classes the name whose `gold` has the value."""
    if value is None or value == "":
        return None
    text = _text(value)
    for name, spec in label.classes.items():
        if plain(name) == plain(text) or any(_text(gold) == text for gold in spec.gold):
            return name
    return None if label.kind == "classes" else text


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
