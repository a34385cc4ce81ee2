"""Settings of the simulated teacher: what it serves, how fast, and what goes wrong."""

from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.annotator.settings.rows import (
    DataSettings,
    SplitsSettings,
    TaskSettings,
    TemplateSettings,
)
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import SIMULATED
from stepdistill.common.command_line import at_least, between, options, taken_from

REPEATED = Parameter(consume_multiple=False)


@options("Simulation", 3, kw_only=False)
class SimulateSettings(SplitsSettings, DataSettings, TemplateSettings, TaskSettings):
    """One `annotate simulate`."""

    _: KW_ONLY
    port: Annotated[int, between(0, 65535)] = 8901
    """0 takes a free one."""
    dialect: Literal["openai", "responses", "anthropic", "gemini", "openrouter"] = "openai"
    """Whose address it names, and whose chat it speaks; each is served at its own route."""
    accuracy: Annotated[float, between(0, 1)] = 0.9
    """Share of rows that are answered as the gold says."""
    template_accuracy: Annotated[tuple[str, ...], REPEATED] = ()
    """ID=SHARE, for a template that does better or worse; may be repeated."""
    taste: int | None = None
    """A seed: each template leads it as well as its words please this hidden taste, about
    --accuracy; and it proposes templates. For annotate optimize."""
    doubts: bool = False
    """Draw each answer from chances that its row has, which logprobs tell."""
    seed: int = 1
    """Decides which answers are wrong."""
    response_format: Literal["takes", "refuses", "ignores"] = "takes"
    """What it does with a request for a structured answer; refuses: 400."""
    style: str = "label-first"
    """How answers are written: label-first, reason-first, ...; a wrong word lists all."""
    latency_ms: Annotated[float, at_least(0)] = 0.0
    """What an answer takes, in median, in milliseconds."""
    requests_per_minute: Annotated[int | None, at_least(1)] = None
    """More get 429."""
    tokens_per_minute: Annotated[int | None, at_least(1)] = None
    """Likewise."""
    faults: Annotated[tuple[str, ...], REPEATED, Parameter(name="--fault")] = ()
    """KIND=SHARE, may be repeated; a wrong word lists the kinds."""
    models: Annotated[tuple[str, ...], REPEATED, Parameter(name="--model")] = ()
    """NAME or NAME=DATE, may be repeated: serve these models alone; DATE: when it is shut down, as
    GET /models tells, e.g. 2027-01-14."""
    batch_seconds: Annotated[float, at_least(0)] = 0.3
    """What a batch takes from its creation to its end, in seconds."""
    batch_window: Annotated[float, at_least(0.001)] = 86_400.0
    """Seconds that a batch's 24 hours last: then it expires."""
    batch_tokens: Annotated[int | None, at_least(1)] = None
    """Prompt tokens that a model's batches may hold; one that is over fails."""
    batch_faults: Annotated[tuple[str, ...], REPEATED, Parameter(name="--batch-fault")] = ()
    """WHAT=VALUE, may be repeated. Shares of rows: finished (then it stands still and expires),
    repeated, left_out, or a kind of --fault that rows can meet. Also strangers=COUNT and
    fails=CODE, e.g. fails=token_limit_exceeded."""
    call_faults: Annotated[tuple[str, ...], REPEATED, Parameter(name="--call-fault")] = ()
    """CALL:KIND=SHARE, may be repeated; kinds as for --fault; calls as batches.create."""
    log: Path | None = None
    """A file for the log of requests: a JSON line for every request."""

    def run(self) -> RunSettings:
        """The run that it plays the teacher of."""
        return taken_from(self, RunSettings, teacher=SIMULATED, models=None, log=None)
