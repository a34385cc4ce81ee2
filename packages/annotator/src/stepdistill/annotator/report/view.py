"""A report as people read it on a terminal, and as programs do: one JSON object, and CSV."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from io import StringIO

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.report.account import Account, CostPlace, Judged, Paid
from stepdistill.annotator.report.calibration import SurenessBin, TeacherCalibration
from stepdistill.annotator.report.report import (
    BY,
    Point,
    Report,
    RunReport,
    StoreReport,
    best_and_own,
    grouped,
    points,
    usd_per,
)
from stepdistill.annotator.run.run_notes import RunNote
from stepdistill.common.page import percent, usd

_RUN_FACTS = {"name", "kind", "task", "teacher", "out", "starts"}
_FIRST_COLUMN = 12  # characters: tables below each other look like one


def facts_of(report: Report) -> dict[str, object]:
    """The object of `--json`."""
    return _store_facts(report) if isinstance(report, StoreReport) else _run_facts(report)


def _run_facts(report: RunReport) -> dict[str, object]:
    account, note = report.account, report.note
    return {
        "run": note.name,
        "kind": note.kind,
        "task": note.task,
        "teacher": note.teacher,
        "out": str(note.out),
        "prices": list(account.prices),
        "rows": account.rows,
        "unasked_rows": account.unasked,
        "total": _paid_facts(account.total),
        "paid_by_this_run_usd": float(account.paid_usd),
        "usd_per": usd_per(account),
        "saved_usd": float(account.saved_usd),
        "rejected_usd": float(account.wasted_usd),
        "planned": report.planned and report.planned.model_dump(),
        "difference": report.difference,
        **_group_facts(account.paid, ("run", *BY)),
        "templates": {
            name: {**asdict(judged), "usd": float(judged.usd), "accuracy": judged.accuracy}
            for name, judged in account.judged.items()
        },
        "accuracy_against_cost": [point._asdict() for point in points(report)],
        "rejected": {
            reason: {"rows": each.rows, "usd": float(each.usd)}
            for reason, each in account.rejected.items()
        },
        "labels": dict(account.labels),
        "calibration": account.calibration.facts,
        "starts": [start.model_dump() for start in note.starts],
    }


def _store_facts(report: StoreReport) -> dict[str, object]:
    by_run = grouped(report.paid, "run")
    return {
        "store": str(report.store),
        "total": _paid_facts(sum(report.paid.values(), Paid())),
        **_group_facts(report.paid, ("run", *BY)),
        "runs": [
            {
                **each.note.model_dump(mode="json", include=_RUN_FACTS),
                "paid": _paid_facts(by_run.get(each.note.name, Paid())),
                "saved_usd": float(each.account.saved_usd),
            }
            for each in report.runs
        ],
    }


def _group_facts(paid: Mapping[CostPlace, Paid], kinds: tuple[str, ...]) -> dict[str, object]:
    return {
        f"by_{by}": {name: _paid_facts(each) for name, each in grouped(paid, by).items()}
        for by in kinds
    }


def _paid_facts(paid: Paid) -> dict[str, float]:
    facts = {**asdict(paid), "usd": float(paid.usd)}
    if not paid.reported:  # as nearly always: the provider says nothing of what it costs
        del facts["reported"], facts["reported_usd"]
    return facts


def as_csv(report: Report) -> str:
    """A line for every run, split, template, part and mode."""
    out = StringIO()
    columns = ["run", *BY, *_paid_facts(Paid())]
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for place, each in report.paid.items():
        writer.writerow({**place._asdict(), **_paid_facts(each)})
    return out.getvalue()


def show(report: Report, output: ConsoleOutput) -> None:
    """For people."""
    if isinstance(report, StoreReport):
        _show_store(report, output)
    else:
        _show_run(report, output)


def _show_run(report: RunReport, output: ConsoleOutput) -> None:
    account = report.account
    output.show(f"{title_of(report)}, {report.note.out}")
    for name, words in summary_of(report):
        output.show(f"{name:11} {words}")
    _show_groups(account.paid, output)
    output.table(_template_table(account))
    known = points(report)
    if best := best_and_own(known):
        output.table(_points_table(best))
        if len(best) < len(known):
            output.show(f"{len(known) - len(best):,} more that are beaten: --html shows them")
    if account.calibration.rows:
        output.show(calibration_words(account.calibration))
        output.table(_calibration_table(account.calibration))
    if account.rejected:
        rows = (
            (reason, f"{each.rows:,}", usd(each.usd))
            for reason, each in sorted(account.rejected.items())
        )
        output.table(plain_table(("rejected",), ("rows", "USD"), rows, min_width=_FIRST_COLUMN))


def _show_store(report: StoreReport, output: ConsoleOutput) -> None:
    total = sum(report.paid.values(), Paid())
    output.show(f"{report.store}: {usd(total.usd)} USD for {total.answers:,} answers")
    output.table(_runs_table(report))
    _show_groups(report.paid, output)
    output.show(f"annotate report {report.store} --run NAME says more of one run")


def title_of(report: RunReport) -> str:
    """Whose account it is."""
    note, account = report.note, report.account
    unasked = f" ({account.unasked:,} more were not asked)" if account.unasked else ""
    return f"{note.kind} of {note.task} by {note.teacher}, {account.rows:,} rows{unasked}"


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
    each = usd_per(account).items()
    yield "USD per", ", ".join(f"{name.replace('_', ' ')} {usd(cost)}" for name, cost in each)
    yield "rejected", f"{usd(account.wasted_usd)} USD for rows without a record"
    yield "planned", _planned(report)
    if total.uncounted:
        yield (
            "UNCOUNTED",
            f"{total.uncounted:,} answers came without token counts, or with some that cannot be: "
            "what these cost is not in these figures",
        )


def _planned(report: RunReport) -> str:
    if report.planned_usd is None or report.difference is None:
        return "nothing: annotate estimate before a run is held against it here"
    mode, planned = report.planned_usd
    return f"{usd(planned.likely)} USD {mode}; came out {100 * report.difference:+.1f} %"


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


def _runs_table(report: StoreReport) -> Table:
    table = plain_table(
        ("run", "task", "teacher", "started"), ("starts", "answers", "prompt", "answer", "USD")
    )
    for name, note, each in paid_by_run(report):
        words = (note.task, note.teacher, started(note)) if note else ("-", "-", "-")
        starts = str(len(note.starts)) if note else "-"
        counts = (f"{each.answers:,}", f"{each.prompt:,}", f"{each.completion:,}", usd(each.usd))
        table.add_row(name, *words, starts, *counts)
    return table


def _show_groups(paid: Mapping[CostPlace, Paid], output: ConsoleOutput) -> None:
    numbers = ("answers", "prompt", "cached", "written", "answer", "reasoning", "USD")
    for by in BY:
        table = plain_table((by,), numbers, min_width=_FIRST_COLUMN)
        for name, each in sorted(grouped(paid, by).items()):
            tokens = (each.prompt, each.cached, each.written, each.completion, each.reasoning)
            table.add_row(name, *(f"{n:,}" for n in (each.answers, *tokens)), usd(each.usd))
        output.table(table)


def _template_table(account: Account) -> Table:
    numbers = ("rows", "labels", "accuracy", "rationales", "words", "USD a row")
    table = plain_table(("label from",), numbers, min_width=_FIRST_COLUMN)
    for name, judged in sorted(account.judged.items()):
        counts = (f"{judged.rows:,}", f"{judged.labels:,}", _accuracy(judged))
        words = f"{judged.words / judged.rationales:.1f}" if judged.rationales else "-"
        table.add_row(name, *counts, f"{judged.rationales:,}", words, usd(judged.row_usd))
    return table


def _accuracy(judged: Judged) -> str:
    return percent(judged.accuracy) if judged.labels else "none read"


def calibration_words(found: TeacherCalibration) -> str:
    """The figures of a calibration in a sentence."""
    return (
        f"how sure the teacher was, by {found.source}, of {found.rows:,} labels with gold: ECE "
        f"{found.ece:.3f}, Brier {found.brier:.3f}, NLL {found.nll:.3f}"
    )


def _calibration_table(found: TeacherCalibration) -> Table:
    table = plain_table(("sure",), ("rows", "said", "right", "from", "to"), min_width=_FIRST_COLUMN)
    for each in found.bins:
        shares = (each.said, each.right, *each.bounds)
        table.add_row(between(each), f"{each.rows:,}", *map(percent, shares))
    return table


def between(each: SurenessBin) -> str:
    """The bounds of a bin, as `50 to 60 %`."""
    return f"{100 * each.low:.0f} to {100 * each.high:.0f} %"


def _points_table(known: list[Point]) -> Table:
    table = plain_table(("the cheapest first",), ("accuracy", "USD a row", "efficient", "rows"))
    table.add_column("known from", no_wrap=True)
    for each in known:
        efficient = "yes" if each.efficient else ""
        numbers = (percent(each.accuracy), usd(each.row_usd), efficient, f"{each.rows:,}")
        table.add_row(each.template, *numbers, each.basis)
    return table
