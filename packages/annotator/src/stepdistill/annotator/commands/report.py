"""`annotate report`."""

from dataclasses import replace
from pathlib import Path

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.report.html import as_html
from stepdistill.annotator.report.report import (
    Report,
    report_run,
    report_store,
)
from stepdistill.annotator.report.view import as_csv, facts_of, show
from stepdistill.annotator.run.chunks import all_cores
from stepdistill.annotator.run.run_notes import choose_run, find_runs
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.estimate import ReportSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import known_results
from stepdistill.annotator.study.report import write_report
from stepdistill.common.errors import ShardError


def report_command(settings: ReportSettings, console: JsonSettings = JSON) -> None:
    """Say what a run did cost: by mode, template, part and split; planned against actual.

    Of a folder, the latest `annotate run` that wrote there, else the latest experiment; of a store,
    all that was paid for, by run. Nobody is asked.

    Examples:

        annotate report runs/demo

        annotate report runs/store

        annotate report runs/store --run experiment-3f

        annotate report runs/demo --html cost.html

        annotate report s3://bucket/demo --html s3://bucket/demo/cost.html
    """
    if isinstance(settings.target, Path) and not settings.target.exists():
        raise ShardError(
            f"{settings.target}: not there: name the folder of a run's shards, or a store"
        )
    output, paths = ConsoleOutput(quiet=console.is_quiet), (settings.csv, settings.html)
    report = _report(settings)
    for line in report.warnings:
        output.warn(line)
    for path, render in zip(paths, (as_csv, as_html), strict=True):
        if path is not None:
            write_report(path, render(report))
    if console.as_json:
        output.json(facts_of(report))
    elif "-" not in paths:
        show(report, output)


def _report(settings: ReportSettings) -> Report:
    target, run, prices = settings.target, settings.run, settings.prices
    is_store = isinstance(target, Path) and (target / "data.mdb").is_file()
    cores = all_cores(settings.processes)
    path = target if is_store and isinstance(target, Path) else settings.store
    with ResponseStore.open(path, write=False) as opened:
        if is_store and run is None:
            return report_store(opened, prices, cores)
        report = report_run(choose_run(find_runs(target, opened), run), opened, prices, cores)
    note = report.note
    known = known_results(note.prompts, settings.metadata_of(note.task), note.task)
    return replace(report, results=known)
