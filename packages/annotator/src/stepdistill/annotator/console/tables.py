"""Tables of results: columns of text on the left, of numbers on the right, no lines between."""

from collections.abc import Iterable, Sequence

from rich.table import Table


def plain_table(
    texts: Sequence[str],
    numbers: Sequence[str],
    rows: Iterable[Sequence[str]] = (),
    *,
    min_width: int | None = None,
) -> Table:
    """A table of these columns and rows. min_width: of the first column, in characters."""
    table = Table(box=None, pad_edge=False)
    for at, name in enumerate(texts):
        table.add_column(name, no_wrap=True, min_width=None if at else min_width)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
