"""`annotate estimate`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.options import (
    AsJson,
    BaseUrl,
    Data,
    MaxTokens,
    MixName,
    Models,
    Prices,
    Prompts,
    Quiet,
    RequestsPerMinute,
    Samples,
    Splits,
    Store,
    TaskName,
    TemplateId,
    TokensPerMinute,
    split_names,
)
from stepdistill.annotator.commands.study_options import MetadataFile, metadata_file, names_of
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.estimate.few_shot import compare_few_shot, shots_of
from stepdistill.annotator.estimate.kept import keep_estimate
from stepdistill.annotator.estimate.probe import probe_plans
from stepdistill.annotator.estimate.run_estimate import (
    Knowledge,
    by_model,
    by_rate,
    by_template,
    check_estimable,
    estimate_run,
)
from stepdistill.annotator.estimate.view import Answered, facts_of, show_estimate
from stepdistill.annotator.money.own_prices import load_own_prices
from stepdistill.annotator.plan.plan import name_of
from stepdistill.annotator.prompt.template import load_templates
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import OUT, STORE, RunSettings, ShardSettings
from stepdistill.annotator.study.few_shot_cost import keep_few_shot_cost
from stepdistill.annotator.study.metadata import load_metadata
from stepdistill.common.errors import ConfigError


def estimate_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    teacher: Annotated[str, typer.Option(help="The model that would be asked.")],
    split: Splits = None,
    data: Data = None,
    samples: Samples = None,
    template: TemplateId = None,
    mix: MixName = None,
    base_url: BaseUrl = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    models: Models = None,
    prices: Prices = None,
    max_tokens: MaxTokens = 512,
    votes: Annotated[int, typer.Option(min=1, help="How often each label is asked for.")] = 1,
    rationale_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the records that is to have reasons.")
    ] = 1.0,
    prompts: Prompts,
    store: Store = STORE,
    out: Annotated[
        Path | None, typer.Option(help=f"Where the run will write; default {OUT}/TASK.")
    ] = None,
    metadata: MetadataFile = None,
    probe: Annotated[
        int | None,
        typer.Option(
            min=1, help="Ask this many of the requests now (paid and kept) to learn from."
        ),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="The same run by other models, as a,b,c.")
    ] = None,
    templates: Annotated[
        str | None, typer.Option(help="The same rows by each of these templates, as a,b, or all.")
    ] = None,
    rationale_rates: Annotated[
        str | None, typer.Option(help="The same run at each of these rates, as 0,0.5,1.")
    ] = None,
    few_shot: Annotated[
        bool, typer.Option("--few-shot", help="Compare with the task's few-shot.yaml.")
    ] = False,
    few_shot_file: Annotated[
        Path | None, typer.Option(help="Compare with the examples of this file.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what a run would cost, before it costs anything. Nobody is asked, but with --probe.

    Examples:

        annotate estimate cqa --data data/cqa --teacher gpt-6-luna

        annotate estimate cqa --data data/cqa --teacher gpt-6-luna --probe 50
        --requests-per-minute 500

        annotate estimate cqa --data data/cqa --teacher gpt-6-luna --few-shot
        --compare gpt-5-mini,gpt-4o-mini --templates all
    """
    config = RunSettings(
        task=task,
        splits=split_names(split),
        teacher=teacher,
        prompts=prompts,
        store=store,
        out=out or OUT / task,
        data=data,
        samples=samples,
        template=template,
        mix=mix,
        base_url=base_url,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        models=models,
        prices=prices,
        max_tokens=max_tokens,
        votes=votes,
        shards=ShardSettings(rationale_rate=rationale_rate),
    )
    known = Knowledge(
        own=load_own_prices(config.prices),
        metadata=load_metadata(metadata_file(metadata, task), task),
        day=datetime.now(UTC).date(),
    )
    screen = ConsoleOutput(quiet=quiet or as_json)
    others = list(dict.fromkeys([teacher, *names_of(compare)]))
    alone, rates = _templates(config, templates), _rates(rationale_rates)
    shown = shots_of(config, few_shot_file) if few_shot or few_shot_file is not None else None
    check_estimable(config, others, alone, known)
    if probe is not None:
        probe_plans(config, probe, screen)
    variants = {
        "model": by_model(config, others, known) if compare else [],
        "template": by_template(config, alone, known),
        "rationale rate": by_rate(config, rates, known),
    }
    answered = Answered(
        day=known.day,
        run=estimate_run(config, known),
        variants={heading: found for heading, found in variants.items() if found},
        few_shot=compare_few_shot(config, shown, known) if shown is not None else None,
    )
    if answered.run.to_ask:
        keep_estimate(config.out, name_of(make_plans(config)), known.day.isoformat(), answered.run)
    if answered.few_shot is not None:
        keep_few_shot_cost(config.out, answered.few_shot.summed(task, known.day))
    if as_json:
        screen.json(facts_of(answered))
    else:
        show_estimate(answered, screen)


def _templates(config: RunSettings, names: str | None) -> list[str]:
    if names == "all":
        return list(load_templates(config.prompts, config.task))
    return list(names_of(names))


def _rates(words: str | None) -> list[float]:
    try:
        rates = [float(word) for word in names_of(words)]
    except ValueError:
        rates = [-1.0]
    if not all(0 <= rate <= 1 for rate in rates):
        raise ConfigError(f"--rationale-rates {words}: shares from 0 to 1, as 0,0.5,1")
    return rates
