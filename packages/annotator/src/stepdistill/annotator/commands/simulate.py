"""`annotate simulate`."""

import asyncio
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.options import (
    Data,
    MixName,
    Prompts,
    Splits,
    TaskName,
    TemplateId,
    split_names,
)
from stepdistill.annotator.commands.simulator_options import (
    BATCH_SECONDS,
    DAY_S,
    BatchFaults,
    BatchSeconds,
    BatchTokens,
    BatchWindow,
    BatchWords,
    CallFaults,
    ModelNames,
    read_models,
    read_rates,
)
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import OUT, SIMULATED, STORE, RunSettings
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.latency import Latency
from stepdistill.annotator.simulator.limits import SimulatedLimits
from stepdistill.annotator.simulator.phrasing import STYLES, Style
from stepdistill.annotator.simulator.rehearsal import ACCURACY, rehearse, rehearse_search
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.simulator.taste import Taste
from stepdistill.common.errors import ConfigError


def simulate_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    split: Splits = None,
    data: Data = None,
    template: TemplateId = None,
    mix: MixName = None,
    prompts: Prompts,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8901,
    accuracy: Annotated[
        float, typer.Option(min=0, max=1, help="Share of rows that are answered as the gold says.")
    ] = ACCURACY,
    template_accuracy: Annotated[
        list[str] | None, typer.Option(help="ID=SHARE, for a template that does better or worse.")
    ] = None,
    taste: Annotated[
        int | None,
        typer.Option(
            help="A seed: each template leads it as well as its words please this hidden taste, "
            "about --accuracy; and it proposes templates. For annotate optimize."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which answers are wrong.")] = 1,
    style: Annotated[
        str, typer.Option(help=f"How answers are written: {', '.join(STYLES)}.")
    ] = "label-first",
    latency_ms: Annotated[
        float, typer.Option(min=0, help="What an answer takes, in median.")
    ] = 0.0,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="More get 429.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1, help="Likewise.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help=f"KIND=SHARE, may be repeated; kinds: {', '.join(Fault)}."),
    ] = None,
    model: ModelNames = None,
    batch_seconds: BatchSeconds = BATCH_SECONDS,
    batch_window: BatchWindow = DAY_S,
    batch_tokens: BatchTokens = None,
    batch_fault: BatchFaults = None,
    call_fault: CallFaults = None,
    log: Annotated[
        Path | None, typer.Option(help="A file for the books: a JSON line for every request.")
    ] = None,
) -> None:
    """Serve a simulated teacher on this machine until Ctrl-C: the protocol without the bill.

    It knows the gold labels of the rows named here, and errs on some of them on purpose. Files and
    batches are served beside chat completions; they live as long as the command runs.

    Examples:

        annotate simulate demo --split train --port 8901 --latency-ms 300 &

        annotate simulate demo --requests-per-minute 600 --fault dropped=0.1 --fault torn=0.1 &

        annotate simulate demo --batch-seconds 60 --call-fault batches.create:lost=0.3 &

        annotate simulate demo --batch-window 120 --batch-fault finished=0.8 &

        annotate simulate demo --template-accuracy label-first=0.9 &

        annotate simulate demo --accuracy 0.6 --taste 7 &

        annotate run demo --teacher any-name --base-url http://127.0.0.1:8901/v1
    """
    config = RunSettings(
        task=task,
        splits=split_names(split),
        teacher=SIMULATED,
        prompts=prompts,
        store=STORE,
        out=OUT / task,
        data=data,
        template=template,
        mix=mix,
    )
    batches = BatchWords(
        seconds=batch_seconds,
        window_s=batch_window,
        tokens=batch_tokens,
        faults=batch_fault or [],
        call_faults=call_fault or [],
        seed=seed,
    )
    planted = _template_accuracies(template_accuracy or [])
    plans = make_plans(config) + _plans_of(config, planted)
    teacher: AnswerSource = (
        rehearse(plans, accuracy, seed, _style(style), planted)
        if taste is None
        else rehearse_search(plans, _taste(taste, accuracy), seed, _style(style))
    )
    settings = SimulatorSettings(
        port=port,
        log_file=log,
        latency=Latency(median_ms=latency_ms, sigma=0.3, seed=seed),
        limits=SimulatedLimits(
            requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute
        ),
        faults=FaultPlan(rates=read_rates(fault or []), seed=seed),
        models=read_models(model or []),
        batch=batches.settings(),
    )
    asyncio.run(_serve(Simulator(teacher, settings), ConsoleOutput()))


def _taste(seed: int, accuracy: float) -> Taste:
    if not 0 < accuracy < 1:
        raise ConfigError(f"--accuracy {accuracy:g}: with --taste, between 0 and 1")
    return Taste(seed=seed, middle=accuracy)


def _style(name: str) -> Style:
    for style in STYLES:
        if style == name:
            return style
    raise ConfigError(f"--style {name}: choose from {', '.join(STYLES)}")


def _template_accuracies(words: list[str]) -> dict[str, float]:
    planted: dict[str, float] = {}
    for word in words:
        template, _, share = word.partition("=")
        try:
            planted[template] = float(share)
        except ValueError:
            raise ConfigError(f"--template-accuracy {word}: not ID=SHARE, as plain=0.7") from None
    return planted


def _plans_of(config: RunSettings, templates: Iterable[str]) -> list[Plan]:
    """Plans of these templates alone, so that the teacher knows their prompts, too."""
    alone = [replace(config, template=name, mix=None) for name in templates]
    return [plan for each in alone for plan in make_plans(each)]


async def _serve(simulator: Simulator, screen: ConsoleOutput) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with simulator:
        screen.show(f"simulated teacher at {simulator.base_url}")
        await stop.wait()
    screen.show("simulated teacher stopped")
