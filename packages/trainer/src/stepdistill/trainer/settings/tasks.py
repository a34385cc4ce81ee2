"""The table of tasks: what the student is to answer for a row, and what each answer weighs.

    [{"name": "predict", "prefix": "predict: ", "target": "label", "weight": 0.5},
     {"name": "explain", "prefix": "explain: ", "target": "rationale", "weight": 0.5,
      "schedule": "fade"}]

The three tables by name, and where they come from:

    step-by-step      predict and explain, told apart by a prefix (Hsieh et al., arXiv 2305.02301)
    standard          the label alone, without a prefix
    label-rationale   one target, the label first and the rationale after (arXiv 2406.14511)
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.errors import first_problem, refused

Mode = Literal["step-by-step", "standard", "label-rationale"]
Target = Literal["label", "rationale", "label-rationale"]
Schedule = Literal["constant", "fade", "grow"]

SEPARATOR = " Reasons: "
"""Between label and rationale where one target holds both."""


class Task(BaseModel):
    """One task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")  # `explain`, `label-2`
    prefix: str = ""  # put before a row's input
    target: Target
    weight: float = Field(default=1.0, ge=0)  # of its loss, which is a token's mean
    schedule: Schedule = "constant"  # fade: from the weight to 0 over the run; grow: from 0 to it

    def weight_at(self, progress: float) -> float:
        """The weight after `progress` (0..1) of the run."""
        if self.schedule == "constant":
            return self.weight
        return self.weight * (progress if self.schedule == "grow" else 1 - progress)


Table = tuple[Task, ...]

_TABLE = TypeAdapter(Table)


def table_of(mode: Mode, alpha: float) -> Table:
    """The table of that name. alpha: the label's weight in step-by-step, 1 - alpha the other's."""
    if mode == "standard":
        return (Task(name="predict", target="label"),)
    if mode == "label-rationale":
        return (Task(name="answer", target="label-rationale"),)
    return (
        Task(name="predict", prefix="predict: ", target="label", weight=alpha),
        Task(name="explain", prefix="explain: ", target="rationale", weight=1 - alpha),
    )


def read_table(path: Path) -> Table:
    """A table from a JSON file; the first task that starts with the label is the one judged."""
    try:
        with refused(f"--tasks {path}", "read"):
            table = _TABLE.validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"--tasks {path}: {first_problem(error)}") from None
    if not any(task.target.startswith("label") for task in table):
        raise ConfigError(f"--tasks {path}: no task has the label as its target: add one")
    if len({task.name for task in table}) < len(table):
        raise ConfigError(f"--tasks {path}: two tasks bear the same name: rename one")
    return table


def judged(table: Table) -> Task:
    """The task whose answers are scored."""
    return next(task for task in table if task.target.startswith("label"))


def explainer(table: Table) -> Task | None:
    """The task whose answers explain: one of its own, else one that does it behind the label."""
    alone = next((task for task in table if task.target == "rationale"), None)
    return alone or next((task for task in table if task.target == "label-rationale"), None)


def explaining(table: Table) -> bool:
    """Whether any task has use for a rationale."""
    return any(task.target != "label" for task in table)
