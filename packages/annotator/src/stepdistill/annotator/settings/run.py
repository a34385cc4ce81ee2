"""Settings of `annotate run`, and of whatever else asks for a task's rows."""

from dataclasses import field, fields, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepdistill.annotator.settings.money import CeilingSettings, PriceSettings, WorthSettings
from stepdistill.annotator.settings.rows import (
    OUT,
    ChosenRowsSettings,
    DataSettings,
    PlainRowsSettings,
    RowShardSettings,
    SamplesSettings,
    SplitsSettings,
    TaskSettings,
    TemplateSettings,
)
from stepdistill.annotator.settings.shards import RateTrialSettings, ShardSettings
from stepdistill.annotator.settings.teacher import (
    AskSettings,
    BatchApiSettings,
    BatchSettings,
    DefaultTokens,
    OfflineSettings,
    TeacherSettings,
    duration_of,
    thinking_room,
)
from stepdistill.common.command_line import (
    PLACE,
    Settings,
    at_least,
    between,
    local_only,
    options,
    read_by,
    taken_from,
)
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import Place

_OUT_OF_TASK = OUT / "TASK"


@options("Store and output", 7)
class StoreSettings(Settings):
    """The response store."""

    store: Annotated[
        Path,
        local_only(
            "a store stays on this machine's disk, and `annotate store export URL` and `annotate "
            "store import URL` carry its answers"
        ),
    ] = OUT / "store"
    """Folder of the response store: nothing is paid for twice."""


STORE = StoreSettings()


@options("Store and output", 7)
class OutSettings(Settings):
    """Where a run's shards go."""

    out: Annotated[Place, PLACE] = _OUT_OF_TASK
    """Folder for the shards, one for each split in it; also a URL, as s3://bucket/run."""


@options("Store and output", 7)
class ProcessesSettings(Settings):
    """How much of this machine is used."""

    processes: Annotated[int | None, at_least(1)] = None
    """So many read stored answers and write shards, once there are many; default: one a core."""


@options("Task", 1)
class VotesSettings(Settings):
    """How often each label is asked for."""

    votes: Annotated[int, at_least(1)] = 1
    """Ask so often for each label; most votes win."""
    logprobs: Annotated[int | None, between(1, 20)] = None
    """Ask how probable each label is, by so many tokens in the place of each; part of the key."""


@options(kw_only=False)
class PlanSettings(  # which requests there are: what `run` asks, and `estimate` prices
    VotesSettings,
    SamplesSettings,
    SplitsSettings,
    DataSettings,
    TemplateSettings,
    TeacherSettings,
    StoreSettings,
    OutSettings,
    TaskSettings,
):
    """A plan: the task's rows and templates, and whom they are put to."""

    def check(self) -> None:
        """Settle where shards go."""
        super().check()
        if self.out == _OUT_OF_TASK:
            self.set_default("out", OUT / self.task)


_CHEAPEST = "--cheapest-by"


@options("Money", 5)
class CheapestSettings(Settings):
    """By when it has to be done."""

    cheapest_by_s: Annotated[
        float | None, read_by(duration_of(_CHEAPEST)), Parameter(name=_CHEAPEST)
    ] = None
    """As 18h: online, flex, batches or another host, whichever is done by then at least cost."""


_SEED = 42


@options("Rows", 2)
class GrowSettings(Settings):
    """Which rows are bought."""

    grow: bool = False
    """Buy rows of split train in rounds, those first that teach a small student most, until
    --max-cost is spent or --point-worth says that more is not worth it."""
    grow_seed: Annotated[int, Parameter(name="--seed")] = _SEED
    """--grow: draws the rows that are bought at random."""


