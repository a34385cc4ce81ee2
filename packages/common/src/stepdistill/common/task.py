"""A task: what its rows hold, what its labels are, what the student reads. Read from `task.yaml`.

    task: cqa
    fields:                          placeholder -> where the value lies in a row of the source
      question: question
      choice_a: choices[0]
    label:
      kind: options                  classes | options | equation | text
      options: [choice_a, choice_b]  for options: the placeholders that hold the choices
      classes:                       for classes: name -> what gold and teacher may call it
        entailment: {gold: [0], aliases: ["true"]}
    gold: answer                     where the gold label lies (may be left out)
    student:
      input: "{question}\\n(a) {choice_a}\\n(b) {choice_b}"

A manifest carries the label and student parts, so the trainer needs no prompts folder.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stepdistill.common.placeholders import is_name

LabelKind = Literal["classes", "options", "equation", "text"]
Scalar = str | int | float | bool | None


class ClassSpec(BaseModel):
    """One class of a closed set of labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gold: list[Scalar] = []  # values of the dataset that mean it, besides its name
    aliases: list[str] = []  # other words that a teacher uses for it


class LabelSpec(BaseModel):
    """What kind of label a task has, and the names it may go by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: LabelKind
    classes: dict[str, ClassSpec] = {}  # by name; for kind `classes` alone
    options: list[str] = []  # fields that hold the choices; for kind `options` alone

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> Self:
        if (self.kind == "classes") != bool(self.classes):
            raise ValueError("`classes` goes with kind `classes` and must not be empty there")
        if (self.kind == "options") != bool(self.options):
            raise ValueError("`options` goes with kind `options` and must not be empty there")
        return self


class StudentSpec(BaseModel):
    """How a row's fields become what the student reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str  # a text with the fields as placeholders


class DataSpec(BaseModel):
    """Where rows come from when no --data is given: a hub dataset or the built-in generator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hub: str | None = None  # a dataset's name on the Hugging Face hub
    config: str | None = None  # the hub's name for a subset of it
    generator: Literal["demo"] | None = None
    splits: dict[str, str] = {}  # our name of a split -> the hub's, or a file's in --data


class TaskSpec(BaseModel):
    """A task as its `task.yaml` states it; the module's docstring has an example."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")  # `anli1`, `my-task`
    title: str = ""
    source: str = ""  # where the dataset is from, for people
    data: DataSpec = DataSpec()
    id: str | None = None  # where a row's id lies; None: rows are named by split and number
    fields: dict[str, str] = Field(min_length=1)
    label: LabelSpec
    gold: str | None = None
    gold_rationale: str | None = None
    student: StudentSpec

    @field_validator("fields")
    @classmethod
    def _placeholders_can_name_them(cls, fields: dict[str, str]) -> dict[str, str]:
        for name in fields:
            if not is_name(name):
                raise ValueError(f"`{name}` is not a letter or _, then letters, digits and _")
        return fields
