"""A tournament as `annotate experiment --teachers` shows and writes it."""

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.console import ConsoleSettings
from stepdistill.annotator.settings.study import ExperimentSettings
from stepdistill.annotator.study.report import write_report
from stepdistill.annotator.study.tournament.draws import BuyRule
from stepdistill.annotator.study.tournament.elimination import TournamentRules
from stepdistill.annotator.study.tournament.offers import make_field
from stepdistill.annotator.study.tournament.report import TournamentReport, facts, report_of
from stepdistill.annotator.study.tournament.run import run_tournament
from stepdistill.annotator.study.tournament.shown import (
    COLUMNS,
    LEGEND,
    as_csv,
    as_html,
    as_markdown,
    sentences,
)

_HEAD = 2  # line breaks of a heading: all end on one line, while names may be folded below


def tournament(
    settings: ExperimentSettings, output: ConsoleOutput, console: ConsoleSettings
) -> None:
    """Race several teachers, and show what came of it. Raises DistillError."""
    entered = make_field(settings)
    for remark in entered.remarks:
        output.warn(remark)
    rules = TournamentRules(
        buy=BuyRule(margin=settings.margin, worth_usd=settings.worth),
        error=settings.race_error,
        share=settings.race_share,
        seed=settings.seed,
        all_rows=settings.race is False,
    )
    report = report_of(settings, run_tournament(settings, entered, output, rules))
    report.table.keep_beside(settings.metadata)
    for path, render in (
        (settings.csv, as_csv),
        (settings.md, as_markdown),
        (settings.html, as_html),
    ):
        if path is not None:
            write_report(path, render(report))
    drawn = _draw(settings, report)
    if console.as_json:
        output.json({**facts(report), **({"figures": drawn} if drawn else {})})
    else:
        _show(report, output, drawn)
    if report.error is not None:
        raise report.error


def _draw(settings: ExperimentSettings, report: TournamentReport) -> list[str]:
    """The paths of the picture, if one is wanted and there is one."""
    if settings.plot is None:
        return []
    from stepdistill.annotator.study.plots.frontier import frontier_picture  # half a second
    from stepdistill.common.figures import write_picture

    picture = frontier_picture(report.table)
    if picture is None:
        report.remarks.append("no picture is drawn: no price is known")
        return []
    return [str(path) for path in write_picture(picture, settings.plot)]


def _show(report: TournamentReport, output: ConsoleOutput, drawn: list[str]) -> None:
    output.show(
        f"{report.task}: up to {report.n_rows:,} rows of {report.split}, drawn with seed "
        f"{report.seed}"
    )
    if report.right_is:
        output.show(f"Right is {report.right_is}")
    output.table(offers_table(report))
    output.show(LEGEND)
    output.show("")
    for sentence in sentences(report):
        output.show(sentence)
    for remark in report.remarks:
        output.warn(remark)
    for bill in report.bills:
        cost = "no known price" if bill.usd is None else f"{bill.usd:.4f} USD"
        output.show(f"{bill.teacher}: {bill.asked:,} asked, {bill.cached:,} from the store, {cost}")
    for path in drawn:
        output.show(path)
    output.show(f"Metadata: {report.metadata}")
    output.show(f"All rows: {report.command}")


def offers_table(report: TournamentReport) -> Table:
    """All offers; names are folded where they are too long for the terminal."""
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(
            column.heading.rjust(len(column.heading) + _HEAD - column.heading.count("\n"), "\n"),
            justify="left" if column.is_text else "right",
            no_wrap=not column.is_text,
            overflow="fold",
        )
    for offer in report.offers:
        table.add_row(*(column.shown(offer) for column in COLUMNS))
    return table
