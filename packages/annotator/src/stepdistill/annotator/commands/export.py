"""`annotate export`."""

from pathlib import Path

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.export.card import card_name, write_card
from stepdistill.annotator.export.hub import push
from stepdistill.annotator.export.joined import LABELLED, NOT_ASKED, Joined, join
from stepdistill.annotator.export.run_rows import find_run, rows_of
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.export import ExportSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.files.storage import put, written_here
from stepdistill.common.tables.table_file import table_file
from stepdistill.common.urls import Url, place_of, shown


def export_command(settings: ExportSettings, console: JsonSettings = JSON) -> None:
    """Put a run's labels beside your rows: all your columns, row for row in your order.

    Added are label, rationale, confidence, template, and where there is no label
    rejected and why, a word and a sentence. A column of yours keeps its name: then
    it is label_2 and so on. A card beside the file says how it was made.

    Examples:

        annotate export tickets --to tickets-labelled.csv

        annotate export runs/tickets --to labelled.parquet --data tickets.csv

        annotate export tickets --to hub:my-team/tickets

        annotate export s3://bucket/run --to s3://bucket/labelled.parquet
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    run = find_run(settings.run)
    source = rows_of(run, settings)
    for remark in source.remarks:
        output.say(remark)
    table = join(run, source)
    if settings.hub_name is not None:
        card = push(table, settings.hub_name, is_public=settings.public)
    else:
        card = _write(table, settings, output)
    if console.as_json:
        output.json(_facts(table, settings, card))
    else:
        _show(table, settings, card, output)


def _write(table: Joined, settings: ExportSettings, output: ConsoleOutput) -> str:
    """The table and its card; the card's name."""
    place = place_of(settings.to)
    with written_here(place) as path:
        card = _write_here(path, table, settings, output)
        if isinstance(place, Url):
            put(Path(card), place.parent / card_name(place))
            return str(place.parent / card_name(place))
    return card


def _write_here(path: Path, table: Joined, settings: ExportSettings, output: ConsoleOutput) -> str:
    for file in table.source.files:
        if path.exists() and file.exists() and path.samefile(file):
            raise ConfigError(
                f"--to {path}: this is a file of the run or of its rows: name another one"
            )
    tell = output.progress_line("rows written")
    with table_file(path, table.columns, tames=settings.escape_formulas) as file:
        for n, (_, row) in enumerate(table.rows(), start=1):
            file.write(row)
            tell(n)
    if file.warning is not None:
        output.warn(file.warning)
    return write_card(table, path)


def _facts(table: Joined, settings: ExportSettings, card: str) -> dict[str, object]:
    counts = table.counts
    return {
        "to": shown(settings.to),
        "rows": counts.total(),
        "labelled": counts[LABELLED],
        "rejected": table.rejected,
        "not_asked": counts[NOT_ASKED],
        "columns": table.own,
        "card": card,
    }


def _show(table: Joined, settings: ExportSettings, card: str, output: ConsoleOutput) -> None:
    counts, rejected = table.counts, table.rejected
    told = [f"{counts[LABELLED]:,} labelled", f"{sum(rejected.values()):,} rejected"]
    if counts[NOT_ASKED]:
        told.append(f"{counts[NOT_ASKED]:,} not asked")
    output.show(f"Rows     {counts.total():,} in {shown(settings.to)}: {', '.join(told)}")
    for reason, n in sorted(rejected.items(), key=lambda each: -each[1]):
        output.show(f"         {n:,} {reason}")
    output.show(f"Columns  yours, then {', '.join(table.own.values())}")
    renamed = [f"`{name}`" for name, column in table.own.items() if name != column]
    if renamed:
        output.show(f"         (you have {', '.join(renamed)} yourself)")
    output.show(f"Card     {card}")
