"""A row and what the teacher said of it, as a page shows them."""

from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.reading.record import RowResult
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.common.example_rows import ExampleRow, cut


def example_row(
    planned: PlannedRow, label: object, rationale: str | None, why: str | None, answer: str | None
) -> ExampleRow:
    """A row with what was read of the answer to it; texts are cut."""
    row = planned.row
    return ExampleRow(
        id=row.id,
        input="\n".join(f"{name}: {cut(value)}" for name, value in row.fields.items()),
        gold=row.gold or "",
        label="" if label is None else str(label),
        rationale=cut(rationale or ""),
        why=why or "",
        answer=cut(answer or ""),
    )


def example_of(planned: PlannedRow, found: RowResult) -> ExampleRow:
    """A row of a run, and what became of it."""
    result, answer = found.result, found.answers[-1].text if found.answers else None
    if isinstance(result, Rejection):
        return example_row(planned, None, None, result.detail, answer)
    return example_row(planned, result.label, result.rationale, None, answer)
