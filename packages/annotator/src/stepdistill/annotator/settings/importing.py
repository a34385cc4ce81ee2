"""Settings of what brings in other files: a file of one's own, the original's folder."""

import re
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.annotator.settings.rows import PROMPTS
from stepdistill.annotator.settings.run import StoreSettings
from stepdistill.common.command_line import NAMES, PATH_OR_NAME, Settings, between, options
from stepdistill.common.errors import ConfigError
from stepdistill.common.task import LONGEST_NAME

_DATA_OF_TASK = Path("data/TASK")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")  # tickets, my-task_2


def check_task_name(name: str) -> None:
    """Raise ConfigError where no task may be called so: it is the name of folders."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"task {name[:LONGEST_NAME]}: small letters, digits, - and _, at most {LONGEST_NAME}"
        )


@options("Task", 1, kw_only=False)
class NewSettings(Settings):
    """One `annotate new`."""

    task: str
    """The new task's name, as tickets."""
    file: Annotated[str, PATH_OR_NAME]
    """Rows: a table (CSV, Excel, ...), JSON or Parquet; a path or a URL."""
    _: KW_ONLY
    label: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """The column with the label; repeated, several make sets; default: guessed."""
    labels: Annotated[tuple[str, ...], NAMES] = ()
    """What there is to choose from, for a file without labels: a,b,c."""
    unlabelled: bool = False
    """The file has no labels, and any short text may be one."""
    text: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """A column to read, or content.text; may be repeated; default: all but label and ids."""
    id: str | None = None
    """The column that names rows; default: the one called so that names each once."""
    kind: Literal["classes", "multi", "number", "text"] | None = None
    """What labels are: one of several names, any of them, a number, or any text; default: by the
    column's values."""
    prompts: Path = PROMPTS
    """Where the task's folder goes."""
    data_out: Path = _DATA_OF_TASK
    """Where the splits go."""
    valid: Annotated[float, between(0, 1)] = 0.1
    """Share of rows to select by."""
    test: Annotated[float, between(0, 1)] = 0.1
    """Share of rows to be judged on."""
    yes: bool = False
    """Ask nothing: take what is likeliest."""

    def check(self) -> None:
        super().check()
        check_task_name(self.task)
        self._check_labels()
        if self.valid + self.test >= 1:
            raise ConfigError(
                f"--valid {self.valid:g} --test {self.test:g}: nothing is left to train on"
            )
        if self.data_out == _DATA_OF_TASK:
            self.set_default("data_out", _DATA_OF_TASK.parent / self.task)

    def _check_labels(self) -> None:
        given = {"--label": self.label, "--labels": self.labels, "--unlabelled": self.unlabelled}
        ways = [name for name, value in given.items() if value]
        if len(ways) > 1:
            raise ConfigError(f"{' and '.join(ways)} exclude each other")
        if self.labels and self.kind not in (None, "classes", "multi"):
            raise ConfigError(f"--labels are names to choose from: no --kind {self.kind}")
        if len(self.labels) == 1:
            raise ConfigError(f"--labels {self.labels[0]}: one name alone is no choice: a,b,c")
        if self.unlabelled and self.kind not in (None, "text", "number"):
            raise ConfigError(f"--kind {self.kind} has names to choose from: --labels a,b,c")
        if len(self.label) > 1 and self.kind not in (None, "multi"):
            raise ConfigError(f"several --label make sets, of kind multi: no --kind {self.kind}")


@options("Task", 1, kw_only=False)
class ImportSettings(StoreSettings):
    """One `annotate import-original`."""

    src: Path
    """Folder with prompt-templates/, prompt-mixes/, query-results/."""
    _: KW_ONLY
    prompts: Path = PROMPTS
    """Where templates and mixes go."""


@options("Task", 1, kw_only=False)
class CheckOriginalSettings(Settings):
    """One `annotate check-original`."""

    src: Path
    """Folder with prompt-metadata/, prompt-templates/, query-results/"""
    _: KW_ONLY
    task: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Only these tasks; may be repeated."""
