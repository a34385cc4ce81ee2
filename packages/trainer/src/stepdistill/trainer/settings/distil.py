"""Settings of `stepdistill distil`: the whole way from a file to a student."""

import re
from dataclasses import KW_ONLY, replace
from pathlib import Path
from typing import Annotated
from unicodedata import normalize

from cyclopts import Parameter

from stepdistill.common.command_line import NAMES, Settings, at_least, between, options, read_by
from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher, named_teachers
from stepdistill.common.task import LONGEST_NAME

SIMULATED = "simulated"


def _usd(option: str) -> Parameter:
    """An option in US dollars, as it was written."""

    def read(text: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
            raise ConfigError(f"{option} {text}: US dollars, as 5 or 0.25")
        return text

    return read_by(read)


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
    """The model that is asked; simulated: on this machine, no key, no cost; where it is so, with
    @effort=low, @flex, @batch or @http://host/v1 behind it. Of several, with commas, the one to buy
    is found out first."""
    base_url: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Where it is served, once for each of several servers; default: OpenAI."""
    max_cost: Annotated[str | None, _usd("--max-cost")] = None
    """US dollars that all of it may cost together."""
    budget: Annotated[str | None, _usd("--budget")] = None
    """US dollars for all of it, the training by --gpu-hour included: a plan says what each is for,
    and so many rows are asked as it allows."""
    gpu_hour: Annotated[str | None, _usd("--gpu-hour")] = None
    """With --budget: US dollars that an hour of training costs, for each GPU."""
    point_worth: Annotated[str | None, _usd("--point-worth")] = None
    """US dollars that one more percentage point of the student's accuracy is worth."""
    store: Path | None = None
    """Folder of the response store; default: runs/store, as of every other command."""
    test_size: Annotated[int | None, at_least(2)] = None
    """Rows that every template is tried on; default: as `annotate experiment` has it."""
    rationale_rate: str | None = None
    """Share of the rows that reasons are kept of, or auto: what small students say that pays; as of
    `annotate run`."""
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


@options("Target", 4)
class TargetSettings(Settings):
    """How right the answers must be."""

    target: Annotated[float | None, between(0.5, 0.999)] = None
    """Share of answers that must be right: by the student alone, else with its teacher behind it,
    as `stepdistill cascade` finds out."""
    risk: Annotated[float | None, between(1e-6, 0.5)] = None
    """Chance that the target is missed, by an unlucky draw of the rows of valid; default: as of
    `stepdistill cascade`."""


@options("Output", 5, kw_only=False)
class DistilSettings(TargetSettings, LearnerSettings, PaidSettings, SourceSettings):
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
        if self.budget is not None and self.max_cost is not None:
            raise ConfigError("--budget has the teacher's cost within it: leave out --max-cost")
        if self.gpu_hour is not None and self.budget is None:
            raise ConfigError("--gpu-hour goes with --budget")
        if self.yes and self.ceiling is None and not self.is_rehearsal:
            raise ConfigError("--yes without --max-cost: name the USD that it may cost, as 5")
        if self.base_url and any(each.addresses for each in self._named):
            raise ConfigError("--base-url, or an address behind --teacher's @: not both")
        if not self.task:
            raise ConfigError(f"--out {self.out}: its name is the task's, and has no letter")

    @property
    def ceiling(self) -> str | None:
        """USD that may be spent in any case, None where nothing says so."""
        return self.budget if self.budget is not None else self.max_cost

    @property
    def is_rehearsal(self) -> bool:
        """Whether nobody is asked who costs anything."""
        return self.teacher == SIMULATED

    @property
    def has_several_teachers(self) -> bool:
        """Whether it is to be found out which one to buy."""
        return len(self.teachers) > 1

    @property
    def teachers(self) -> tuple[NamedTeacher, ...]:
        """Who is asked, or may be, and where. Raises ConfigError: what is wrong with a name."""
        return tuple(
            each if each.addresses else replace(each, addresses=self.base_url)
            for each in self._named
        )

    @property
    def _named(self) -> tuple[NamedTeacher, ...]:
        words = (word.strip() for word in self.teacher.split(","))
        named = named_teachers([word for word in words if word], "--teacher")
        if not named:
            raise ConfigError("--teacher: a model is missing")
        return named

    @property
    def task(self) -> str:
        """The task's name: that of the folder, as a task may be called."""
        plain = normalize("NFKD", self.out.absolute().name)  # `Ü` is `U` and two dots
        name = re.sub(r"[^a-z0-9_-]+", "-", re.sub(r"[\u0300-\u036f]", "", plain).lower())
        return name.lstrip("-_")[:LONGEST_NAME].rstrip("-")
