"""A report as one HTML page."""

from collections.abc import Mapping
from pathlib import Path

from stepdistill.annotator.page import rendered
from stepdistill.annotator.report.account import CostPlace, Paid
from stepdistill.annotator.report.breakdown import BY, best_and_own, grouped, points, row_usd
from stepdistill.annotator.report.chart import AnswersOverTime, Chart
from stepdistill.annotator.report.report import Report, RunReport, StoreReport
from stepdistill.annotator.report.view import paid_by_run, started, summary_of, title_of

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_EXAMPLE = 600


def as_html(report: Report) -> str:
    """The page of a run, or of a whole store."""
    return _of_store(report) if isinstance(report, StoreReport) else _of_run(report)


def _of_run(report: RunReport) -> str:
    account, known = report.account, points(report)
    return rendered(
        _TEMPLATES / "run.html.jinja",
        report=report,
        title=title_of(report),
        account=account,
        summary=list(summary_of(report)),
        groups=_groups(account.paid),
        pace=AnswersOverTime.of(account.by_second),
        points=known,
        told=best_and_own(known),
        chart=Chart.of(known),
        row_usd=row_usd,
        shortened=_shortened,
    )


def _of_store(report: StoreReport) -> str:
    return rendered(
        _TEMPLATES / "store.html.jinja",
        report=report,
        total=sum(report.paid.values(), Paid()),
        runs=list(paid_by_run(report)),
        groups=_groups(report.paid),
        started=started,
    )


def _groups(paid: Mapping[CostPlace, Paid]) -> dict[str, list[tuple[str, Paid]]]:
    return {by: sorted(grouped(paid, by).items()) for by in BY}


def _shortened(text: str) -> str:
    """An example's text, not longer than a page can bear."""
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE] + " ..."
