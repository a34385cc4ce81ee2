"""A row as the index knows it: what it is chosen by, what is searched in, and where it lies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from stepdistill.common.terminal import visible

# Who disagrees with whom -> its bit, in the order in which they are shown.
DISAGREES = {
    "teacher / gold": 1,
    "vote / vote": 2,
    "template / template": 4,
    "reader / reader": 8,
    "teacher / student": 16,
    "student / gold": 32,
}
# What takes many lookups in the store, and so a pass of its own.
COMPARED = DISAGREES["template / template"] | DISAGREES["reader / reader"]
_LONGEST_WORD = 200  # characters of a label or another word by which rows are chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEntry:
    """One row.

    words: by facet, e.g. {"split": "train", "label": "addition"}; what is missing is none.
    confidence: 0..1; None where it is not known. disagrees: bits of DISAGREES. text: what is
    searched in. place: where its source finds it again.
    """

    words: Mapping[str, str | None]
    confidence: float | None = None
    disagrees: int = 0
    text: str = ""
    place: bytes = b""


class RowSource(Protocol):
    """Rows to look at: of a run, of a task, of a store."""

    @property
    def title(self) -> str:
        """What is looked at, e.g. `runs/demo`."""
        ...

    @property
    def digest(self) -> str:
        """Changes with what the index would hold."""
        ...

    @property
    def compared_with(self) -> str:
        """Changes with what comparisons are made with; rows are then compared anew."""
        ...

    @property
    def facets(self) -> Mapping[str, str]:
        """What rows are chosen by -> how a person calls it."""
        ...

    @property
    def total(self) -> int:
        """How many rows there are."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """What a person should know of what is missing."""
        ...

    def entries(self, start: int) -> Iterator[RowEntry]:
        """Every row from this one on, in order. Raises DistillError."""
        ...

    def can_compare(self, places: Sequence[bytes]) -> bool:
        """Whether `comparisons` would find anything to compare in these rows."""
        ...

    def comparisons(self, places: Sequence[bytes]) -> list[int]:
        """Of rows that are in the index: the bits that take many lookups in the store."""
        ...

    def summary(self, place: bytes) -> dict[str, object]:
        """A row as a line of the list."""
        ...

    def detail(self, place: bytes) -> dict[str, object]:
        """All that is known of a row."""
        ...


def word(text: str | None) -> str:
    """A word by which rows are chosen, as it is shown and as it stands in an address; empty for
    none."""
    if text is None:
        return ""
    return visible(text if len(text) <= _LONGEST_WORD else f"{text[:_LONGEST_WORD]}...")


def shown(content: object) -> object:
    """JSON whose texts may be shown: control characters and marks of direction are seen."""
    if isinstance(content, str):
        return visible(content)
    if isinstance(content, dict):
        named = cast(dict[str, object], content)
        return {visible(name): shown(value) for name, value in named.items()}
    if isinstance(content, list | tuple):
        return [shown(each) for each in cast(Sequence[object], content)]
    return content


def cut(text: str | None, most: int) -> str | None:
    """The start of a text, in one line."""
    if text is None:
        return None
    line = " ".join(text[: 2 * most].split())
    is_whole = len(text) <= 2 * most and len(line) <= most
    return line if is_whole else f"{line[:most]}…"
