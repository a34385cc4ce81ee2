"""`annotate simulate`."""

import asyncio
import math
import signal
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import check_templates, chosen_mix
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.simulate import SimulateSettings
from stepdistill.annotator.simulator.answers import SimulatedTeacher, UnstructuredTeacher
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import (
    BatchLimits,
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan, Latency
from stepdistill.annotator.simulator.limits import SimulatedLimits
from stepdistill.annotator.simulator.phrasing import STYLES, Style
from stepdistill.annotator.simulator.rehearsal import rehearse_search, rehearse_templates
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.search_teacher import Taste
from stepdistill.annotator.simulator.server import SimulatedModel, Simulator, SimulatorSettings
from stepdistill.common.errors import ConfigError

# Of --batch-fault: the words that are no kinds of fault, and what they are where none says so.
_COUNTED = (("finished", "1"), ("repeated", "0"), ("left_out", "0"), ("strangers", "0"))


def simulate_command(settings: SimulateSettings) -> None:
    """Serve a simulated teacher on this machine until Ctrl-C: the protocol without the bill.

    It knows the gold labels of the rows named here, whatever template of the task they are asked
    with, and errs on some of them on purpose; rows without one get a label that is made up. Asked
    the same again it may answer otherwise, unless at temperature 0. Files and batches are served
    beside chat completions; they live as long as the command runs. Ctrl-C stops it.

    Examples:

        annotate simulate demo --split train --port 8901 --latency-ms 300 &

        annotate simulate demo --requests-per-minute 600 --fault dropped=0.1 --fault torn=0.1 &

        annotate simulate demo --batch-seconds 60 --call-fault batches.create:lost=0.3 &

        annotate simulate demo --accuracy 0.6 --taste 7 &

        annotate run demo --teacher any-name --base-url http://127.0.0.1:8901/v1

        annotate simulate demo --dialect anthropic --port 8902 &

        annotate run demo --teacher anthropic:any-name --base-url http://127.0.0.1:8902/v1
    """
    config = settings.run()
    planted = _template_accuracies(settings.template_accuracy)
    plans = _plans(config, planted)
    accuracy, seed, style = settings.accuracy, settings.seed, _style(settings.style)
    if settings.taste is None:
        known = SimulatedTeacher(
            accuracy=accuracy, seed=seed, style=style, counts=True, doubts=settings.doubts
        )
        teacher: AnswerSource = rehearse_templates(plans, known, planted)
    else:
        teacher = rehearse_search(plans, _taste(settings.taste, accuracy), seed, style)
    if settings.response_format != "takes":
        refuses = settings.response_format == "refuses"
        teacher = UnstructuredTeacher(teacher=teacher, refuses=refuses)
    simulator = Simulator(teacher, simulator_settings(settings))
    asyncio.run(_serve(simulator, ConsoleOutput()))


def simulator_settings(settings: SimulateSettings) -> SimulatorSettings:
    """How it serves. Raises ConfigError: a word means nothing."""
    return SimulatorSettings(
        port=settings.port,
        dialect=settings.dialect,
        log_file=settings.log,
        latency=Latency(median_ms=settings.latency_ms, sigma=0.3, seed=settings.seed),
        limits=SimulatedLimits(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        ),
        faults=FaultPlan(rates=_rates(settings.faults), seed=settings.seed),
        models=tuple(map(_model, settings.models)),
        batch=batch_settings(settings),
    )


def batch_settings(settings: SimulateSettings) -> SimulatedBatchSettings:
    """How its Batch API behaves. Raises ConfigError: a word means nothing."""
    spoken = settings.dialect
    return SimulatedBatchSettings(
        protocol="openai" if spoken == "responses" else spoken,
        plan=_batch_plan(settings),
        limits=BatchLimits(enqueued_tokens=settings.batch_tokens),
        calls=_calls(settings.call_faults, settings.seed),
        seed=settings.seed,
    )


def _batch_plan(settings: SimulateSettings) -> BatchPlan:
    parts = [word.partition("=") for word in settings.batch_faults]
    values = {what: value for what, _, value in parts}
    finished, repeated, left_out, strangers = (
        _number(f"--batch-fault {what}", values.pop(what, default)) for what, default in _COUNTED
    )
    fails = values.pop("fails", None)
    rates = _rates([f"{kind}={share}" for kind, share in values.items()], "--batch-fault")
    seconds = settings.batch_seconds
    return BatchPlan(
        times=BatchTimes(
            validating_s=seconds / 6,
            running_s=seconds * 4 / 6,
            finalizing_s=seconds / 6,
            cancelling_s=seconds / 3,
            window_s=settings.batch_window,
        ),
        rows=FaultPlan(rates=rates, seed=settings.seed),
        finished=finished,
        repeated=repeated,
        left_out=left_out,
        strangers=int(strangers),
        fails=fails,
    )


def _taste(seed: int, accuracy: float) -> Taste:
    if not 0 < accuracy < 1:
        raise ConfigError(f"--accuracy {accuracy:g}: with --taste, between 0 and 1")
    return Taste(seed=seed, middle=accuracy)


def _style(name: str) -> Style:
    if name not in STYLES:
        raise ConfigError(f"--style {name}: choose from {', '.join(STYLES)}")
    return name


def _template_accuracies(words: Iterable[str]) -> dict[str, float]:
    """The accuracy of each template in ID=SHARE words; raises ConfigError."""
    try:
        return {name: float(share) for name, _, share in (word.partition("=") for word in words)}
    except ValueError:
        given = " ".join(words)
        raise ConfigError(f"--template-accuracy {given}: not ID=SHARE, as plain=0.7") from None


def _plans(config: RunSettings, planted: Collection[str]) -> list[Plan]:
    """A plan of each split that knows all templates of the task: it is not known who will be asked
    what. Raises ConfigError: there is no such template or mix."""
    each = [replace(config, splits=(split,)) for split in dict.fromkeys(config.splits)]
    plans = [make_template_plan(one, ()) for one in each]
    mix = chosen_mix(config.prompts, config.task, config.mix, config.template)
    check_templates({*planted, *mix.templates}, {*plans[0].templates}, config.task)
    return plans


def _rates(words: Iterable[str], option: str = "--fault") -> dict[Fault, float]:
    """KIND=SHARE of each word; raises ConfigError."""
    rates: dict[Fault, float] = {}
    for word in words:
        kind, _, share = word.partition("=")
        if kind not in set(Fault):
            kinds = ", ".join(Fault)
            raise ConfigError(f"{option} {word}: not KIND=SHARE; kinds: {kinds}")
        rates[Fault(kind)] = _number(f"{option} {word}", share)
    return rates


def _calls(words: Iterable[str], seed: int) -> dict[CallKind, FaultPlan]:
    """The plan of each kind of call in CALL:KIND=SHARE words; raises ConfigError."""
    rates: dict[CallKind, dict[Fault, float]] = {}
    for word in words:
        call, _, fault = word.partition(":")
        if call not in set(CallKind):
            calls = ", ".join(CallKind)
            raise ConfigError(f"--call-fault {word}: not CALL:KIND=SHARE; calls: {calls}")
        rates.setdefault(CallKind(call), {}).update(_rates([fault], "--call-fault"))
    return {kind: FaultPlan(rates=shares, seed=seed) for kind, shares in rates.items()}


def _model(word: str) -> SimulatedModel:
    """The model of NAME or NAME=DATE; raises ConfigError on what is not a date."""
    name, _, day = word.partition("=")
    try:
        return SimulatedModel(
            id=name, shutdown_date=date.fromisoformat(day).isoformat() if day else None
        )
    except ValueError:
        raise ConfigError(f"--model {word}: write the date as 2027-01-14") from None


def _number(what: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{what}: '{text}' is not a number")
    return number


async def _serve(simulator: Simulator, output: ConsoleOutput) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with simulator:
        output.show(f"simulated teacher at {simulator.base_url}")
        output.show("Ctrl-C stops it; another terminal asks it by --base-url")
        await stop.wait()
    output.show("simulated teacher stopped")
