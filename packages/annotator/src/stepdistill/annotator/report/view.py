"""A report as people read it on a terminal."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.page import percent, usd
from stepdistill.annotator.report.account import Account, CostPlace, Paid
from stepdistill.annotator.report.breakdown import (
    BY,
    Point,
    best_and_own,
    difference,
    figures,
    grouped,
    likely_usd,
    points,
    row_usd,
)
from stepdistill.annotator.report.report import Report, RunReport, StoreReport
from stepdistill.annotator.run.run_notes import RunNote


def show(report: Report, screen: ConsoleOutput) -> None:
    """For people."""
    if isinstance(report, StoreReport):
        _show_store(report, screen)
    else:
        _show_run(report, screen)


def _show_run(report: RunReport, screen: ConsoleOutput) -> None:
    account, note = report.account, report.note
    screen.show(f"{title_of(report)}, {note.out}")
    for name, words in summary_of(report):
        screen.show(f"{name:11} {words}")
    _show_groups(account.paid, screen)
    screen.table(_template_table(account))
    known = points(report)
    told = best_and_own(known)
    if told:
        screen.table(_points_table(told))
        if len(told) < len(known):
            screen.show(f"{len(known) - len(told):,} more that are beaten: --html shows them")
    if account.rejected:
        screen.table(_rejected_table(account))


def _show_store(report: StoreReport, screen: ConsoleOutput) -> None:
    paid = report.paid
    total = sum(paid.values(), Paid())
    screen.show(f"{report.store}: {usd(total.usd)} USD for {total.answers:,} answers")
    screen.table(_runs_table(report))
    _show_groups(paid, screen)
    screen.show(f"annotate report {report.store} --run NAME says more of one run")


def title_of(report: RunReport) -> str:
    """Whose account it is."""
    note, account = report.note, report.account
    unasked = f" ({account.unasked:,} more were not asked)" if account.unasked else ""
    return f"{note.kind} of {note.task} by {note.teacher}, {account.rows:,} rows{unasked}"


def started(note: RunNote) -> str:
    """When it was first started, as this machine's clocks say."""
    if not note.starts:
        return "-"
    return datetime.fromtimestamp(note.starts[0].at).astimezone().strftime("%Y-%m-%d %H:%M")


def paid_by_run(report: StoreReport) -> Iterator[tuple[str, RunNote | None, Paid]]:
    """What each run paid, and what none did."""
    by_run = grouped(report.paid, "run")
    for each in report.runs:
        yield each.note.name, each.note, by_run.pop(each.note.name, Paid())
    for name, paid in by_run.items():
        yield name, None, paid


def _show_groups(paid: Mapping[CostPlace, Paid], screen: ConsoleOutput) -> None:
    for by in BY:
        screen.table(_paid_table(by, grouped(paid, by)))


def _runs_table(report: StoreReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("run", "task", "teacher", "started"):
        table.add_column(name, no_wrap=True)
    for name in ("starts", "answers", "prompt", "answer", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, note, each in paid_by_run(report):
        words = ("-", "-", "-") if note is None else (note.task, note.teacher, started(note))
        starts = "-" if note is None else str(len(note.starts))
        counts = (f"{each.answers:,}", f"{each.prompt:,}", f"{each.completion:,}", usd(each.usd))
        table.add_row(name, *words, starts, *counts)
    return table


def summary_of(report: RunReport) -> Iterator[tuple[str, str]]:
    """The figures that matter most, by name."""
    account, total = report.account, report.account.total
    yield "cost", f"{usd(total.usd)} USD for {total.answers:,} answers"
    for price in account.prices:
        yield "price", price
    yield (
        "this run",
        f"{usd(account.paid_usd)} USD; the store saved {usd(account.saved_usd)} USD "
        f"({account.others:,} answers of other runs, {account.shared:,} shared)",
    )
    each = figures(account).items()
    yield "USD per", ", ".join(f"{name.replace('_', ' ')} {usd(cost)}" for name, cost in each)
    yield "rejected", f"{usd(account.wasted_usd)} USD for rows without a record"
    yield "planned", _planned(report)
    if total.uncounted:
        yield (
            "UNCOUNTED",
            f"{total.uncounted:,} answers came without token counts: their cost is not in these "
            "figures",
        )


def _planned(report: RunReport) -> str:
    off = difference(report)
    if report.planned is None or off is None:
        return "nothing: annotate estimate before a run is held against it here"
    mode, likely = likely_usd(report.planned, report.note)
    return f"{usd(likely)} USD {mode}; came out {100 * off:+.1f} %"


def _paid_table(by: str, groups: dict[str, Paid]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(by, no_wrap=True, min_width=12)
    for name in ("answers", "prompt", "cached", "written", "answer", "reasoning", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, paid in sorted(groups.items()):
        tokens = (paid.prompt, paid.cached, paid.written, paid.completion, paid.reasoning)
        table.add_row(name, f"{paid.answers:,}", *(f"{n:,}" for n in tokens), usd(paid.usd))
    return table


def _template_table(account: Account) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("label from", no_wrap=True, min_width=12)
    for name in ("rows", "labels", "accuracy", "rationales", "words", "USD a row"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, judged in sorted(account.judged.items()):
        counts = (f"{judged.rows:,}", f"{judged.labels:,}", percent(judged.accuracy))
        words = f"{judged.words / judged.rationales:.1f}" if judged.rationales else "-"
        table.add_row(name, *counts, f"{judged.rationales:,}", words, usd(row_usd(judged)))
    return table


def _points_table(known: list[Point]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("the cheapest first", no_wrap=True)
    for name in ("accuracy", "USD a row", "efficient", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("known from", no_wrap=True)
    for each in known:
        mark = "yes" if each.efficient else ""
        numbers = (percent(each.accuracy), usd(each.row_usd), mark, f"{each.rows:,}")
        table.add_row(each.template, *numbers, each.basis)
    return table


def _rejected_table(account: Account) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("rejected", no_wrap=True, min_width=12)
    for name in ("rows", "USD"):
        table.add_column(name, justify="right")
    for reason, each in sorted(account.rejected.items()):
        table.add_row(reason, f"{each.rows:,}", usd(each.usd))
    return table
