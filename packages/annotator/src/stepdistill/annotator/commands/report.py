"""`annotate report`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.options import AsJson, Prices, Store
from stepdistill.annotator.commands.study_options import MetadataFile, metadata_file
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.report.facts import as_csv, facts_of
from stepdistill.annotator.report.html import as_html
from stepdistill.annotator.report.report import Report, chosen, find_runs, report_run, report_store
from stepdistill.annotator.report.view import show
from stepdistill.annotator.settings.run import STORE
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import known_results
from stepdistill.annotator.study.report import write_report
from stepdistill.common.errors import ShardError


def report_command(  # budget: a command's options are its parameters
    target: Annotated[Path, typer.Argument(help="The folder of a run's shards, or a store.")],
    *,
    store: Store = STORE,
    prices: Prices = None,
    run: Annotated[
        str | None, typer.Option(help="One of several runs, by the start of its name.")
    ] = None,
    metadata: MetadataFile = None,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write the lines of the account; - is the screen.")
    ] = None,
    html: Annotated[str | None, typer.Option("--html", help="Write one HTML page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run did cost: by mode, template, part and split; planned against actual.

    Of a folder, the latest `annotate run` that wrote there, else the latest experiment; of a store,
    all that was paid for, by run. Nobody is asked.

    Examples:

        annotate report runs/demo

        annotate report runs/store

        annotate report runs/store --run experiment-3f

        annotate report runs/demo --html cost.html
    """
    if not target.exists():
        raise ShardError(f"{target}: not there: name the folder of a run's shards, or a store")
    screen, paths = ConsoleOutput(quiet=as_json), (csv, html)
    report = _report(target, store, run, prices, metadata)
    for line in report.warnings:
        screen.warn(line)
    for path, render in zip(paths, (as_csv, as_html), strict=True):
        if path is not None:
            write_report(path, render(report))
    if as_json:
        screen.json(facts_of(report))
    elif "-" not in paths:
        show(report, screen)


def _report(
    target: Path, store: Path, run: str | None, prices: Path | None, metadata: Path | None
) -> Report:
    is_store = (target / "data.mdb").is_file()
    with ResponseStore.open(target if is_store else store, write=False) as opened:
        if is_store and run is None:
            return report_store(opened, prices)
        report = report_run(chosen(find_runs(target, opened), run), opened, prices)
    note = report.note
    known = known_results(note.prompts, metadata_file(metadata, note.task), note.task)
    return replace(report, results=known)
