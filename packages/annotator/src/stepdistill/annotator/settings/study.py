"""Settings of what judges templates: experiments, their evaluation, prompt searches, plots."""

from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.annotator.settings.console import CsvSettings, HtmlSettings
from stepdistill.annotator.settings.money import CeilingSettings, PriceSettings
from stepdistill.annotator.settings.rows import (
    OUT,
    DataSettings,
    SamplesSettings,
    TaskSettings,
    known_tasks,
)
from stepdistill.annotator.settings.run import (
    ProcessesSettings,
    RunSettings,
    SplitSettings,
    StoreSettings,
)
from stepdistill.annotator.settings.shards import ReaderSettings, ReadingSettings
from stepdistill.annotator.settings.teacher import (
    SIMULATED,
    Addresses,
    AskSettings,
    BatchApiSettings,
    OfflineSettings,
    ServerSettings,
    TeacherSettings,
)
from stepdistill.common.command_line import (
    FILE_OR_SCREEN,
    NAMES,
    Settings,
    at_least,
    between,
    options,
    read_by,
)
from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher, named_teachers

METADATA_NAME = "metadata.yaml"
_METADATA = OUT / "TASK" / METADATA_NAME
_SEARCH = OUT / "TASK" / "search"
_OPTIMIZER_TOKENS = 1024


def _size(text: str) -> int | float:
    """What --test-size says: a number of rows, or a fraction as a float."""
    try:
        size = float(text) if "." in text else int(text)
    except ValueError:
        size = 0
    if size <= 0 or (isinstance(size, float) and size > 1):
        raise ConfigError(f"--test-size {text}: a number of rows, as 100, or a fraction, as 0.25")
    return size


@options("Tournament", 3)
class TeachersSettings(Settings):
    """Several teachers, and what is bought of them."""

    teachers: Annotated[tuple[str, ...], NAMES] = ()
    """In place of --teacher, as A,B@effort=low,C@flex,D@batch,small@http://host/v1: raced against
    each other, every template and price."""
    margin: Annotated[float, between(0, 0.5)] = 0.02
    """Buy the cheapest that is at most this share of the rows behind the most accurate."""
    worth: Annotated[float | None, at_least(1e-9)] = None
    """What a right label is worth to you, in USD: then buy what leaves most of that."""


@options("Rows", 2)
class SeedSettings(Settings):
    """How rows are drawn."""

    seed: int = 42
    """Draws the rows; 50 of a seed are among its 100."""


@options("Task", 1)
class TemplatesSettings(Settings):
    """Several templates."""

    templates: Annotated[tuple[str, ...], NAMES] = ()
    """Templates by id, as a,b,c; default: all of the task."""


@options("Output", 8)
class MetadataSettings(TaskSettings):
    """Where the results of a task's templates are kept."""

    metadata: Path = _METADATA
    """Where results are kept."""

    def check(self) -> None:
        super().check()
        if self.metadata == _METADATA:
            self.set_default("metadata", OUT / self.task / METADATA_NAME)


@options("Output", 8)
class RankingSettings(CsvSettings, HtmlSettings):
    """Where a ranking is written, too."""

    md: Annotated[str | None, FILE_OR_SCREEN] = None
    """Likewise, as Markdown."""


@options("Output", 8)
class PictureSettings(Settings):
    """Whether a picture is drawn, too."""

    plot: Path | None = None
    """Draw the efficient frontier into this folder, as PNG and SVG."""


@options("Rows", 2)
class TrialSettings(
    SeedSettings, TemplatesSettings, ReadingSettings, ReaderSettings, SplitSettings
):
    """Which rows are put to which templates."""

    test_size: Annotated[int | float | None, read_by(_size)] = None
    """How many rows, as 100, or which part of them, as 0.25; default: all."""


@options("Race", 3)
class RaceSettings(Settings):
    """Whether hopeless templates are stopped early."""

    race: Annotated[bool | None, Parameter(negative="--no-race")] = None
    """Stop hopeless templates early; see --race-error. The default with --teachers."""
    race_error: Annotated[float, between(0, 1)] = 0.05
    """The chance you accept that a stopped one was the best."""
    race_share: Annotated[float, between(0, 1)] = 0.4
    """The part of all answers that a race may cost to get there."""


@options(kw_only=False)
class ExperimentSettings(
    RankingSettings,
    PictureSettings,
    RaceSettings,
    TeachersSettings,
    TrialSettings,
    BatchApiSettings,
    CeilingSettings,
    PriceSettings,
    OfflineSettings,
    AskSettings,
    DataSettings,
    TeacherSettings,
    StoreSettings,
    MetadataSettings,
):
    """One `annotate experiment`."""

    teacher: str = ""
    """The model to ask, as MODEL or PROVIDER:MODEL, or `simulated`; several: --teachers."""
    test_size: Annotated[int | float | None, read_by(_size)] = 100
    """How many rows, as 100, or which part of them, as 0.25."""
    allow_leak: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """A template that may print the gold label; may be repeated."""

    def check(self) -> None:
        super().check()
        if bool(self.teacher) == bool(self.teachers):
            raise ConfigError(
                "name one model with --teacher, or several with --teachers A,B"
                if not self.teacher
                else "--teacher and --teachers exclude each other: name all with --teachers"
            )
        if self.teachers:
            named_teachers(self.teachers)
            if self.batch_api:
                raise ConfigError(
                    "--batch-api: a race cannot wait for batches; A@batch in --teachers asks "
                    "online, and reckons with the price of batches"
                )
        elif self.plot is not None or self.worth is not None:
            raise ConfigError("--plot and --worth are about several teachers: name --teachers")

    def asking_of(self, named: NamedTeacher) -> RunSettings:
        """The run that asks one of several teachers."""
        here = None if named.teacher == SIMULATED else self.base_url
        return self.asking(
            teacher=named.teacher,
            base_url=Addresses.of(named.addresses) or here,
            effort=named.effort or self.effort,
            tier=named.tier or self.tier,
        )


