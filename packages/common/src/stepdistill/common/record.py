"""A record: one row with the teacher's label and rationale, one JSON line of a shard."""

from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter

_STRICT = ConfigDict(extra="forbid")
_LATER = ("label_probs", "other_rationales")  # fields that came later
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
    """One line of a shard, with these fields in this order.

    Labels are in the task's own words: a class's name, an option's text, a number or an equation.
    Where the teacher was asked several times, label_votes counts the answers that name each label,
    and label_confidence is the share of the label's votes in all answers, unreadable ones included.

    Where the teacher told how probable its words were, label_probs says so of each label: only
    those that it came near to naming are listed, the likeliest first, and what they lack to 1 falls
    on all others together. With several answers it is their mean.

    Where several of the teacher's reasons are kept, other_rationales has those beside the first. A
    line leaves either out where it is None.
    """

    __pydantic_config__ = _STRICT

    id: Final[str]  # unique in task and split; answers, labels and rationales are joined by it
    split: Final[str]  # e.g. train
    index: Final[int]  # the row's number in the source split, from 0
    input: Final[dict[str, str]]  # the task's fields: placeholder -> text
    label: Final[str | None]  # the teacher's; None in no shard of `annotate`, but in files of rows
    rationale: Final[str | None]  # the teacher's reasons; None where none were asked for or found
    gold: Final[str | None]  # the dataset's own label; None where unknown
    gold_rationale: Final[str | None] = None  # the dataset's own reasons; None where it has none
    templates: Final[PartRef]  # ids of the templates that asked
    keys: Final[PartRef]  # 64 hex digits: the keys of the stored answers that were read
    confidence: Final[float | None]  # 0..1, how sure the reader is of the label; None: not known
    label_votes: Final[dict[str, int] | None] = None  # label -> answers; None where asked once
    label_confidence: Final[float | None] = None  # 0..1; None where asked once
    label_probs: Final[dict[str, float] | None] = None  # label -> 0..1; None where not told
    other_rationales: Final[list[str] | None] = None  # beside `rationale`, None where there is none

    @property
    def rationales(self) -> tuple[str, ...]:
        """All reasons, the first of them first."""
        first = () if self.rationale is None else (self.rationale,)
        return (*first, *(self.other_rationales or ()))

    def without_rationale(self) -> "Record":
        """The same without any reasons."""
        return replace(self, rationale=None, other_rationales=None)

    @property
    def sureness(self) -> float | None:
        """How sure the teacher was of the label, 0 to 1: as it told, else by its votes; None where
        neither is known."""
        if self.label_probs is None or self.label is None:
            return self.label_confidence
        return self.label_probs.get(self.label, 0.0)

    @property
    def content(self) -> dict[str, Any]:
        """What a line says of it: fields that came later only where they say something."""
        fields = self.__dict__.copy()
        for name in _LATER:
            if fields[name] is None:
                del fields[name]
        return fields


_READER = TypeAdapter(Record)


def read_record(line: bytes) -> Record:
    """The record in a line. Raises pydantic's ValidationError."""
    return _READER.validate_json(line)
