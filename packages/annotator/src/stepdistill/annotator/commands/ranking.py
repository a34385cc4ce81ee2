"""A ranking of templates as `experiment`, `evaluate` and `optimize` show and write it."""

from collections.abc import Sequence

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.study import RankingSettings
from stepdistill.annotator.study.columns import terminal_table
from stepdistill.annotator.study.experiment import Report
from stepdistill.annotator.study.ranking import Rank
from stepdistill.annotator.study.report import as_csv, as_html, as_markdown, outcome, write_report


def show_report(report: Report, screen: ConsoleOutput) -> None:
    """The ranking for people."""
    for remark in report.remarks:
        screen.warn(remark)
    setting = report.setting
    screen.show(
        f"{report.task}: {setting.rows} of {setting.split}, {setting.teacher} "
        f"({setting.server}), reader {setting.reader}"
    )
    screen.table(ranking_table(report.places, 1))
    screen.show("")
    screen.table(ranking_table(report.places, 2))
    if report.race:
        screen.show(outcome(report.race))
    screen.show(f"{report.asked:,} requests asked, {report.cached:,} answered by the store")
    spent = report.spent_usd
    cost = "unknown (no price for this model)" if spent is None else f"{spent:.4f} USD"
    screen.show(f"Cost of this run: {cost}")
    screen.show(f"Metadata: {report.metadata}")


def write_reports(report: Report, to: RankingSettings) -> None:
    """The files that were asked for."""
    for path, render in ((to.csv, as_csv), (to.md, as_markdown), (to.html, as_html)):
        if path is not None:
            write_report(path, render(report))


def ranking_table(places: Sequence[Rank], number: int) -> Table:
    """The first or the second table of a ranking."""
    columns = terminal_table(number)
    table = Table(box=None, pad_edge=False)
    for column in columns:
        _, heading = column.terminal or (0, "")
        justify = "left" if column.name == "template" else "right"
        table.add_column(heading, justify=justify, vertical="bottom", no_wrap=True)
    for place in places:
        table.add_row(*(column.shown(place).removesuffix(" %") for column in columns))
    return table