@options(kw_only=False)
class EvaluateSettings(
    RankingSettings,
    TrialSettings,
    PriceSettings,
    DataSettings,
    ServerSettings,
    StoreSettings,
    MetadataSettings,
):
    """One `annotate evaluate`."""

    teacher: str = ""
    """Whose answers; without it, all that the metadata file has is computed again."""

    def asking(self, **others: object) -> RunSettings:
        """The run whose answers are looked up."""
        return super().asking(offline=True, **others)


@options(kw_only=False)
class ParseSettings(
    ProcessesSettings,
    ReaderSettings,
    SamplesSettings,
    SplitSettings,
    DataSettings,
    ServerSettings,
    StoreSettings,
    TaskSettings,
):
    """One `annotate parse`."""

    template: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Only this template; may be repeated."""
    diff: tuple[str, str] | None = None
    """BEFORE AFTER: what do two readers read differently? Either may be a file of --jsonl lines."""
    teacher: str = ""
    """Whose answers; default: everybody's that the store has."""
    jsonl: bool = False
    """A JSON line for each answer, for programs."""

    def asking(self, **others: object) -> RunSettings:
        """The run whose answers are looked up, with whichever templates."""
        return super().asking(template=None, **others)


@options("Search", 3)
class SearchSettings(SeedSettings, TemplatesSettings):
    """How a prompt search is made."""

    iterations: Annotated[int, at_least(1)] = 20
    """Rounds of proposals."""
    candidates: Annotated[int, at_least(1)] = 8
    """Proposals in each."""
    keep: Annotated[int, at_least(1)] = 15
    """Best templates that the optimizer is shown."""
    test_size: Annotated[int, at_least(2)] = 25
    """Rows that every template is scored on."""
    held_out: Annotated[int, at_least(0)] = 100
    """Other rows, to confirm the winner with in the end."""
    problems: Annotated[int, at_least(1)] = 3
    """Other rows, shown to the optimizer with their labels."""
    temperature: Annotated[float, at_least(0)] = 1.0
    """Of the optimizer."""
    race: Annotated[bool, Parameter(negative="--no-race")] = True
    """Stop hopeless candidates early."""
    templates: Annotated[tuple[str, ...], NAMES] = ()
    """Where to begin, by id, as a,b,c; default: all of the task, less what was found."""


@options(kw_only=False)
class OptimizeSettings(
    HtmlSettings,
    SearchSettings,
    ReadingSettings,
    SplitSettings,
    CeilingSettings,
    PriceSettings,
    AskSettings,
    DataSettings,
    TeacherSettings,
    StoreSettings,
    TaskSettings,
):
    """One `annotate optimize`."""

    optimizer: str | None = None
    """The model that proposes templates; default: --teacher."""
    optimizer_base_url: str | None = None
    """Where that one is served; default: as --base-url."""
    write_templates: Literal["confirmed", "always", "never"] | None = None
    """Append the winner to the task's templates.yaml: confirmed (the default: if it is better on
    held-out rows), always or never (the default where the teacher is simulated)."""
    out: Path = _SEARCH
    """For history and scores."""

    def check(self) -> None:
        super().check()
        if self.out == _SEARCH:
            self.set_default("out", OUT / self.task / "search")

    def asking(self, **others: object) -> RunSettings:
        """How the teacher is asked."""
        return super().asking(out=OUT / self.task, **others)

    def optimizing(self) -> RunSettings:
        """How the optimizer is asked. A template needs more room than a label and its reasons."""
        here = None if self.optimizer == SIMULATED else self.base_url
        return replace(
            self.asking(),
            teacher=self.optimizer or self.teacher,
            base_url=self.optimizer_base_url or here,
            max_tokens=max(self.max_tokens, _OPTIMIZER_TOKENS),
        )


@options("Output", 8)
class PlotsSettings(Settings):
    """One `annotate plots`."""

    out: Path
    """Folder for the figures."""
    task: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """A task; may be repeated; default: all that something is known of."""
    metadata: Annotated[tuple[Path, ...], Parameter(consume_multiple=False)] = ()
    """In place of runs/TASK/metadata.yaml and the search's; may be repeated."""
    few_shot: Annotated[tuple[Path, ...], Parameter(consume_multiple=False)] = ()
    """In place of runs/TASK/few-shot.json; may be repeated."""
    tournament: Annotated[tuple[Path, ...], Parameter(consume_multiple=False)] = ()
    """In place of runs/TASK/tournament.json, of `experiment --teachers`; may be repeated."""
    history: Annotated[tuple[Path, ...], Parameter(consume_multiple=False)] = ()
    """In place of runs/TASK/search/history.jsonl; may be repeated."""
    prompts: Path = field(default_factory=known_tasks)
    """Folder of tasks; default: ./prompts where one stands, else the shipped ones."""
