"""Settings of what says what a run will cost, and what it did cost."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

from stepdistill.annotator.settings.console import CsvSettings, HtmlSettings
from stepdistill.annotator.settings.money import PriceSettings
from stepdistill.annotator.settings.rows import OUT
from stepdistill.annotator.settings.run import (
    CheapestSettings,
    PlanSettings,
    ProcessesSettings,
    RunSettings,
    StoreSettings,
)
from stepdistill.annotator.settings.shards import RateOfRationalesSettings, ShardSettings
from stepdistill.annotator.settings.study import METADATA_NAME, MetadataSettings
from stepdistill.annotator.settings.teacher import AnswerSettings, RateSettings, TierSettings
from stepdistill.common.command_line import (
    NAMES,
    PLACE,
    at_least,
    comma_separated,
    options,
    taken_from,
)
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import Place


def rates_of(kind: object, tokens: Sequence[Token]) -> tuple[float, ...]:
    """What --rationale-rates says, as 0,0.5,1. Raises ConfigError."""
    words = comma_separated(kind, tokens)
    try:
        rates = tuple(float(word) for word in words)
    except ValueError:
        rates = (-1.0,)
    if not all(0 <= rate <= 1 for rate in rates):
        raise ConfigError(f"--rationale-rates {','.join(words)}: shares from 0 to 1, as 0,0.5,1")
    return rates


@options("Compare", 3, kw_only=False)
class EstimateSettings(
    RateOfRationalesSettings,
    CheapestSettings,
    PriceSettings,
    TierSettings,
    AnswerSettings,
    RateSettings,
    PlanSettings,
    MetadataSettings,
):
    """One `annotate estimate`."""

    _: KW_ONLY
    probe: Annotated[int | None, at_least(1)] = None
    """Ask this many of the requests now (paid and kept) to learn from."""
    compare: Annotated[tuple[str, ...], NAMES] = ()
    """The same run by other models, as a,b,c."""
    templates: Annotated[tuple[str, ...], NAMES] = ()
    """The same rows by each of these templates, as a,b, or all."""
    rationale_rates: Annotated[tuple[float, ...], Parameter(converter=rates_of)] = ()
    """The same run at each of these rates, as 0,0.5,1."""
    few_shot: bool = False
    """Compare with the task's few-shot.yaml."""
    few_shot_file: Path | None = None
    """Compare with the examples of this file."""

    def check(self) -> None:
        super().check()
        if self.is_rate_found:
            raise ConfigError(
                "--rationale-rate auto: how many reasons are worth it comes out while they are "
                "bought: --rationale-rates 0,0.2,0.4,0.7,1 says what each step would cost"
            )

    def run(self) -> RunSettings:
        """The run that is estimated."""
        shards = ShardSettings(rationale_rate=self.rationale_rate)
        return taken_from(self, RunSettings, shards=shards)


@options("Output", 8, kw_only=False)
class ReportSettings(CsvSettings, HtmlSettings, PriceSettings, ProcessesSettings, StoreSettings):
    """One `annotate report`."""

    target: Annotated[Place, PLACE]
    """The folder of a run's shards, also as a URL, or a store."""
    _: KW_ONLY
    run: str | None = None
    """One of several runs, by the start of its name."""
    metadata: Path | None = None
    """Where results of templates are kept; default: runs/TASK/metadata.yaml."""

    def metadata_of(self, task: str) -> Path:
        """Where the results of a task's templates are kept."""
        return self.metadata or OUT / task / METADATA_NAME
