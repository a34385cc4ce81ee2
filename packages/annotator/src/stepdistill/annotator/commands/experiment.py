"""`annotate experiment`."""

from typing import Annotated

import typer

from stepdistill.annotator.commands.batch_options import BatchFlag
from stepdistill.annotator.commands.options import (
    AsJson,
    BaseUrl,
    BudgetName,
    Concurrency,
    Data,
    Log,
    MaxCost,
    MaxTokens,
    Models,
    Offline,
    Prices,
    Prompts,
    Quiet,
    ReaderName,
    RequestsPerMinute,
    Store,
    TaskName,
    Timeout,
    TokensPerMinute,
    shared,
)
from stepdistill.annotator.commands.study_options import (
    AllowLeak,
    Csv,
    Html,
    Markdown,
    MetadataFile,
    Seed,
    Templates,
    metadata_file,
    names_of,
    show_report,
    size_of,
    write_reports,
)
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.reading.readers import VERDICT
from stepdistill.annotator.settings.run import OUT, STORE, BatchSettings, RunSettings
from stepdistill.annotator.study.experiment import run_experiment
from stepdistill.annotator.study.race import RaceRules
from stepdistill.annotator.study.report import facts
from stepdistill.annotator.study.trial import Choice, make_trial


def experiment_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    teacher: Annotated[
        str, typer.Option(help="The model to ask, or `simulated`: free, on this machine.")
    ],
    test_size: Annotated[
        str, typer.Option(help="How many rows, as 100, or which part of them, as 0.25.")
    ] = "100",
    seed: Seed = 42,
    templates: Templates = None,
    allow_leak: AllowLeak = None,
    reader: ReaderName = VERDICT,
    race: Annotated[
        bool, typer.Option("--race", help="Stop hopeless templates early; see --race-error.")
    ] = False,
    race_error: Annotated[
        float,
        typer.Option(min=0, max=1, help="The chance you accept that a stopped one was the best."),
    ] = 0.05,
    race_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="The part of all answers a race may cost to get there."),
    ] = 0.4,
    split: Annotated[str, typer.Option(help="Where the rows are drawn from.")] = "train",
    data: Data = None,
    base_url: BaseUrl = None,
    offline: Offline = False,
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    batch_api: BatchFlag = False,
    models: Models = None,
    prices: Prices = None,
    max_cost: MaxCost = None,
    budget: BudgetName = None,
    log: Log = None,
    max_tokens: MaxTokens = 512,
    timeout: Timeout = 120.0,
    prompts: Prompts,
    store: Store = STORE,
    metadata: MetadataFile = None,
    csv: Csv = None,
    md: Markdown = None,
    html: Html = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask the same rows of every template, and rank the templates by what comes of it.

    Running the same command again goes on where it stopped; nothing is asked twice.

    Examples:

        annotate experiment demo --teacher simulated --test-size 100

        annotate experiment cqa --data data/cqa --teacher gpt-6-luna --test-size 0.01 --seed 1
        --templates label-first,reason-first --html ranking.html

        annotate experiment cqa --data data/cqa --teacher gpt-6-luna --test-size 75 --race
    """
    config = RunSettings(
        task=task,
        splits=(split,),
        teacher=teacher,
        prompts=prompts,
        store=store,
        out=OUT / task,
        data=data,
        base_url=base_url,
        offline=offline,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        models=models,
        prices=prices,
        max_cost_usd=max_cost,
        budget=shared(budget, max_cost),
        log=log,
        batch=BatchSettings() if batch_api else None,
        max_tokens=max_tokens,
        timeout_s=timeout,
    )
    choice = Choice(
        test_size=size_of(test_size),
        seed=seed,
        reader=reader,
        templates=names_of(templates),
        allow_leak=tuple(allow_leak or ()),
    )
    screen = ConsoleOutput(quiet=quiet or as_json)
    trial = make_trial(config, choice)
    rules = RaceRules(error=race_error, share=race_share) if race else None
    report = run_experiment(config, trial, metadata_file(metadata, task), screen, rules)
    write_reports(report, csv, md, html)
    if as_json:
        screen.json(facts(report))
    else:
        show_report(report, screen)
