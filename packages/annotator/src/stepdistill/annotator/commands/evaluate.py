"""`annotate evaluate`."""

from typing import Annotated

import typer

from stepdistill.annotator.commands.options import (
    AsJson,
    BaseUrl,
    Data,
    Models,
    Prices,
    Prompts,
    ReaderName,
    Store,
    TaskName,
)
from stepdistill.annotator.commands.study_options import (
    Csv,
    Html,
    Markdown,
    MetadataFile,
    Seed,
    Templates,
    TestSize,
    metadata_file,
    names_of,
    show_report,
    size_of,
    write_reports,
)
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.reading.readers import VERDICT
from stepdistill.annotator.settings.run import OUT, STORE, RunSettings
from stepdistill.annotator.study.experiment import Report, run_experiment
from stepdistill.annotator.study.metadata import load_metadata
from stepdistill.annotator.study.recompute import settings_again
from stepdistill.annotator.study.report import facts
from stepdistill.annotator.study.trial import Choice, make_trial
from stepdistill.common.errors import ConfigError


def evaluate_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    teacher: Annotated[
        str | None,
        typer.Option(help="Whose answers; without it, all that the metadata file has is redone."),
    ] = None,
    split: Annotated[str, typer.Option(help="The split of the rows.")] = "train",
    test_size: TestSize = None,
    seed: Seed = 42,
    templates: Templates = None,
    reader: ReaderName = VERDICT,
    data: Data = None,
    base_url: BaseUrl = None,
    models: Models = None,
    prices: Prices = None,
    prompts: Prompts,
    store: Store = STORE,
    metadata: MetadataFile = None,
    csv: Csv = None,
    md: Markdown = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Judge templates by the answers that the store has; nobody is asked.

    Without --test-size every answered row counts.

    Examples:

        annotate evaluate demo

        annotate evaluate cqa --data data/cqa --teacher gpt-3.5-turbo --reader original --csv -
    """
    config = RunSettings(
        task=task,
        splits=(split,),
        teacher=teacher or "",
        prompts=prompts,
        store=store,
        out=OUT / task,
        data=data,
        base_url=base_url,
        offline=True,
        models=models,
        prices=prices,
    )
    path = metadata_file(metadata, task)
    choice = Choice(
        test_size=size_of(test_size),
        seed=seed,
        reader=reader,
        templates=names_of(templates),
        allow_leak=None,
    )
    asked = (
        [(config, choice)] if teacher else list(settings_again(config, load_metadata(path, task)))
    )
    if not asked:
        raise ConfigError(f"{path} holds no results to compute again: name a --teacher")
    screen = ConsoleOutput(quiet=as_json)
    reports = [run_experiment(each, make_trial(each, what), path, screen) for each, what in asked]
    if (csv or md or html) and len(reports) > 1:
        raise ConfigError("--csv, --md and --html show one setting: name its --teacher")
    write_reports(reports[0], csv, md, html)
    _show(reports, screen, as_json=as_json)


def _show(reports: list[Report], screen: ConsoleOutput, *, as_json: bool) -> None:
    if as_json:
        screen.json({"studies": [facts(report) for report in reports]})
        return
    for report in reports:
        show_report(report, screen)
