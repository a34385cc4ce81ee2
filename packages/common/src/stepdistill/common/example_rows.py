"""Rows that a page shows: a few of each sort, drawn by their ids, so that they are the same however
often the page is made. `example_rows.html.jinja` draws them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import NamedTuple, Self

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
    why: str = ""  # there is no label
    answer: str = ""  # of the teacher, the last one
    teacher: str = ""  # its label, where `label` is the student's


@dataclass(slots=True)
class ExampleRows:
    """As many as MOST of those that were offered, any as likely as any other."""

    offered: int = 0
    _drawn: list[tuple[float, str, ExampleRow]] = field(
        default_factory=list[tuple[float, str, ExampleRow]]
    )

    def offer(self, split: str, name: str, make: Callable[[], ExampleRow]) -> None:
        """A row by its split and id; make: what it looks like, called where it is drawn."""
        self.offered += 1
        number = -uniform_of(0, split.encode(), name.encode("utf-8", "surrogatepass"))
        if len(self._drawn) < MOST or number > self._drawn[0][0]:
            self._keep((number, name, make()))

    def include(self, other: Self) -> None:
        """All rows that another was offered."""
        self.offered += other.offered
        for drawn in other._drawn:
            self._keep(drawn)

    def _keep(self, drawn: tuple[float, str, ExampleRow]) -> None:
        if len(self._drawn) < MOST:
            heappush(self._drawn, drawn)
        else:
            heappushpop(self._drawn, drawn)

    @property
    def have_gold(self) -> bool:
        """Whether what is right is known of one of them."""
        return any(row.gold for row in self)

    @property
    def have_teacher(self) -> bool:
        """Whether two answers stand beside each other."""
        return any(row.teacher for row in self)

    def __iter__(self) -> Iterator[ExampleRow]:
        return (row for _, _, row in sorted(self._drawn, key=lambda drawn: drawn[1]))

    def __len__(self) -> int:
        return len(self._drawn)


def cut(text: str) -> str:
    """A text of no more than 400 characters."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
