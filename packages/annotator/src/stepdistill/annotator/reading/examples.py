"""Rows that a page shows: a few of each sort, drawn by their ids, so that they are the same however
often the page is made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import NamedTuple

from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.reading.record import RowResult
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.common.uniform import uniform_of

MOST = 10  # of a sort
_LONGEST = 400  # characters of a text


class ExampleRow(NamedTuple):
    """A row as people read it; what there is none of is empty."""

    id: str
    input: str
    gold: str
    label: str
    rationale: str
    why: str  # there is no label
    answer: str  # of the teacher, the last one


def example_row(
    planned: PlannedRow, label: object, rationale: str | None, why: str | None, answer: str | None
) -> ExampleRow:
    """A row; texts are cut."""
    row = planned.row
    return ExampleRow(
        id=row.id,
        input="\n".join(f"{name}: {_cut(value)}" for name, value in row.fields.items()),
        gold=row.gold or "",
        label="" if label is None else str(label),
        rationale=_cut(rationale or ""),
        why=why or "",
        answer=_cut(answer or ""),
    )


def example_of(planned: PlannedRow, found: RowResult) -> ExampleRow:
    """A row of a run, and what became of it."""
    result, answer = found.result, found.answers[-1].text if found.answers else None
    if isinstance(result, Rejection):
        return example_row(planned, None, None, result.detail, answer)
    return example_row(planned, result.label, result.rationale, None, answer)


@dataclass(slots=True)
class ExampleRows:
    """As many as MOST of those that were offered, any as likely as any other."""

    offered: int = 0
    _drawn: list[tuple[float, str, ExampleRow]] = field(
        default_factory=list[tuple[float, str, ExampleRow]]
    )

    def offer(self, planned: PlannedRow, make: Callable[[], ExampleRow]) -> None:
        """A row; make: what it looks like, called where it is drawn."""
        row, self.offered = planned.row, self.offered + 1
        number = -uniform_of(0, row.split.encode(), row.id.encode("utf-8", "surrogatepass"))
        if len(self._drawn) < MOST:
            heappush(self._drawn, (number, row.id, make()))
        elif number > self._drawn[0][0]:
            heappushpop(self._drawn, (number, row.id, make()))

    @property
    def have_gold(self) -> bool:
        """Whether what is right is known of one of them."""
        return any(row.gold for row in self)

    def __iter__(self) -> Iterator[ExampleRow]:
        return (row for _, _, row in sorted(self._drawn, key=lambda drawn: drawn[1]))

    def __len__(self) -> int:
        return len(self._drawn)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
