"""Options that `experiment` and `evaluate` share, and how they show what they found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.settings.run import OUT
from stepdistill.annotator.study.columns import terminal_table
from stepdistill.annotator.study.experiment import Report
from stepdistill.annotator.study.metadata import METADATA_NAME
from stepdistill.annotator.study.ranking import Rank
from stepdistill.annotator.study.report import as_csv, as_html, as_markdown, outcome, write_report
from stepdistill.common.errors import ConfigError

TestSize = Annotated[
    str | None, typer.Option(help="How many rows, as 100, or which part of them, as 0.25.")
]
Seed = Annotated[int, typer.Option(help="Draws the rows; 50 of a seed are among its 100.")]
Templates = Annotated[
    str | None, typer.Option(help="Templates by id, as a,b,c; default: all of the task.")
]
AllowLeak = Annotated[
    list[str] | None,
    typer.Option(help="A template that may print the gold label; may be repeated."),
]
MetadataFile = Annotated[
    Path | None,
    typer.Option("--metadata", help=f"Default {OUT}/TASK/{METADATA_NAME}."),
]
Csv = Annotated[
    str | None, typer.Option("--csv", help="Write the ranking to this file; - is the screen.")
]
Markdown = Annotated[str | None, typer.Option("--md", help="Likewise, as Markdown.")]
Html = Annotated[str | None, typer.Option("--html", help="Likewise, as one HTML page.")]


def size_of(text: str | None) -> int | float | None:
    """What --test-size says: a number of rows, a fraction as a float, None for all."""
    if text is None:
        return None
    try:
        size = float(text) if "." in text else int(text)
    except ValueError:
        size = 0
    if size <= 0 or (isinstance(size, float) and size > 1):
        raise ConfigError(f"--test-size {text}: a number of rows, as 100, or a fraction, as 0.25")
    return size


def names_of(text: str | None) -> tuple[str, ...]:
    """What --templates says."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def metadata_file(path: Path | None, task: str) -> Path:
    """Where the metadata of a task lies."""
    return path or OUT / task / METADATA_NAME


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


def write_reports(report: Report, csv: str | None, markdown: str | None, html: str | None) -> None:
    """The files that were asked for."""
    for path, render in ((csv, as_csv), (markdown, as_markdown), (html, as_html)):
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
