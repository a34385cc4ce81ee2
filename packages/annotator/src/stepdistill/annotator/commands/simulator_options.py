"""The words of `annotate simulate` that say what goes wrong, and the settings that they mean."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import typer

from stepdistill.annotator.simulator.batch.books import CallKind
from stepdistill.annotator.simulator.batch.plan import (
    BatchLimits,
    BatchPace,
    BatchPlan,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import SimulatedModel
from stepdistill.common.errors import ConfigError

_COUNTED = (("finished", "1"), ("repeated", "0"), ("left_out", "0"), ("strangers", "0"))
BATCH_SECONDS, DAY_S = 0.3, 86_400.0

ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="NAME or NAME=DATE, may be repeated: serve these models alone; DATE: when it is shut "
        "down, as GET /models tells, e.g. 2027-01-14.",
    ),
]
BatchSeconds = Annotated[
    float, typer.Option(min=0, help="What a batch takes from its creation to its end, in seconds.")
]
BatchWindow = Annotated[
    float, typer.Option(min=0.001, help="Seconds that a batch's 24 hours last: then it expires.")
]
BatchTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Prompt tokens a model's batches may hold; one that is over fails."),
]
BatchFaults = Annotated[
    list[str] | None,
    typer.Option(
        "--batch-fault",
        help="WHAT=VALUE, may be repeated. Shares of rows: finished (then it stands still and "
        "expires), repeated, left_out, or a kind of --fault that rows can meet. Also "
        "strangers=COUNT and fails=CODE, e.g. fails=token_limit_exceeded.",
    ),
]
CallFaults = Annotated[
    list[str] | None,
    typer.Option(
        "--call-fault",
        help="CALL:KIND=SHARE, may be repeated; kinds as for --fault; calls: "
        f"{', '.join(CallKind)}.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWords:
    """What the command line says of batches; times in seconds."""

    seconds: float
    window_s: float
    tokens: int | None
    faults: list[str]
    call_faults: list[str]
    seed: int

    def settings(self) -> SimulatedBatchSettings:
        """What they mean; raises ConfigError on a word that means nothing."""
        return SimulatedBatchSettings(
            plan=self._plan(),
            limits=BatchLimits(enqueued_tokens=self.tokens),
            calls=read_calls(self.call_faults, self.seed),
            seed=self.seed,
        )

    def _plan(self) -> BatchPlan:
        parts = [word.partition("=") for word in self.faults]
        said = {what: value for what, _, value in parts}
        finished, repeated, left_out, strangers = (
            _number(f"--batch-fault {what}", said.pop(what, default)) for what, default in _COUNTED
        )
        fails = said.pop("fails", None)
        rates = read_rates([f"{kind}={share}" for kind, share in said.items()], "--batch-fault")
        return BatchPlan(
            pace=self._pace(),
            rows=FaultPlan(rates=rates, seed=self.seed),
            finished=finished,
            repeated=repeated,
            left_out=left_out,
            strangers=int(strangers),
            fails=fails,
        )

    def _pace(self) -> BatchPace:
        return BatchPace(
            validating_s=self.seconds / 6,
            running_s=self.seconds * 4 / 6,
            finalizing_s=self.seconds / 6,
            cancelling_s=self.seconds / 3,
            window_s=self.window_s,
        )


def read_rates(words: list[str], option: str = "--fault") -> dict[Fault, float]:
    """KIND=SHARE of each word; raises ConfigError."""
    rates: dict[Fault, float] = {}
    for word in words:
        kind, _, share = word.partition("=")
        if kind not in set(Fault):
            kinds = ", ".join(Fault)
            raise ConfigError(f"{option} {word}: not KIND=SHARE; kinds: {kinds}")
        rates[Fault(kind)] = _number(f"{option} {word}", share)
    return rates


def read_calls(words: list[str], seed: int) -> dict[CallKind, FaultPlan]:
    """The plan of each kind of call in CALL:KIND=SHARE words; raises ConfigError."""
    rates: dict[CallKind, dict[Fault, float]] = {}
    for word in words:
        call, _, rest = word.partition(":")
        if call not in set(CallKind):
            calls = ", ".join(CallKind)
            raise ConfigError(f"--call-fault {word}: not CALL:KIND=SHARE; calls: {calls}")
        rates.setdefault(CallKind(call), {}).update(read_rates([rest], "--call-fault"))
    return {kind: FaultPlan(rates=shares, seed=seed) for kind, shares in rates.items()}


def read_models(words: list[str]) -> tuple[SimulatedModel, ...]:
    """The model of each NAME or NAME=DATE; raises ConfigError on what is no date."""
    return tuple(_model(word) for word in words)


def _model(word: str) -> SimulatedModel:
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
        raise ConfigError(f"{what}: '{text}' is no number")
    return number
