"""A row: its fields as text, its gold label in the task's words, its place; the first N of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from typing import Final

from stepdistill.annotator.dataset.sources import Source
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.kinds.kind import text_of
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.paths import NOT_THERE, getter
from stepdistill.common.task import TaskSpec


@dataclass(slots=True, kw_only=True)
class Row:
    """One row of a split."""

    id: Final[str]  # unique in task and split
    split: Final[str]
    index: Final[int]  # its number in the source, from 0
    fields: Final[dict[str, str]]  # placeholder -> text
    gold: Final[str | None]  # in the task's words; None where the dataset does not say
    gold_rationale: Final[str | None]


def read_rows(
    task: TaskSpec, source: Source, split: str, samples: int | None, start: int = 0
) -> Iterator[Row]:
    """The first `samples` rows (all if None) from number `start` on, in the source's order. Raises
    DatasetError."""
    reader = RowPass(task, source, split, samples)
    reader.skip(start)
    return iter(reader)


class RowPass:
    """A pass over the first `samples` rows (all if None), in the source's order, of which some may
    be left out. Raises DatasetError."""

    def __init__(self, task: TaskSpec, source: Source, split: str, samples: int | None) -> None:
        self._task, self._source = task, source
        self._make = _row_maker(task, split)
        numbers = count() if source.indices is None else source.indices
        self._left = zip(numbers, islice(source.rows(), samples), strict=False)

    def skip(self, n: int) -> None:
        """Leave out the next n rows: nothing is made of them."""
        next(islice(self._left, n, n), None)

    def __iter__(self) -> Iterator[Row]:
        make = self._make
        for index, raw in self._left:
            try:
                row = make(raw, index)
            except NOT_THERE:
                where, has = f"{self._source.name} row {index}", ", ".join(raw)
                raise DatasetError(
                    f"{where}: task {self._task.task} wants {_missing(self._task, raw)}; the row "
                    f"has: {has}"
                ) from None
            yield row


def _row_maker(task: TaskSpec, split: str) -> Callable[[RawRow, int], Row]:
    """Makes rows of one task; how to get each value from a raw row is worked out once for all.

    What it returns raises LookupError or TypeError where raw lacks something.
    """
    fields = [(name, getter(path)) for name, path in task.fields.items()]
    row_id = getter(task.id) if task.id else None
    gold = getter(task.gold) if task.gold else None
    gold_rationale = _text_or_none(task.gold_rationale) if task.gold_rationale else None
    # A closed set of labels is worth remembering, open ones are taken as they are.
    kind = kind_of(task.label)
    label_of = lru_cache(1024)(kind.gold)

    def make(raw: RawRow, index: int) -> Row:
        return Row(
            id=text_of(row_id(raw)) if row_id else f"{split}-{index}",
            split=split,
            index=index,
            fields={name: text_of(get(raw)) for name, get in fields},
            gold=label_of(kind.gold_text(gold(raw))) if gold else None,
            gold_rationale=gold_rationale(raw) if gold_rationale else None,
        )

    return make


def _text_or_none(path: str) -> Callable[[RawRow], str | None]:
    """Gets a text that a row may lack."""
    get = getter(path)

    def text(raw: RawRow) -> str | None:
        try:
            return text_of(get(raw)).strip() or None
        except NOT_THERE:
            return None

    return text


def _missing(task: TaskSpec, raw: RawRow) -> str:
    """The first path that raw lacks, as the task's file names it."""
    for name, path in (*task.fields.items(), ("id", task.id), ("gold", task.gold)):
        try:
            if path:
                getter(path)(raw)
        except NOT_THERE:
            return f"`{name}: {path}`"
    raise AssertionError("the row has all that a row is made of")
