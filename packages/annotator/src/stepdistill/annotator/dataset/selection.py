"""The rows of `--test-size`: drawn by a seed, so that every larger choice holds the smaller ones.

Each row has a uniform number, by the seed and its id alone; the rows with the lowest are taken. So
the 50 of a seed are among its 100, and rows that come or go move no others.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.sources import Source
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.task import TaskSpec
from stepdistill.common.uniform import uniform_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSample:
    """Rows that templates are judged by."""

    source: Source
    n: int  # rows with a gold label
    without_gold: int  # rows of the whole split that have none


def draw_sample(
    task: TaskSpec, source: Source, split: str, size: float | None, seed: int
) -> RowSample:
    """`size` rows with a gold label, or that fraction of them where size is a float, held in memory
    and in the order of their numbers; None: all rows of the source, in its own order.

    Raises DatasetError where no row has a gold label.
    """

    def with_gold() -> Iterator[Row]:
        return (row for row in read_rows(task, source, split, None) if row.gold is not None)

    n_gold, n_rows = sum(1 for _ in with_gold()), sum(1 for _ in source.rows())
    if not n_gold:
        raise DatasetError(
            f"{source.name}: no row has a gold label, so nothing can be judged: take another "
            "--split, or label some rows"
        )
    if size is None:
        return RowSample(source=source, n=n_gold, without_gold=n_rows - n_gold)
    n = min(n_gold, size if isinstance(size, int) else max(1, round(size * n_gold)))
    numbered = ((uniform_of(seed, row.id.encode()), row.index) for row in with_gold())
    chosen = _only(source, [index for _, index in heapq.nsmallest(n, numbered)])
    return RowSample(source=chosen, n=n, without_gold=n_rows - n_gold)


def _only(source: Source, indices: list[int]) -> Source:
    """The rows with these numbers, in this order; they keep their numbers."""
    wanted = set(indices)
    held = {index: raw for index, raw in enumerate(source.rows()) if index in wanted}

    def rows() -> Iterator[RawRow]:
        return (held[index] for index in indices)

    return replace(source, rows=rows, count=lambda: len(indices), indices=tuple(indices))


def stretch(source: Source, start: int, stop: int) -> Source:
    """The chosen rows from number `start` of the choice up to `stop`; they keep their numbers."""
    assert source.indices is not None, "a choice of rows"

    def rows() -> Iterator[RawRow]:
        return islice(source.rows(), start, stop)

    indices = source.indices[start:stop]
    return replace(source, rows=rows, count=lambda: len(indices), indices=indices)
