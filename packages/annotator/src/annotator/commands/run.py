"""`annotate run`."""

from pathlib import Path
from typing import Annotated

import typer

from annotator.commands.options import (
    AsJson,
    Data,
    MixName,
    Prompts,
    Samples,
    Splits,
    Store,
    TaskName,
    TemplateId,
)
from annotator.config import (
    AUTO_CONCURRENCY,
    MODELS,
    OUT,
    STORE,
    RunConfig,
    default_prompts,
)
from annotator.pipeline import run
from annotator.screen import Screen
from annotator.summary import show_run, summary_of
from common.errors import ConfigError


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
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server, as http://localhost:8000/v1.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody: write from the store alone.")
    ] = False,
    concurrency: Annotated[
        str, typer.Option(help="Requests in flight at most, or auto: found by itself.")
    ] = "auto",
    requests_per_minute: Annotated[
        float | None, typer.Option(min=0.1, help="Your limit; the teacher's headers may lower it.")
    ] = None,
    tokens_per_minute: Annotated[
        float | None, typer.Option(min=1, help="Likewise; a request counts max(answer, prompt).")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="YAML of options by model; default ./models.yaml.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Append what happens to this file, a JSON line each.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="The longest answer asked for, in tokens.")
    ] = 512,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for one answer.")
    ] = 120.0,
    prompts: Prompts = None,
    store: Store = STORE,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder for the shards; default {OUT}/TASK.")
    ] = None,
    rows_per_shard: Annotated[int, typer.Option(min=1, help="Records in one shard.")] = 10_000,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")] = False,
) -> None:
    """Annotate a task's rows. Running the same command again goes on where it stopped.

    Examples:

        annotate run demo --teacher simulated --split train --split test

        annotate run svamp --data data/svamp --teacher gpt-6-luna --samples 500

        annotate run cqa --data data/cqa --teacher my-model --base-url http://localhost:8000/v1
    """
    if template is not None and mix is not None:
        raise ConfigError("--template and --mix exclude each other: a mix names its templates")
    config = RunConfig(
        task=task,
        splits=tuple(split or ["train"]),
        teacher=teacher,
        prompts=prompts or default_prompts(),
        store=store,
        out=out or OUT / task,
        data=data,
        samples=samples,
        template=template,
        mix=mix,
        base_url=base_url,
        offline=offline,
        concurrency=_ceiling(concurrency),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        models=models or (MODELS if MODELS.is_file() else None),
        log=log,
        max_tokens=max_tokens,
        timeout_s=timeout,
        rows_per_shard=rows_per_shard,
    )
    screen = Screen(quiet=quiet or as_json)
    result = run(config, screen)
    if as_json:
        screen.json(summary_of(config, result))
    else:
        show_run(config, result, screen)


def _ceiling(concurrency: str) -> int:
    if concurrency == "auto":
        return AUTO_CONCURRENCY
    if not concurrency.isdecimal() or not 1 <= int(concurrency) <= 65_536:
        raise ConfigError(f"--concurrency {concurrency}: a number from 1, or auto")
    return int(concurrency)