@options(kw_only=False)
class RunSettings(
    GrowSettings,
    ChosenRowsSettings,
    RateTrialSettings,
    ProcessesSettings,
    CheapestSettings,
    BatchApiSettings,
    WorthSettings,
    CeilingSettings,
    PriceSettings,
    OfflineSettings,
    AskSettings,
    PlainRowsSettings,
    RowShardSettings,
    PlanSettings,
):
    """One `annotate run`."""

    batch: BatchSettings = field(default_factory=BatchSettings)
    shards: ShardSettings = field(default_factory=ShardSettings)

    def check(self) -> None:
        super().check()
        if isinstance(self.max_tokens, DefaultTokens):
            room = thinking_room(self.teacher, self.effort)
            self.set_default("max_tokens", self.max_tokens + room)
        if self.shards.min_sureness and self.votes == 1 and self.logprobs is None:
            raise ConfigError(
                "--min-sureness: nothing tells how sure the teacher is: add --logprobs 5, or "
                "--votes 5"
            )
        if self.shards.keep_rationales > self.votes:
            raise ConfigError(
                f"--keep-rationales {self.shards.keep_rationales}: reasons come from different "
                f"votes: add --votes {self.shards.keep_rationales} or more"
            )
        if self.cheapest_by_s is not None and (self.batch_api or self.tier or self.offline):
            raise ConfigError(
                "--cheapest-by chooses mode and tier: leave out --batch-api, --tier and --offline"
            )
        if self.batch != BatchSettings() and not self.batch_api:
            raise ConfigError(
                "an option about batches, without --batch-api: add it, or leave it out"
            )
        if self.batch_api and self.offline:
            raise ConfigError(
                "--offline and --batch-api exclude each other: offline, nobody is asked"
            )
        self._check_rate()
        self._check_grow()
        if not self.batch.wait and self.uses_simulator:
            raise ConfigError(
                "--no-wait: the simulated teacher ends with this command, and its batches with it: "
                "serve one with `annotate simulate`, and name it with --base-url"
            )

    def at_rate(self, rate: float) -> "RunSettings":
        """The same at a rate of reasons that was found, or is tried."""
        shards = replace(self.shards, rationale_rate=rate)
        found = {each.name: each.default for each in fields(RateTrialSettings)}
        return replace(self, shards=shards, point_worth_usd=None, **found)

    def within_round(self) -> "RunSettings":
        """The same for a round of --grow, which is a run like others."""
        each = self.at_rate(0.0) if self.shards.is_rate_found else self
        return replace(each, grow=False, grow_seed=_SEED, point_worth_usd=None)

    def by_what_is_stored(self) -> "RunSettings":
        """The same without anybody who is asked, in batches or otherwise."""
        return replace(self, offline=True, batch_api=False, batch=BatchSettings())

    def after_rounds(self) -> "RunSettings":
        """The same once its rows are chosen."""
        worth = self.point_worth_usd if self.shards.is_rate_found else None
        return replace(self, grow=False, grow_seed=_SEED, point_worth_usd=worth)

    def _check_grow(self) -> None:
        """Raises ConfigError: what --grow cannot be done with, or needs."""
        if not self.grow:
            if self.grow_seed != _SEED:
                raise ConfigError("--seed goes with --grow: a run of all rows draws none")
            return
        if self.max_cost_usd is None and self.point_worth_usd is None:
            raise ConfigError(
                "--grow has to know when to stop: add --max-cost USD, or --point-worth USD"
            )
        if self.row_shard is not None:
            raise ConfigError("--grow chooses among all rows: leave out --shard")
        if self.cheapest_by_s is not None:
            raise ConfigError(
                "--cheapest-by reckons with all rows, and --grow buys some: leave out one"
            )
        if "train" not in self.splits:
            raise ConfigError("--grow buys rows of split train: add --split train")

    def _check_rate(self) -> None:
        """Raises ConfigError: --rationale-rate auto, and what it cannot be done with or is for."""
        if not self.shards.is_rate_found:
            usual = RateTrialSettings()
            if taken_from(self, RateTrialSettings) != usual:
                raise ConfigError("--rationale-student and its kin go with --rationale-rate auto")
            if self.point_worth_usd is not None and not self.grow:
                raise ConfigError("--point-worth goes with --rationale-rate auto or --grow")
            return
        if self.row_shard is not None:
            raise ConfigError(
                "--rationale-rate auto goes with all rows, not with --shard: find the rate on some "
                "(--samples 2000), and give it to the shards"
            )
        if not self.batch.wait:
            raise ConfigError("--rationale-rate auto asks in rounds: leave out --no-wait")
        if "train" not in self.splits:
            raise ConfigError(
                "--rationale-rate auto trains students on split train: add --split train"
            )


@options("Rows", 2)
class SplitSettings(Settings):
    """The one split that rows are chosen from, for what asks as a run does."""

    split: str = "train"
    """The split of the rows."""

    def asking(self, **others: object) -> RunSettings:
        """The run that asks, or whose answers are looked up. others: what differs from these."""
        shards = taken_from(self, ShardSettings)
        return taken_from(self, RunSettings, splits=(self.split,), shards=shards, **others)
