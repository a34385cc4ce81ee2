"""Rows that a page shows."""

from collections.abc import Iterable

from stepdistill.common.example_rows import MOST, ExampleRow, ExampleRows, cut


def drawn(numbers: Iterable[int]) -> list[str]:
    rows = ExampleRows()
    for number in numbers:
        name = f"row-{number}"
        row = ExampleRow(id=name, input="", gold="", label="yes", rationale=cut("x" * 1000))
        rows.offer("train", name, lambda row=row: row)
    assert all(len(row.rationale) < 500 for row in rows) and not rows.have_gold
    return [row.id for row in rows]


def test_examples_are_drawn_by_their_ids_whatever_order_they_come_in() -> None:
    first = drawn(range(500))
    assert first == drawn(reversed(range(500)))
    assert len(first) == MOST and first != [f"row-{number}" for number in range(MOST)]
    assert len(drawn(range(3))) == 3


def test_an_id_may_be_any_text() -> None:
    rows = ExampleRows()
    name = "\udc80<b>"
    rows.offer("", name, lambda: ExampleRow(id=name, input="", gold="g", label="", rationale=""))
    assert rows.have_gold and (rows.offered, len(rows)) == (1, 1)
