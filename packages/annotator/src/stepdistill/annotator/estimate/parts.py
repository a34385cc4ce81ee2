"""What a row's requests are for: the label, the rationale, or both from one answer; `other` is what
no row asks for (now): proposals of a search, or what was asked before the prompts were edited."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import PlannedRow

Part = Literal["both", "label", "rationale", "vote", "other"]


class Asked(NamedTuple):
    """One request of a row, the template that words it, and what its answer is wanted for."""

    request: Request
    template: str
    part: Part


def parts_of(planned: PlannedRow) -> Iterator[Asked]:
    """The distinct requests of a row."""
    label, assignment = planned.label, planned.assignment
    yield Asked(label, assignment.label, "both" if planned.rationale is label else "label")
    for vote in planned.votes:
        yield Asked(vote, assignment.label, "vote")
    if planned.rationale is not None and planned.rationale is not label:
        yield Asked(planned.rationale, str(assignment.rationale), "rationale")
