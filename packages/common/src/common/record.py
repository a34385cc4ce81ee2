"""A record: one row with the teacher's label and rationale, one JSON line of a shard."""

from pydantic import BaseModel, ConfigDict


class PartRef(BaseModel):
    """One value for the label and one for the rationale; None where that part was not asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str | None
    rationale: str | None


class Record(BaseModel):
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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    split: str
    index: int
    input: dict[str, str]
    label: str | None
    rationale: str | None
    gold: str | None
    gold_rationale: str | None = None
    templates: PartRef
    keys: PartRef
    confidence: float | None
