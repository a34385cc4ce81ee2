"""What is odd about the rows themselves, said before anybody is paid for them."""

import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.sources import Source
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.paths import getter
from stepdistill.common.task import TaskSpec

ALL = range(sys.maxsize)
_PARTS = 256
_SHOWN = 3  # values
_LONGEST = 40  # characters of one


def row_remarks(
    task: TaskSpec, source: Source, split: str, samples: int | None, places: range = ALL
) -> list[str]:
    """Ids that stand twice or not at all, rows with nothing to read, gold labels that the task does
    not know: each with its count. The rows are read once, and again where something is odd.

    places: of the rows to look at, among the first `samples`; others are left to other shards.
    Raises DatasetError.
    """

    def rows() -> Iterator[Row]:
        return islice(read_rows(task, source, split, samples, places.start), len(places))

    # Their hashes, 8 bytes a row, apart by their last bits: each part is sorted by itself, so that
    # no list of all of them is ever made.
    ids = [array("q") for _ in range(_PARTS)]
    n_without_id = n_empty = n_without_gold = 0
    for row in rows():
        if task.id:
            hashed = hash(row.id)
            ids[hashed % _PARTS].append(hashed)
            n_without_id += not row.id.strip()
        n_empty += not any(map(str.strip, row.fields.values()))
        n_without_gold += row.gold is None
    told: list[str] = []
    if n_without_id:
        told.append(f"{_rows(n_without_id)} no id ({task.id} is empty)")
    if task.id:
        told += _twice(rows(), ids)
    if n_empty:
        told.append(f"{_rows(n_empty)} nothing to read in {', '.join(task.fields.values())}")
    if n_without_gold and task.gold:
        raw = islice(islice(source.rows(), samples), places.start, places.stop)
        told += _unknown_gold(task, raw)
    return [f"{source.name}: {line}" for line in told]


def _twice(rows: Iterator[Row], ids: Sequence[Sequence[int]]) -> Iterator[str]:
    pairs = chain.from_iterable(pairwise(sorted(part)) for part in ids)
    several = {one for one, next_one in pairs if one == next_one}
    if not several:
        return
    found = Counter(row.id for row in rows if hash(row.id) in several and row.id.strip())
    if found:
        extra = found.total() - len(found)
        yield (
            f"{_rows(extra)} the id of an earlier row, such as {_shown(found)}: answers are joined "
            "by id, so that students refuse these rows: make ids unique"
        )


def _unknown_gold(task: TaskSpec, rows: Iterator[RawRow]) -> Iterator[str]:
    kind, gold_in = kind_of(task.label), getter(task.gold or "")
    texts = (kind.gold_text(gold_in(raw)).strip() for raw in rows)
    found = Counter(text for text in texts if text and kind.gold(text) is None)
    if found:
        yield (
            f"{_rows(found.total())} a gold label that the task does not know, such as "
            f"{_shown(found)}: name it in task.yaml, as `gold` of a class, or mend the rows"
        )


def _rows(n: int) -> str:
    return "1 row has" if n == 1 else f"{n:,} rows have"


def _shown(found: Counter[str]) -> str:
    return ", ".join(f"`{text[:_LONGEST]}` ({n:,})" for text, n in found.most_common(_SHOWN))
