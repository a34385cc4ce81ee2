"""Tables of results: text on the left, numbers on the right, no lines between; batches as rows."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.table import Table

from stepdistill.annotator.teacher.batch.part import BatchPart


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


_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def batch_table(parts: list[BatchPart]) -> Table:
    """A row for each part; requests are counted as the teacher last counted them."""
    table = Table(box=None, pad_edge=False)
    for name in ("part", "requests", "done", "failed"):
        table.add_column(name, justify="right")
    table.add_column("state")
    table.add_column("age", justify="right")
    table.add_column("batch", overflow="fold")
    for part in parts:
        counts = (f"{part.done:,}", f"{part.failed:,}") if part.batch_id else ("", "")
        numbers = (str(part.number), f"{part.requests:,}", *counts)
        table.add_row(*numbers, state_of(part), ago(part.began_at), part.batch_id or "")
    return table


def batch_line(parts: list[BatchPart]) -> str:
    """All parts in one line."""
    states = Counter(state_of(part) for part in parts)
    by_state = ", ".join(f"{n} {state}" for state, n in states.items()) or "none yet"
    done, total = sum(part.done for part in parts), sum(part.requests for part in parts)
    return f"batches: {by_state}; {done:,} of {total:,} requests done"


def batch_fields(part: BatchPart) -> dict[str, object]:
    """A part as an object of `--json`."""
    fields = part.model_dump(mode="json", exclude={"history"})
    return {**fields, "history": [{"state": s.state, "at": s.at} for s in part.history]}


def state_of(part: BatchPart) -> str:
    """Its state, and of a batch the teacher's word for it."""
    if part.state == "submitted":
        return part.remote or part.state
    as_usual = part.state != "collected" or part.remote == "completed"
    return part.state if as_usual else f"{part.state}, {part.remote}"


def ago(at: float) -> str:
    """A time span as `5 s`, `12 min`, `3.5 h` or `2.0 d`."""
    seconds = max(0.0, time.time() - at)
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.1f} d"
