"""What is odd about the rows themselves, said before anybody is paid for them."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.sources import Source
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.paths import getter
from stepdistill.common.task import TaskSpec

_SHOWN = 3  # values
_LONGEST = 40  # characters of one


def row_remarks(task: TaskSpec, source: Source, split: str, samples: int | None) -> list[str]:
    """Ids that stand twice or not at all, rows with nothing to read, gold labels that the task does
    not know: each with its count. The rows are read once, and again where something is odd.

    Raises DatasetError.
    """
    ids = array("q")  # their hashes: a million rows are 8 MB
    n_without_id = n_empty = n_without_gold = 0
    for row in read_rows(task, source, split, samples):
        if task.id:
            ids.append(hash(row.id))
            n_without_id += not row.id.strip()
        n_empty += not any(map(str.strip, row.fields.values()))
        n_without_gold += row.gold is None
    told: list[str] = []
    if n_without_id:
        told.append(f"{_rows(n_without_id)} no id ({task.id} is empty)")
    if task.id:
        told += _twice(read_rows(task, source, split, samples), ids)
    if n_empty:
        told.append(f"{_rows(n_empty)} nothing to read in {', '.join(task.fields.values())}")
    if n_without_gold and task.gold:
        told += _unknown_gold(task, source, samples)
    return [f"{source.name}: {line}" for line in told]


def _twice(rows: Iterator[Row], ids: Sequence[int]) -> Iterator[str]:
    several = {one for one, next_one in pairwise(sorted(ids)) if one == next_one}
    if not several:
        return
    found = Counter(row.id for row in rows if hash(row.id) in several and row.id.strip())
    if found:
        extra = found.total() - len(found)
        yield (
            f"{_rows(extra)} the id of an earlier row, such as {_shown(found)}: answers are joined "
            "by id, so that students refuse these rows: make ids unique"
        )


def _unknown_gold(task: TaskSpec, source: Source, samples: int | None) -> Iterator[str]:
    kind, gold_in = kind_of(task.label), getter(task.gold or "")
    texts = (kind.gold_text(gold_in(raw)).strip() for raw in islice(source.rows(), samples))
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
