"""Rows that a page shows."""

from collections.abc import Iterable
from functools import partial

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.prompt.mix import Assignment
from stepdistill.annotator.reading.examples import MOST, ExampleRows, example_row
from tests.annotator.made import a_request


def a_planned_row(name: str) -> PlannedRow:
    row = Row(
        id=name, split="train", index=0, fields={"text": name}, gold=None, gold_rationale=None
    )
    asked = a_request(name)
    assignment = Assignment(label="plain", rationale="plain")
    return PlannedRow(row=row, assignment=assignment, label=asked, rationale=asked)


def test_examples_are_drawn_by_their_ids_whatever_order_they_come_in():
    def drawn(numbers: Iterable[int]) -> list[str]:
        rows = ExampleRows()
        for number in numbers:
            planned = a_planned_row(f"row-{number}")
            rows.offer(planned, partial(example_row, planned, "yes", None, None, "x" * 1000))
        assert all(len(row.answer) < 500 for row in rows)
        return [row.id for row in rows]

    first = drawn(range(500))
    assert first == drawn(reversed(range(500))) and len(first) == MOST
    assert first != [f"row-{number}" for number in range(MOST)]
    assert len(drawn(range(3))) == 3
