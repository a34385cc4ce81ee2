"""The base of all kinds of label: what is asked of a kind wherever labels are handled.

A task's label spec names its kind; `registry.kind_of` makes it. Reading, scoring, prompts, the
simulator and the student ask the kind and never what it is called.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from pydantic import JsonValue

from stepdistill.common.labels import normal, plain
from stepdistill.common.task import LabelKind, LabelSpec, Scalar

_WHOLE = re.compile(r"[-+]?\d+\.0+")
Answered = tuple[str | None, str]
"""(what was answered, None where nothing could be read; the gold label)."""


class LabelWording(NamedTuple):
    """What a prompt says of a label."""

    question: str  # with the names to choose from, one a line, where there are such
    answer: str  # what stands in the place of the answer: `the intent, one of these names`
    value: str  # the same, of the field of a JSON object


class Kind(ABC):
    """One task's kind of label."""

    name: ClassVar[LabelKind]
    is_prose: ClassVar[bool] = False  # right answers may differ in wording, so overlap is measured
    is_one_class: ClassVar[bool] = False  # a label is one class of a set that all rows share

    def __init__(self, spec: LabelSpec) -> None:
        self.spec = spec

    @abstractmethod
    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        """What is wrong with a label of a row that has these fields; None where it is well formed.

        >>> kind_of(LabelSpec(kind="number", maximum=5)).check("7", {})
        '7 is more than 5'
        """

    @abstractmethod
    def schema(self) -> dict[str, JsonValue]:
        """The JSON schema of a label in a structured answer."""

    @abstractmethod
    def wording(self, what: str) -> LabelWording:
        """What a prompt says that asks for `what`, as the label's column is called."""

    @abstractmethod
    def sentence(self) -> str:
        """The same for an optimiser that writes prompts: which labels there are, in one sentence.

        It stands in stored requests: a change of words asks them anew.
        """

    def same(self, one: str, other: str, choices: Sequence[str] = ()) -> bool:
        """Whether two labels mean the same. choices: the labels that the row can have."""
        return one == other or self.form(one, choices) == self.form(other, choices)

    def form(self, label: str, choices: Sequence[str] = ()) -> tuple[str, ...]:
        """What a label is compared by. choices: as above. Of two choices that differ in case alone
        each is itself, and what is neither is none of them."""
        named = named_in(choices, label)
        return ("", plain(label)) if named is None else (named,)

    def right_is(self) -> str:
        """What counts as right, in words, where that is not the very label."""
        return ""

    def gold_text(self, value: object) -> str:
        """A value of the dataset as `gold` takes it."""
        return text_of(value)

    def gold(self, text: str) -> str | None:
        """The dataset's text as a label in the task's words; None where it is none."""
        return text or None

    def choices(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        """All labels that a row with these fields can have; empty where they cannot be listed."""
        return ()

    def classes_in(self, label: str) -> tuple[str, ...]:
        """The classes that a label names, of a kind that is scored by class."""
        return ()

    def target(self, label: str) -> str:
        """What the student is to say."""
        return label

    def label_of(self, text: str) -> str:
        """The label in what a student says; the text itself where it is no label."""
        return text

    def said(self, text: str) -> str | None:
        """The same for whoever uses the label; None where it is none of this kind."""
        return self.label_of(text)

    def scores(self, answered: Sequence[Answered]) -> dict[str, float]:
        """What is measured besides the share of labels that are right: measure -> value. What is
        not defined for these rows (the correlation of a constant) is left out."""
        return {}

    def invented(self, fields: Mapping[str, str], u: float) -> str:
        """A label for a row whose gold label nobody knows, for a rehearsal. u in [0, 1)."""
        choices = self.choices(fields)
        return choices[int(u * len(choices))] if choices else ""

    def spoken(self, label: str) -> str:
        """A gold label as a teacher would say it."""
        return label

    def slips(self, label: str, fields: Mapping[str, str]) -> tuple[str, ...]:
        """Labels that a teacher may take for this one by mistake, said as `spoken` says them."""
        return tuple(name for name in self.choices(fields) if name != label)


def text_of(value: object) -> str:
    """A value of a dataset as text; nothing for None."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def named_in(names: Iterable[str], text: str) -> str | None:
    """The name that a text is: letter for letter, else the only one but for case and full stop."""
    given, folded, found = normal(text.strip()), plain(text), list[str]()
    for name in names:
        if normal(name) == given:
            return name
        if plain(name) == folded:
            found.append(name)
    return found[0] if len(found) == 1 else None


def class_of(spec: LabelSpec, text: str) -> str | None:
    """The class whose name this is, or that has it among its gold values. `1.0` is 1 where nothing
    is called `1.0`: a column of integers with a gap comes as fractions."""
    named = named_in(spec.classes, text)
    if named is not None:
        return named
    for name, each in spec.classes.items():
        if any(_is_value(gold, text) for gold in each.gold):
            return name
    whole = whole_number(text)
    return class_of(spec, whole) if whole != text else None


def whole_number(text: str) -> str:
    """`1` for `1.0`; any other text as it is."""
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def _is_value(gold: Scalar, text: str) -> bool:
    return text_of(gold) == text


def names_one_a_line(spec: LabelSpec) -> str:
    """The classes as a prompt lists them: quoted, so that it is plain where a name ends."""
    return "\n".join(f'"{name}"' for name in spec.classes)
