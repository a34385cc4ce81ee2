"""`annotate export`."""

from collections.abc import Iterator
from pathlib import Path

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.export.card import write_card
from stepdistill.annotator.export.hub import push
from stepdistill.annotator.export.joined import LABELLED, NOT_ASKED, Joined, join
from stepdistill.annotator.export.run_rows import find_run, rows_of
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.export import ExportSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.tables.cells import Row
from stepdistill.common.tables.table_file import (
    CELLS,
    ending_of,
    is_formula,
    table_file,
    tame,
)


def export_command(settings: ExportSettings, console: JsonSettings = JSON) -> None:
    """Put a run's labels beside your rows: all your columns, row for row in your order.

    Added are label, rationale, confidence, template, rejected and why; where you have such a
    column, teacher_label and so on. A card beside the file says how it was made.

    Examples:

        annotate export tickets --to tickets-labelled.csv

        annotate export runs/tickets --to labelled.parquet --data tickets.csv

        annotate export tickets --to hub:my-team/tickets
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    run = find_run(settings.run)
    source = rows_of(run, settings)
    for remark in source.remarks:
        output.say(remark)
    table = join(run, source)
    if settings.hub_name is not None:
        card = push(table, settings.hub_name, is_public=settings.public)
        n_formulas = 0
    else:
        n_formulas = _write(table, settings, output)
        card = write_card(table, Path(settings.to))
    if n_formulas and not settings.escape_formulas:
        cells = "1 cell begins" if n_formulas == 1 else f"{n_formulas:,} cells begin"
        output.warn(
            f"{cells} as a formula does (= + - @) and a spreadsheet may run "
            f"{'it' if n_formulas == 1 else 'them'}: --escape-formulas puts ' in front"
        )
    if console.as_json:
        output.json(_facts(table, settings, card))
    else:
        _show(table, settings, card, output)


def _write(table: Joined, settings: ExportSettings, output: ConsoleOutput) -> int:
    """Write the file; how many of its cells a spreadsheet takes for formulas."""
    path, n_formulas = Path(settings.to), 0
    for file in table.source.files:
        if path.exists() and file.exists() and path.samefile(file):
            raise ConfigError(f"--to {path}: these are your rows: name another file")
    is_text = ending_of(path, "--to").startswith(CELLS)
    tell = output.progress_line("rows written")
    with table_file(path, table.columns, "--to") as write:
        for n, row in enumerate(_rows(table), start=1):
            if is_text:
                n_formulas += sum(isinstance(v, str) and is_formula(v) for v in row.values())
            write({k: tame(v) for k, v in row.items()} if settings.escape_formulas else row)
            tell(n)
    return n_formulas


def _rows(table: Joined) -> Iterator[Row]:
    return (row for _, row in table.rows())


def _facts(table: Joined, settings: ExportSettings, card: str) -> dict[str, object]:
    counts = table.counts
    return {
        "to": settings.to,
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
    output.show(f"Rows     {counts.total():,} in {settings.to}: {', '.join(told)}")
    for reason, n in sorted(rejected.items(), key=lambda each: -each[1]):
        output.show(f"         {n:,} {reason}")
    output.show(f"Columns  yours, then {', '.join(table.own.values())}")
    renamed = [f"`{name}`" for name, column in table.own.items() if name != column]
    if renamed:
        output.show(f"         (you have {', '.join(renamed)} yourself)")
    output.show(f"Card     {card}")
