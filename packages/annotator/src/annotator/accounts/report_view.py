"""A report as people and programs read it: tables, one JSON object, CSV, and one HTML page."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from io import StringIO
from pathlib import Path

from rich.table import Table

from annotator.accounts.account import Account, Judged, Paid
from annotator.accounts.reporting import RunReport
from annotator.screen import Screen

_TEMPLATES = Path(__file__).parent / "templates"
_BY = ("split", "template", "part", "mode")
_LONGEST_EXAMPLE = 600


def figures(account: Account) -> dict[str, float | None]:
    """What one of each costs, in USD; None where there is none of it."""
    usd, whole = float(account.total.usd), account.whole
    counts = {
        "row": account.rows,
        "label": whole.labels,
        "rationale": whole.rationales,
        "correct_label": whole.correct,
    }
    return {name: usd / n if n else None for name, n in counts.items()}


def grouped(account: Account, by: str) -> dict[str, Paid]:
    """What was paid, by `split`, `template`, `part` or `mode`."""
    groups: defaultdict[str, Paid] = defaultdict(Paid)
    for place, paid in account.paid.items():
        group = groups[getattr(place, by)]
        for name in Paid.__slots__:
            setattr(group, name, getattr(group, name) + getattr(paid, name))
    return dict(groups)


def frontier(account: Account) -> list[str]:
    """Templates that no other beats in both accuracy and cost of a row, the cheapest first."""
    best, found = -1.0, list[str]()
    for name, judged in sorted(account.judged.items(), key=lambda each: row_usd(each[1])):
        if judged.accuracy is not None and judged.accuracy > best:
            best = judged.accuracy
            found.append(name)
    return found


def row_usd(judged: Judged) -> float:
    """What a row of a template cost."""
    return float(judged.usd) / judged.rows if judged.rows else 0.0


def difference(report: RunReport) -> float | None:
    """How far the actual cost is from the likely one, as a share of it; None without both."""
    if report.planned is None:
        return None
    modes = {start.mode for start in report.note.starts}
    planned = report.planned.batch_usd if modes == {"batch"} else report.planned.online_usd
    paid = report.account.paid_usd
    return float(paid) / planned[1] - 1 if planned[1] else None


def facts_of(report: RunReport) -> dict[str, object]:
    """The object of `--json`."""
    account, note = report.account, report.note
    return {
        "run": note.name,
        "task": note.task,
        "teacher": note.teacher,
        "out": str(note.out),
        "prices": list(account.prices),
        "rows": account.rows,
        "total": _paid(account.total),
        "paid_by_this_run_usd": float(account.paid_usd),
        "usd_per": figures(account),
        "saved_usd": float(account.saved_usd),
        "rejected_usd": float(account.wasted_usd),
        "planned": report.planned and report.planned.model_dump(),
        "difference": difference(report),
        **{
            f"by_{by}": {name: _paid(paid) for name, paid in grouped(account, by).items()}
            for by in _BY
        },
        "templates": {
            name: {**asdict(judged), "usd": float(judged.usd), "accuracy": judged.accuracy}
            for name, judged in account.judged.items()
        },
        "efficient": frontier(account),
        "rejected": {
            reason: {"rows": each.rows, "usd": float(each.usd)}
            for reason, each in account.rejected.items()
        },
        "labels": dict(account.labels),
        "by_run": [start.model_dump() for start in note.starts],
    }


def as_csv(report: RunReport) -> str:
    """A line for every split, template, part and mode."""
    out = StringIO()
    writer = csv.DictWriter(out, [*_BY, *_paid(Paid())], lineterminator="\n")
    writer.writeheader()
    for place, paid in report.account.paid.items():
        writer.writerow({**place._asdict(), **_paid(paid)})
    return out.getvalue()


def show_report(report: RunReport, screen: Screen) -> None:
    """For people."""
    account, note = report.account, report.note
    if report.changed:
        screen.warn("rows or prompts have changed since this run: the account is of what is there")
    screen.show(f"{note.task} by {note.teacher}, {account.rows:,} rows, {note.out}")
    for line in _summary(report):
        screen.show(line)
    for by in _BY:
        screen.table(_paid_table(by, grouped(account, by)))
    screen.table(_template_table(account))
    if account.rejected:
        screen.table(_rejected_table(account))


def _summary(report: RunReport) -> Iterator[str]:
    account = report.account
    yield f"cost        {usd(account.total.usd)} USD for {account.total.answers:,} answers"
    for price in account.prices:
        yield f"price       {price}"
    yield (
        f"this run    {usd(account.paid_usd)} USD; the store saved {usd(account.saved_usd)} USD "
        f"({account.older:,} older answers, {account.shared:,} shared)"
    )
    each = ", ".join(
        f"{name.replace('_', ' ')} {usd(cost)}" for name, cost in figures(account).items()
    )
    yield f"USD per     {each}"
    yield f"rejected    {usd(account.wasted_usd)} USD for rows without a record"
    planned, off = report.planned, difference(report)
    if planned is None or off is None:
        yield "planned     nothing: annotate estimate before a run is held against it here"
    else:
        yield f"planned     {usd(planned.online_usd[1])} USD online; came out {100 * off:+.1f} %"
    if account.total.uncounted:
        yield (
            f"UNCOUNTED   {account.total.uncounted:,} answers came without token counts: their "
            "cost is not in these figures"
        )


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
    for name in ("rows", "labels", "accuracy", "rationales", "words", "USD a row", "efficient"):
        table.add_column(name, justify="right", no_wrap=True)
    efficient = frontier(account)
    for name, judged in sorted(account.judged.items()):
        counts = (f"{judged.rows:,}", f"{judged.labels:,}", percent(judged.accuracy))
        words = f"{judged.words / judged.rationales:.1f}" if judged.rationales else "-"
        mark = "yes" if name in efficient else ""
        cells = (f"{judged.rationales:,}", words, usd(row_usd(judged)), mark)
        table.add_row(name, *counts, *cells)
    return table


def _rejected_table(account: Account) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("rejected", no_wrap=True, min_width=12)
    for name in ("rows", "USD"):
        table.add_column(name, justify="right")
    for reason, each in sorted(account.rejected.items()):
        table.add_row(reason, f"{each.rows:,}", usd(each.usd))
    return table


def usd(amount: Decimal | float | None) -> str:
    """Four digits, more where it is less than a cent."""
    if amount is None:
        return "-"
    return f"{amount:,.4f}" if abs(amount) >= Decimal("0.01") or not amount else f"{amount:.7f}"


def percent(share: float | None) -> str:
    """As `87.5 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def shortened(text: str) -> str:
    """An example's text, not longer than a page can bear."""
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE] + " ..."


def rate(account: Account) -> list[tuple[int, int]]:
    """Answers in each minute of the run from its first, as far as there were some."""
    first = min(account.by_minute, default=0)
    return [(minute - first, n) for minute, n in sorted(account.by_minute.items())]


def as_html(report: RunReport) -> str:
    """A page that needs nothing else: styles inside, no script, every text escaped."""
    import jinja2  # a tenth of a second to import: only where a page is written

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(usd=usd, percent=percent, shortened=shortened)
    account = report.account
    return environment.get_template("report.html.jinja").render(
        report=report,
        account=account,
        summary=list(_summary(report)),
        groups={by: sorted(grouped(account, by).items()) for by in _BY},
        rate=rate(account),
        frontier=frontier(account),
        row_usd=row_usd,
    )


def _paid(paid: Paid) -> dict[str, float]:
    return {**asdict(paid), "usd": float(paid.usd)}
