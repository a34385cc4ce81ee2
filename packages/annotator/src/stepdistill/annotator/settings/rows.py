"""Settings: which task, which of its templates, which rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from stepdistill.common.command_line import (
    NAMES,
    PATH_OR_NAME,
    Settings,
    at_least,
    options,
    read_by,
)
from stepdistill.common.errors import ConfigError

OUT = Path("runs")
PROMPTS = Path("prompts")


@options("Task", 1, kw_only=False)
class TaskSettings(Settings):
    """A task, by the name of its folder."""

    task: str
    """A folder of --prompts, e.g. demo, svamp, cqa."""
    _: KW_ONLY
    prompts: Path = PROMPTS
    """Folder of tasks. A task that ./prompts does not have is looked for among the shipped ones."""

    def check(self) -> None:
        """Settle where the task is."""
        super().check()
        shipped = shipped_tasks()
        elsewhere = self.prompts == PROMPTS and not (self.prompts / self.task).is_dir()
        if elsewhere and ((shipped / self.task).is_dir() or not self.prompts.is_dir()):
            self.set_default("prompts", shipped)


@options("Task", 1)
class TemplateSettings(Settings):
    """Which of the task's templates ask; neither: the task's mix `default`."""

    template: str | None = None
    """One template for label and rationale."""
    mix: str | None = None
    """A mix of the task by name, or a file; default: default."""

    def check(self) -> None:
        super().check()
        if self.template is not None and self.mix is not None:
            raise ConfigError("--template and --mix exclude each other: a mix names its templates")


@options("Rows", 2)
class DataSettings(Settings):
    """Where the rows are."""

    data: Annotated[str | None, PATH_OR_NAME] = None
    """Folder or file of rows (JSON, tables, Parquet; packed, too), a URL, or hub:NAME; default: the
    task's."""


@options("Rows", 2)
class PlainRowsSettings(Settings):
    """How the rows are laid out."""

    plain_rows: bool = False
    """Rows have the task's fields by their own names, and no labels: as `predict --defer` keeps
    them."""


@options("Rows", 2)
class SplitsSettings(Settings):
    """The splits of a run."""

    splits: Annotated[tuple[str, ...], NAMES, Parameter(name=("--split", "--splits"))] = ("train",)
    """Given several times, or with commas."""


@options("Rows", 2)
class SamplesSettings(Settings):
    """How many rows."""

    samples: Annotated[int | None, at_least(1)] = None
    """Only the first N rows of each split."""


@options()
class ChosenRowsSettings(Settings):
    """Rows that were chosen (`run --grow`): no option, as what chooses them settles it."""

    chosen: Annotated[Mapping[str, Sequence[int]], Parameter(parse=False, show=False)] = field(
        default_factory=dict[str, Sequence[int]]
    )
    """Their places by split; of a split that is not in it, all rows are done."""


class RowShard(NamedTuple):
    """One of several parts of all rows, by place: each is a run of its own, on any machine."""

    number: int  # from 0
    of: int  # how many there are, >= 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def rows(self, n: int) -> range:
        """Its rows of n, by place: as many as of any other, or one more."""
        return range(n * self.number // self.of, n * (self.number + 1) // self.of)


_ROW_SHARD = re.compile(r"(\d{1,7})/(\d{1,7})")  # 0/4


def _row_shard(text: str) -> RowShard:
    found = _ROW_SHARD.fullmatch(text.strip())
    shard = RowShard(*map(int, found.groups())) if found else RowShard(0, 0)
    if shard.number >= shard.of:
        raise ConfigError(
            f"--shard {text}: i/N, the rows of the i-th of N shards, i from 0: 0/4, 1/4, 2/4, 3/4"
        )
    return shard


@options("Rows", 2)
class RowShardSettings(Settings):
    """Which of the rows are this run's, where several machines share them."""

    row_shard: Annotated[RowShard | None, read_by(_row_shard), Parameter(name="--shard")] = None
    """As 0/4: only the first quarter of the rows, by place; `annotate gather` joins all four. Each
    has a --store and an --out of its own, and a quarter of --max-cost and of all limits."""
    whole_limits: bool = False
    """With --shard: money and limits are this shard's alone, and not shared with the others."""

    def check(self) -> None:
        super().check()
        if self.whole_limits and self.row_shard is None:
            raise ConfigError("--whole-limits is about --shard: leave it out, there is one run")

    @property
    def share(self) -> int:
        """Limits and money are divided by this number."""
        return 1 if self.row_shard is None or self.whole_limits else self.row_shard.of


def shipped_tasks() -> Path:
    """The tasks that come with the package: in it where it is installed, else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped_tasks"
    return installed if installed.is_dir() else package.parents[4] / "prompts"


def known_tasks() -> Path:
    """A folder of tasks: ./prompts where one stands, else the shipped ones."""
    return PROMPTS if PROMPTS.is_dir() else shipped_tasks()
