"""What a run came to, in a sentence, and what to do now."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stepdistill.annotator.reading.record import UNANSWERED
from stepdistill.annotator.report.report import RunReport, points
from stepdistill.annotator.run.next_commands import (
    audit_command,
    run_command,
    train_command,
    view_command,
)
from stepdistill.common.files.storage import is_there
from stepdistill.common.intervals import wilson
from stepdistill.common.manifest import MANIFEST_NAME
from stepdistill.common.page import percent, usd

_MANY = 0.05  # of the rows rejected for one reason: worth a look before anything else


class Advice(NamedTuple):
    """One thing to do. command: empty where it is the very one of before."""

    why: str
    command: str = ""


def happened(report: RunReport) -> str:
    """The whole of it."""
    account, whole = report.account, report.account.whole
    rejected = sum(each.rows for each in account.rejected.values())
    records = account.rows - rejected
    share = f" ({percent(records / account.rows)})" if account.rows else ""
    said = [f"{records:,} of {account.rows:,} rows have a record{share}"]
    if whole.rationales:
        n = "all" if whole.rationales == records else f"{whole.rationales:,}"
        said.append(f"{n} of them with reasons")
    if whole.accuracy is not None:
        low, high = wilson(whole.correct, whole.gold)
        known = f"{percent(whole.accuracy)} of {whole.gold:,} known labels are right"
        said.append(f"{known} (95 %: {percent(low)} to {percent(high)})")
    return f"{', '.join(said)}. {_money(report)}"


def _money(report: RunReport) -> str:
    total = report.account.total
    if not total.usd:
        return "It cost nothing."
    cost = f"It cost {usd(total.usd)} USD"
    if report.difference is None:
        return f"{cost}."
    off = f"{100 * abs(report.difference):.0f} % {'more' if report.difference >= 0 else 'less'}"
    return f"{cost}: what the run itself paid is {off} than planned."


def advice(report: RunReport) -> Iterator[Advice]:
    """What to do now, the first first."""
    account, note, whole = report.account, report.note, report.account.whole
    again = account.unasked + sum(
        each.rows for reason, each in account.rejected.items() if reason in UNANSWERED
    )
    if again:
        yield Advice(f"{again:,} rows have no answer yet: run the same command again.")
    out = _from_here(note.out) if isinstance(note.out, Path) else note.out
    store = _from_here(report.store)
    unread = {name: n.rows for name, n in account.rejected.items() if name not in UNANSWERED}
    most = max(unread, key=lambda name: unread[name], default="")
    is_much = bool(unread) and unread[most] > _MANY * account.rows
    if is_much:
        why = f"{unread[most]:,} rows were rejected ({most}): look at some."
        yield Advice(why, view_command(out, store))
    if note.kind in ("experiment", "search") and (best := _best(report)):
        why = f"Label all rows with {best}, which had the most right labels."
        addresses = note.addresses or filter(None, [note.base_url])
        yield Advice(why, run_command(note.task, note.teacher, best, note.data, addresses))
    elif note.kind == "run" and account.rows:
        if not whole.gold:
            why = "No label is known to be right: judge a hundred to know how good they are."
            yield Advice(why, audit_command(out, store))
        written = [split for split in note.splits if is_there(out / split / MANIFEST_NAME)]
        if command := train_command(out, written):
            yield Advice("Train a student.", command)
        if not is_much:
            yield Advice("Look at its rows.", view_command(out, store))


def _from_here(path: Path) -> Path:
    """As short as it is to be typed."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _best(report: RunReport) -> str | None:
    known = points(report)
    return max(known, key=lambda each: each.accuracy).template if known else None
