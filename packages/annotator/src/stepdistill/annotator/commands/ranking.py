"""A ranking of templates as `experiment`, `evaluate` and `optimize` show and write it."""

from collections.abc import Sequence

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.study import RankingSettings
from stepdistill.annotator.study.ranking import Rank
from stepdistill.annotator.study.report import (
    Column,
    Report,
    as_csv,
    as_html,
    as_markdown,
    measure_columns,
    race_sentence,
    terminal_table,
    write_report,
)


def show_report(report: Report, output: ConsoleOutput) -> None:
    """The ranking for people."""
    for remark in report.remarks:
        output.warn(remark)
    setting = report.setting
    output.show(
        f"{report.task}: {setting.rows} of {setting.split}, {setting.asked} "
        f"({setting.server}), {setting.read_by}"
    )
    if report.right_is:
        output.show(f"Right is {report.right_is}")
    output.table(ranking_table(report.ranking, 1))
    output.show("")
    show_measures(report.ranking, output)
    output.table(ranking_table(report.ranking, 2))
    if report.race:
        output.show(race_sentence(report.race))
    output.show(f"{report.asked:,} requests asked, {report.cached:,} answered by the store")
    spent = report.spent_usd
    cost = "unknown (no price for this model)" if spent is None else f"{spent:.4f} USD"
    output.show(f"Cost of this run: {cost}")
    output.show(f"Metadata: {report.metadata}")


def write_reports(report: Report, to: RankingSettings) -> None:
    """The files that were asked for."""
    for path, render in ((to.csv, as_csv), (to.md, as_markdown), (to.html, as_html)):
        if path is not None:
            write_report(path, render(report))


def ranking_table(ranking: Sequence[Rank], number: int) -> Table:
    """The first or the second table of a ranking."""
    return _table(ranking, terminal_table(number))


def show_measures(ranking: Sequence[Rank], output: ConsoleOutput) -> None:
    """What besides accuracy is measured, if anything is."""
    if measures := measure_columns(ranking):
        (template,) = (pair for pair in terminal_table(1) if pair[1].name == "template")
        output.table(_table(ranking, [template, *((each.heading, each) for each in measures)]))
        output.show("")


def _table(ranking: Sequence[Rank], columns: Sequence[tuple[str, Column]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading, column in columns:
        justify = "left" if column.name == "template" else "right"
        table.add_column(heading, justify=justify, vertical="bottom", no_wrap=True)
    for entry in ranking:
        table.add_row(*(column.shown(entry).removesuffix(" %") for _, column in columns))
    return table
