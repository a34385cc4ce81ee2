"""A report for programs: one JSON object, and CSV."""

import csv
from dataclasses import asdict
from io import StringIO

from stepdistill.annotator.report.account import Paid
from stepdistill.annotator.report.breakdown import BY, difference, figures, grouped, points
from stepdistill.annotator.report.report import Report, RunReport, StoreReport

_RUN_FACTS = {"name", "kind", "task", "teacher", "out", "starts"}


def facts_of(report: Report) -> dict[str, object]:
    """The object of `--json`."""
    return _of_store(report) if isinstance(report, StoreReport) else _of_run(report)


def as_csv(report: Report) -> str:
    """A line for every run, split, template, part and mode."""
    out = StringIO()
    writer = csv.DictWriter(out, ["run", *BY, *_paid(Paid())], lineterminator="\n")
    writer.writeheader()
    for place, each in report.paid.items():
        writer.writerow({**place._asdict(), **_paid(each)})
    return out.getvalue()


def _of_run(report: RunReport) -> dict[str, object]:
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
        "total": _paid(account.total),
        "paid_by_this_run_usd": float(account.paid_usd),
        "usd_per": figures(account),
        "saved_usd": float(account.saved_usd),
        "rejected_usd": float(account.wasted_usd),
        "planned": report.planned and report.planned.model_dump(),
        "difference": difference(report),
        **{
            f"by_{by}": {name: _paid(paid) for name, paid in grouped(account.paid, by).items()}
            for by in ("run", *BY)
        },
        "templates": {
            name: {**asdict(judged), "usd": float(judged.usd), "accuracy": judged.accuracy}
            for name, judged in account.judged.items()
        },
        "accuracy_against_cost": [asdict(point) for point in points(report)],
        "rejected": {
            reason: {"rows": each.rows, "usd": float(each.usd)}
            for reason, each in account.rejected.items()
        },
        "labels": dict(account.labels),
        "starts": [start.model_dump() for start in note.starts],
    }


def _of_store(report: StoreReport) -> dict[str, object]:
    paid = report.paid
    by_run = grouped(paid, "run")
    return {
        "store": str(report.store),
        "total": _paid(sum(paid.values(), Paid())),
        "by_run": {name: _paid(each) for name, each in by_run.items()},
        **{
            f"by_{by}": {name: _paid(each) for name, each in grouped(paid, by).items()} for by in BY
        },
        "runs": [
            {
                **each.note.model_dump(mode="json", include=_RUN_FACTS),
                "paid": _paid(by_run.get(each.note.name, Paid())),
                "saved_usd": float(each.account.saved_usd),
            }
            for each in report.runs
        ],
    }


def _paid(paid: Paid) -> dict[str, float]:
    return {**asdict(paid), "usd": float(paid.usd)}
