"""`annotate run`."""

from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.batch_options import (
    BatchFlag,
    EnqueuedTokens,
    FallbackOnlineAfter,
    MaxBatchMb,
    MaxBatchRequests,
    Wait,
    batch_settings,
)
from stepdistill.annotator.commands.options import (
    AsJson,
    BaseUrl,
    BudgetName,
    Concurrency,
    Data,
    Log,
    MaxCost,
    MaxTokens,
    MixName,
    Models,
    Offline,
    Prices,
    Prompts,
    Quiet,
    RequestsPerMinute,
    Samples,
    Splits,
    Store,
    TaskName,
    TemplateId,
    Timeout,
    TokensPerMinute,
    shared,
    split_names,
)
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.run.pipeline import run
from stepdistill.annotator.run.summary import show_run, summary_of
from stepdistill.annotator.settings.run import (
    OUT,
    SIMULATED,
    STORE,
    BatchSettings,
    RunSettings,
    ShardSettings,
)
from stepdistill.common.errors import ConfigError


def run_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    teacher: Annotated[
        str, typer.Option(help="The model to ask, or `simulated`: free, on this machine.")
    ],
    split: Splits = None,
    data: Data = None,
    samples: Samples = None,
    template: TemplateId = None,
    mix: MixName = None,
    base_url: BaseUrl = None,
    offline: Offline = False,
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    batch_api: BatchFlag = False,
    wait: Wait = True,
    max_batch_requests: MaxBatchRequests = None,
    max_batch_mb: MaxBatchMb = None,
    enqueued_tokens: EnqueuedTokens = None,
    fallback_online_after: FallbackOnlineAfter = None,
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
        Path | None, typer.Option(help=f"Folder for the shards; default {OUT}/TASK.")
    ] = None,
    rows_per_shard: Annotated[int, typer.Option(min=1, help="Records in one shard.")] = 10_000,
    rationale_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the records that has reasons, exactly.")
    ] = 1.0,
    votes: Annotated[
        int, typer.Option(min=1, help="Ask so often for each label; most votes win.")
    ] = 1,
    reader: Annotated[
        str, typer.Option(help="How answers are read: verdict, or original (imported templates).")
    ] = "verdict",
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="contradiction: reject rows whose reasons argue for another label; "
            "repetition: drop reasons that repeat the row. May be repeated.",
        ),
    ] = None,
    max_student_tokens: Annotated[
        int | None, typer.Option(min=1, help="Reject longer inputs, drop longer reasons.")
    ] = None,
    student_tokenizer: Annotated[
        Path | None, typer.Option(help="tokenizer.json to count with; else words x 1.4.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Annotate a task's rows. Running the same command again goes on where it stopped.

    Examples:

        annotate run demo --teacher simulated --split train --split test

        annotate run svamp --data data/svamp --teacher gpt-6-luna --samples 500

        annotate run cqa --data data/cqa --teacher my-model --base-url http://localhost:8000/v1

        annotate run esnli --data data/esnli --teacher gpt-6-luna --batch-api --no-wait
    """
    batch = batch_settings(
        wait=wait,
        max_requests=max_batch_requests,
        max_mb=max_batch_mb,
        enqueued_tokens=enqueued_tokens,
        fallback_online_after=fallback_online_after,
    )
    if batch != BatchSettings() and not batch_api:
        raise ConfigError("an option about batches, without --batch-api: add it, or leave it out")
    if batch_api and offline:
        raise ConfigError("--offline and --batch-api exclude each other: offline, nobody is asked")
    if batch_api and not wait and teacher == SIMULATED and base_url is None:
        raise ConfigError(
            "--no-wait: the simulated teacher ends with this command, and its batches with it: "
            "serve one with `annotate simulate`, and name it with --base-url"
        )
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
        offline=offline,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        models=models,
        prices=prices,
        max_cost_usd=max_cost,
        budget=shared(budget, max_cost),
        log=log,
        batch=batch if batch_api else None,
        max_tokens=max_tokens,
        timeout_s=timeout,
        votes=votes,
        shards=ShardSettings(
            rows_per_shard=rows_per_shard,
            reader=reader,
            rationale_rate=rationale_rate,
            filters=frozenset(filter_ or []),
            max_student_tokens=max_student_tokens,
            student_tokenizer=student_tokenizer,
        ),
    )
    screen = ConsoleOutput(quiet=quiet or as_json)
    result = run(config, screen)
    if as_json:
        screen.json(summary_of(config, result))
    else:
        show_run(config, result, screen)
