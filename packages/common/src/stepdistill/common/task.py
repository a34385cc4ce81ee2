"""A task: what its rows hold, what its labels are, what the student reads. Read from `task.yaml`.

    task: cqa
    fields:                          placeholder -> where the value lies in a row of the source
      question: question
      choice_a: choices[0]
    label:
      kind: options                  classes | options | equation | text | multi | number
      options: [choice_a, choice_b]  for options: the placeholders that hold the choices
      classes:                       for classes, multi: name -> what gold and teacher may call it
        entailment: {gold: [0], aliases: ["true"]}
      minimum: 1                     for number: bounds, and how far off is still right
      maximum: 5                     (all three may be left out)
      tolerance: 0.5
    gold: answer                     where the gold label lies (may be left out)
    data: {path: ../../data/cqa}     where the rows lie, from this file's folder on (or: hub:NAME)
    student:
      input: "{question}\\n(a) {choice_a}\\n(b) {choice_b}"

A manifest carries the label and student parts, so the trainer needs no prompts folder.
"""

from math import isfinite
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stepdistill.common.placeholders import is_name

LabelKind = Literal["classes", "options", "equation", "text", "multi", "number"]
LONGEST_NAME = 100  # of a task: it is a folder's, too
Scalar = str | int | float | bool | None
NO_CLASS = "none"  # what a label of kind `multi` says that names no class
# What goes with which kinds, and whether it must be there.
_PARTS: dict[str, tuple[tuple[LabelKind, ...], bool]] = {
    "classes": (("classes", "multi"), True),
    "options": (("options",), True),
    "minimum": (("number",), False),
    "maximum": (("number",), False),
    "tolerance": (("number",), False),
}


def _is_none(value: object) -> bool:
    return value is None


class ClassSpec(BaseModel):
    """One class of a closed set of labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gold: list[Scalar] = []  # values of the dataset that mean it, besides its name
    aliases: list[str] = []  # other words that a teacher uses for it


class LabelSpec(BaseModel):
    """What kind of label a task has, and the names it may go by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: LabelKind
    classes: dict[str, ClassSpec] = {}  # by name; for kinds `classes` and `multi`
    options: list[str] = []  # fields that hold the choices; for kind `options` alone
    # For kind `number` alone. Left out of what is written where they are not set: the digests of
    # tasks, and the bytes of manifests, are those of before there were such.
    minimum: float | None = Field(default=None, exclude_if=_is_none)
    maximum: float | None = Field(default=None, exclude_if=_is_none)
    # How far from the gold label a number may be to be right, >= 0; None: not at all.
    tolerance: float | None = Field(default=None, ge=0, exclude_if=_is_none)

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> Self:
        for part, (kinds, is_required) in _PARTS.items():
            given, fits = getattr(self, part) not in (None, [], {}), self.kind in kinds
            if (given and not fits) or (is_required and fits and not given):
                names = " and ".join(f"`{kind}`" for kind in kinds)
                must = " and must not be empty there" if is_required else ""
                raise ValueError(f"`{part}` goes with kind {names}{must}")
        if self.kind == "multi":
            self._check_sets()
        bounds = (self.minimum, self.maximum, self.tolerance)
        if not all(isfinite(bound) for bound in bounds if bound is not None):
            raise ValueError("a bound of kind `number` is not finite")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is not below maximum {self.maximum:g}")
        return self

    def _check_sets(self) -> None:
        """A set is written as one text, so no name may look like several, or like no name."""
        for name in self.classes:
            if ";" in name or name.strip().casefold() in ("", NO_CLASS):
                raise ValueError(
                    f"class `{name}`: of kind `multi` no class is called `{NO_CLASS}` (leave it "
                    "out: it is the empty set), and none has a semicolon"
                )


class StudentSpec(BaseModel):
    """How a row's fields become what the student reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str  # a text with the fields as placeholders


class DataSpec(BaseModel):
    """Where rows come from when no --data is given: files, a hub dataset, the built-in generator.

    In `task.yaml` a text alone is the path, or `hub:NAME`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # A folder or file of rows, and the file that they were taken from, which exports follow row for
    # row. Relative to the folder of `task.yaml` there, and to where one stands once it is loaded.
    # Never part of digests: rows are known by what they are, wherever they lie.
    path: str | None = Field(default=None, exclude=True)
    file: str | None = Field(default=None, exclude=True)
    hub: str | None = None  # a dataset's name on the Hugging Face hub
    config: str | None = None  # the hub's name for a subset of it
    generator: Literal["demo"] | None = None
    splits: dict[str, str] = {}  # our name of a split -> the hub's, or a file's in --data


class ColumnSpec(BaseModel):
    """What rows like the dataset's call a row's id and its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None  # where a row's id lies
    fields: dict[str, str]  # placeholder -> where the value lies


class TaskSpec(BaseModel):
    """A task as its `task.yaml` states it; the module's docstring has an example."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # `anli1`, `my-task`
    task: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=LONGEST_NAME)
    title: str = ""
    source: str = ""  # where the dataset is from, for people
    data: DataSpec = DataSpec()
    id: str | None = None  # where a row's id lies; None: rows are named by split and number
    fields: dict[str, str] = Field(min_length=1)
    label: LabelSpec
    gold: str | None = None
    gold_rationale: str | None = None
    student: StudentSpec

    @field_validator("data", mode="before")
    @classmethod
    def _a_text_alone_says_where(cls, data: object) -> object:
        if not isinstance(data, str):
            return data
        return {"hub": data.removeprefix("hub:")} if data.startswith("hub:") else {"path": data}

    @field_validator("fields")
    @classmethod
    def _placeholders_can_name_them(cls, fields: dict[str, str]) -> dict[str, str]:
        for name in fields:
            if not is_name(name):
                raise ValueError(f"`{name}` is not a letter or _, then letters, digits and _")
        return fields

    def columns(self) -> ColumnSpec | None:
        """What a student is told of the task's own rows; None where their fields bear the names of
        the placeholders, or where the task does not say which rows are its own."""
        has_own = self.data.path or self.data.hub or self.data.generator
        is_plain = self.id in (None, "id") and all(a == b for a, b in self.fields.items())
        return ColumnSpec(id=self.id, fields=self.fields) if has_own and not is_plain else None
