"""Settings of `stepdistill distil`: the whole way from a file to a student."""

import re
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated
from unicodedata import normalize

from cyclopts import Parameter

from stepdistill.common.command_line import NAMES, Settings, at_least, options, read_by
from stepdistill.common.errors import ConfigError
from stepdistill.common.task import LONGEST_NAME

SIMULATED = "simulated"


def _usd(text: str) -> str:
    """What --max-cost says, as it was written."""
    if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        raise ConfigError(f"--max-cost {text}: US dollars, as 5 or 0.25")
    return text


@options("Rows", 1, kw_only=False)
class SourceSettings(Settings):
    """A file of one's own."""

    file: Path
    """Rows: a table (CSV, Excel, ...), JSON or Parquet."""
    _: KW_ONLY
    label: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """The column with the label, which may be empty in rows; repeated, several make sets; default:
    guessed."""
    labels: Annotated[tuple[str, ...], NAMES] = ()
    """What there is to choose from, for a file without labels: a,b,c."""
    unlabelled: bool = False
    """The file has no labels, and any short text may be one."""
    text: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """A column to read; may be repeated; default: all but label and ids."""
    id: str | None = None
    """The column that names rows."""


@options("Teacher and money", 2)
class PaidSettings(Settings):
    """Who is asked, and what it may cost."""

    teacher: str
    """The model that is asked; simulated: on this machine, no key, no cost."""
    base_url: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Where it is served, once for each of several servers; default: OpenAI."""
    max_cost: Annotated[str | None, read_by(_usd)] = None
    """US dollars that all of it may cost together."""
    store: Path | None = None
    """Folder of the response store; default: runs/store, as of every other command."""
    test_size: Annotated[int | None, at_least(2)] = None
    """Rows that every template is tried on; default: as `annotate experiment` has it."""
    run_config: Path | None = None
    """YAML of more options of `annotate run`."""
    yes: bool = False
    """Ask nobody whether it may cost that."""


@options("Student", 3)
class LearnerSettings(Settings):
    """Who learns."""

    student: str
    """As --model of `stepdistill train`: a folder, a hub id, or micro, tiny, mini: from scratch."""
    baseline: str | None = None
    """A base (as answerdotai/ModernBERT-base, or tiny) for a classifier of the same labels, without
    reasons, that the student is compared with."""
    steps: Annotated[int | None, at_least(1)] = None
    """Optimizer steps; default: 20 times over the rows, from 200 to 10,000."""
    train_config: Path | None = None
    """YAML of more options of `stepdistill train`."""


@options("Output", 4, kw_only=False)
class DistilSettings(LearnerSettings, PaidSettings, SourceSettings):
    """One `stepdistill distil`."""

    _: KW_ONLY
    out: Path
    """Folder for all of it; its name is the task's."""
    as_json: Annotated[bool, Parameter(name="--json")] = False
    """Print one JSON object, for programs."""

    def check(self) -> None:
        super().check()
        given = {"--label": self.label, "--labels": self.labels, "--unlabelled": self.unlabelled}
        ways = [name for name, value in given.items() if value]
        if len(ways) > 1:
            raise ConfigError(f"{' and '.join(ways)} exclude each other")
        if self.yes and self.max_cost is None and self.teacher != SIMULATED:
            raise ConfigError("--yes without --max-cost: name the USD that it may cost, as 5")
        if not self.task:
            raise ConfigError(f"--out {self.out}: its name is the task's, and has no letter")

    @property
    def task(self) -> str:
        """The task's name: that of the folder, as a task may be called."""
        plain = normalize("NFKD", self.out.absolute().name)  # `Ü` is `U` and two dots
        name = re.sub(r"[^a-z0-9_-]+", "-", re.sub(r"[\u0300-\u036f]", "", plain).lower())
        return name.lstrip("-_")[:LONGEST_NAME].rstrip("-")
