"""Settings of the cascade: how right it must be, and how the teacher is asked by it."""

from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.common.command_line import Settings, at_least, between, options
from stepdistill.common.errors import ConfigError
from stepdistill.common.files.storage import cache_folder
from stepdistill.common.named_teacher import NamedTeacher, named_teachers
from stepdistill.trainer.settings.inference import (
    PredictSettings,
    QuietSettings,
    ServeSettings,
    StudentSettings,
)

CASCADE_NAME = "cascade.json"  # of what was found, within the model's folder
Promise = Literal["system", "student"]
_LEAST, _MOST = 0.5, 0.999
_NEEDS_DEFER = ("prompts", "store", "max_cost", "base_url", "run_config", "deferred_to")


@options("Cascade", 2, kw_only=False)
class CascadeSettings(QuietSettings, StudentSettings):
    """Which promise is to be kept, and by which rows that is found out."""

    _: KW_ONLY
    teacher: str
    """Who labels what the student defers: the teacher of the validation rows' shards, with
    @effort=low, @flex or @http://host/v1 behind it where it was asked so."""
    target: Annotated[float, between(_LEAST, _MOST)] = 0.95
    """Share of answers that must be right."""
    risk: Annotated[float, between(1e-6, 0.5)] = 0.05
    """Chance that the promise is not kept, by an unlucky draw of the validation rows."""
    promise: Promise = "system"
    """system: of all answers, the teacher's included; student: of those that the student gives."""
    valid: tuple[Path, ...] = ()
    """Folders of shards that the student has not learnt from; default: its run's own."""
    judgements: Path | None = None
    """What people judged (`annotate audit`): their labels are gold labels."""
    as_json: Annotated[bool, Parameter(name="--json")] = False
    """Print one JSON object, for programs."""

    @property
    def named_teacher(self) -> NamedTeacher:
        """Who that is. Raises ConfigError: what is wrong with the name."""
        return named_teachers([self.teacher], "--teacher")[0]

    def check(self) -> None:
        super().check()
        named = self.named_teacher
        if named.is_batch:
            raise ConfigError(f"--teacher {named.name}: whoever waits for a row waits for no batch")
        if named.has_secrets:
            raise ConfigError(
                f"--teacher {named.name}: its address has a password, which would be written into "
                f"{CASCADE_NAME}: name it with --base-url when you ask (--defer)"
            )
        if self.model.absolute().is_relative_to(cache_folder("").absolute()):
            raise ConfigError(
                f"{self.model.name}: a student elsewhere, and its cascade is written beside it: "
                "name a folder here, and put it there again"
            )


@options("Asking the teacher", 4)
class DeferSettings(Settings):
    """How the teacher is asked for what the student defers: as `annotate run` asks it."""

    defer: bool = False
    """Ask the teacher for what the student is unsure of, by what `stepdistill cascade` found."""
    prompts: Path | None = None
    """Folder of tasks, as of `annotate run`; it asks on your behalf."""
    store: Path | None = None
    """Folder of the response store: nothing is paid for twice; default: runs/store."""
    max_cost: str | None = None
    """US dollars that all runs of the task on this store may cost together."""
    base_url: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Where the teacher is served, once for each of several servers; default: its provider, or as
    `stepdistill cascade` was told."""
    run_config: Path | None = None
    """YAML of more options of `annotate run`, such as limits."""
    deferred_to: Path | None = None
    """Folder for the deferred rows and the teacher's labels, to learn from; default: beside the
    answers, or beside the model."""

    def check(self) -> None:
        super().check()
        given = [name for name in _NEEDS_DEFER if getattr(self, name)]
        if given and not self.defer:
            raise ConfigError(f"--{given[0].replace('_', '-')} goes with --defer")


@options(kw_only=False)
class DeferringPredictSettings(DeferSettings, PredictSettings):
    """Rows to label, by the student alone or with its teacher."""

    _: KW_ONLY
    fall_back: Annotated[bool, Parameter(group="Asking the teacher")] = False
    """Where the teacher cannot be asked (a ceiling, an outage), take the student's own answer."""

    def check(self) -> None:
        super().check()
        if self.fall_back and not self.defer:
            raise ConfigError("--fall-back goes with --defer")
        if self.defer and self.abstain_below:
            raise ConfigError("--abstain-below and --defer exclude each other: what is deferred")


@options(kw_only=False)
class DeferringServeSettings(DeferSettings, ServeSettings):
    """Where a student is served, alone or with its teacher."""

    _: KW_ONLY
    defer_timeout_s: Annotated[
        float, at_least(0), Parameter(name="--defer-timeout", group="Asking the teacher")
    ] = 60.0
    """Seconds that a caller waits for the teacher: then the student's own answer is given."""
