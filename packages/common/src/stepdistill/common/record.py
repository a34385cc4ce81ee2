"""A record: one row with the teacher's label and rationale, one JSON line of a shard."""

from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict, TypeAdapter

_STRICT = ConfigDict(extra="forbid")
# Fields are Final, which the type checker holds: `frozen` would cost a record a microsecond when it
# is made, and slots another half when it is written.


@dataclass(kw_only=True)
class PartRef:
    """One value for the label and one for the rationale; None where that part was not asked for."""

    __pydantic_config__ = _STRICT

    label: Final[str | None]
    rationale: Final[str | None]


@dataclass(kw_only=True)
class Record:
    """One line of a shard.

    id: unique within the task and split; what answers, labels and rationales are joined by.
    index: the row's number in the source split, from 0.
    input: the task's fields, placeholder -> text.
    label: the teacher's, in the task's own words (class name, option text, number or equation).
    rationale: the teacher's reasons, None where none were asked for or found.
    gold: the dataset's own label in the same words, None where unknown.
    gold_rationale: the dataset's own reasons, None where there are none.
    templates, keys: which template, and which stored answer, label and rationale came from.
    confidence: 0..1, how sure the reader is of the label.
    label_votes: label -> how many answers name it, where the teacher was asked several times.
    label_confidence: 0..1, the label's share of all votes, those included that name none.
    """

    __pydantic_config__ = _STRICT

    id: Final[str]
    split: Final[str]
    index: Final[int]
    input: Final[dict[str, str]]
    label: Final[str | None]
    rationale: Final[str | None]
    gold: Final[str | None]
    gold_rationale: Final[str | None] = None
    templates: Final[PartRef]
    keys: Final[PartRef]
    confidence: Final[float | None]
    label_votes: Final[dict[str, int] | None] = None
    label_confidence: Final[float | None] = None


_DOOR = TypeAdapter(Record)


def read_record(line: bytes) -> Record:
    """The record in a line. Raises pydantic's ValidationError."""
    return _DOOR.validate_json(line)
