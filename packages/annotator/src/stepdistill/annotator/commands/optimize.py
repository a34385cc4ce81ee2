"""`annotate optimize`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

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
    Prices,
    Prompts,
    Quiet,
    RequestsPerMinute,
    Store,
    TaskName,
    Timeout,
    TokensPerMinute,
    shared,
)
from stepdistill.annotator.commands.search_view import show_outcome
from stepdistill.annotator.commands.study_options import Seed, names_of
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.prompt.appending import append_template
from stepdistill.annotator.run.planning import uses_simulator
from stepdistill.annotator.settings.run import OUT, SIMULATED, STORE, RunSettings
from stepdistill.annotator.study.optimize.outcome import SearchOutcome
from stepdistill.annotator.study.optimize.run import run_search
from stepdistill.annotator.study.optimize.settings import SearchSettings
from stepdistill.annotator.study.race import RaceRules
from stepdistill.common.errors import ConfigError

# A template needs more room than a label and its reasons.
_MAX_TOKENS = 1024
_WHEN = ("confirmed", "always", "never")


def optimize_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    teacher: Annotated[
        str, typer.Option(help="The model to find words for, or `simulated`: free, here.")
    ],
    optimizer: Annotated[
        str | None, typer.Option(help="The model that proposes templates; default: --teacher.")
    ] = None,
    optimizer_base_url: Annotated[
        str | None, typer.Option(help="Where that one is served; default: as --base-url.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Rounds of proposals.")] = 20,
    candidates: Annotated[int, typer.Option(min=1, help="Proposals in each.")] = 8,
    keep: Annotated[int, typer.Option(min=1, help="Best templates that it is shown.")] = 15,
    test_size: Annotated[
        int, typer.Option(min=2, help="Rows that every template is scored on.")
    ] = 25,
    held_out: Annotated[
        int, typer.Option(min=0, help="Other rows, to confirm the winner with in the end.")
    ] = 100,
    problems: Annotated[
        int, typer.Option(min=1, help="Other rows, shown to the optimizer with their labels.")
    ] = 3,
    temperature: Annotated[float, typer.Option(min=0, help="Of the optimizer.")] = 1.0,
    race: Annotated[
        bool, typer.Option("--race/--no-race", help="Stop hopeless candidates early.")
    ] = True,
    seed: Seed = 42,
    templates: Annotated[
        str | None,
        typer.Option(
            help="Where to begin, by id, as a,b,c; default: all of the task, less what was found."
        ),
    ] = None,
    write_templates: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Append the winner to the task's templates.yaml: confirmed (the default: if it is "
            "better on held-out rows), always or never (the default where the teacher is "
            "simulated).",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Where the rows are drawn from.")] = "train",
    data: Data = None,
    base_url: BaseUrl = None,
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    models: Models = None,
    prices: Prices = None,
    max_cost: MaxCost = None,
    budget: BudgetName = None,
    log: Log = None,
    max_tokens: MaxTokens = 512,
    timeout: Timeout = 120.0,
    prompts: Prompts,
    store: Store = STORE,
    out: Annotated[
        Path | None, typer.Option(help=f"For history and scores; default {OUT}/TASK/search.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", help="Write the report as one HTML page.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for a better prompt: a model proposes templates, the rows decide (OPRO).

    The best so far are shown to it again, with their scores. Running the same command again goes on
    where it stopped, and with more --iterations further; nothing is asked twice.

    Examples:

        annotate optimize demo --teacher simulated --iterations 8

        annotate optimize cqa --data data/cqa --teacher gpt-6-luna --optimizer gpt-6 --max-cost 5

        annotate optimize svamp --data data/svamp --teacher my-model --base-url
        http://localhost:8000/v1 --optimizer gpt-6 --optimizer-base-url https://api.openai.com/v1
    """
    if write_templates not in (None, *_WHEN):
        raise ConfigError(f"--write-templates {write_templates}: choose from {', '.join(_WHEN)}")
    config = RunSettings(
        task=task,
        splits=(split,),
        teacher=teacher,
        prompts=prompts,
        store=store,
        out=OUT / task,
        data=data,
        base_url=base_url,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        models=models,
        prices=prices,
        max_cost_usd=max_cost,
        budget=shared(budget, max_cost),
        log=log,
        max_tokens=max_tokens,
        timeout_s=timeout,
    )
    optimizing = replace(
        config,
        teacher=optimizer or teacher,
        base_url=optimizer_base_url or (None if optimizer == SIMULATED else base_url),
        max_tokens=max(max_tokens, _MAX_TOKENS),
    )
    settings = SearchSettings(
        iterations=iterations,
        candidates=candidates,
        keep=keep,
        test_size=test_size,
        held_out=held_out,
        problems=problems,
        seed=seed,
        race=RaceRules() if race else None,
        temperature=temperature,
        templates=names_of(templates),
    )
    screen = ConsoleOutput(quiet=quiet or as_json)
    folder = out or OUT / task / "search"
    outcome = run_search(config, optimizing, settings, folder, screen)
    outcome = _written(outcome, config, write_templates)
    show_outcome(outcome, screen, html, as_json=as_json)
    if outcome.stopped:
        raise typer.Exit(3)


def _written(outcome: SearchOutcome, config: RunSettings, when: str | None) -> SearchOutcome:
    """The outcome, its winner appended to the task's templates where that is wanted."""
    when = when or ("never" if uses_simulator(config) else "confirmed")
    confirmed = outcome.confirmation is not None and outcome.confirmation.confirmed
    if not outcome.found_better or when == "never" or (when == "confirmed" and not confirmed):
        return outcome
    path = append_template(config.prompts, config.task, outcome.winner)
    return replace(outcome, written=path)
