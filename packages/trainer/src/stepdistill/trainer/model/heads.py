"""Heads of classifiers: a file's labels as outputs of one layer, by kind of label.

To the loss and to evaluation a head is a vocabulary like any other: a label is spelt in its few
ids, and each has its logits.

    classes    one id, the class's number; its logits are of all classes
    number     the same: the different numbers of the training rows are its classes
    multi      an id for each class, 1 where the label names it; its logits are of no and yes
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.kind import Kind, named_in
from stepdistill.common.kinds.number import number_in
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import NO_CLASS, LabelSpec

_MOST_NUMBERS = 200  # ratings and counts; of measurements each would be a class of a row or two


class Head(Protocol):
    """What a head's outputs mean."""

    spec: LabelSpec  # of the task
    names: tuple[str, ...]  # of the outputs
    problem: str  # transformers' own name of it

    def spell(self, texts: Sequence[str], longest: int = 0) -> list[list[int]]:
        """Labels as ids; as data.tokens.Encode, but that a label is never too long. Raises
        ConfigError: it is none."""
        ...

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """(rows, outputs of the layer) -> (rows, ids of a label, logits of each)."""
        ...

    def read(self, outputs: torch.Tensor) -> list[str]:
        """Each row's likeliest label; outputs as above."""
        ...


class ClassHead:
    """One class of a set, or one number of several."""

    problem = "single_label_classification"

    def __init__(self, spec: LabelSpec, names: Iterable[str]) -> None:
        self.spec, self.names = spec, tuple(names)
        self._numbers = {name: [number] for number, name in enumerate(self.names)}

    def spell(self, texts: Sequence[str], longest: int = 0) -> list[list[int]]:
        """See Head."""
        return [self._numbers.get(text) or self._spell(text) for text in texts]

    def _spell(self, text: str) -> list[int]:
        """Of a label that is a class but for its case, or blanks around it."""
        name = named_in(self.names, text)
        if name is None:
            raise _unknown(text, self.names)
        return self._numbers[name]

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """See Head."""
        return outputs[:, None]

    def read(self, outputs: torch.Tensor) -> list[str]:
        """See Head."""
        return [self.names[number] for number in outputs.argmax(1).tolist()]


class SetHead:
    """Any number of classes at once: each is named where it is likelier than not."""

    problem = "multi_label_classification"

    def __init__(self, spec: LabelSpec) -> None:
        self.spec, self.names = spec, tuple(spec.classes)
        self._kind: Kind = kind_of(spec)

    def spell(self, texts: Sequence[str], longest: int = 0) -> list[list[int]]:
        """See Head."""
        spelt: list[list[int]] = []
        for text in texts:
            named = set(self._kind.form(text))
            if not named <= {*self.names}:
                raise _unknown(text, self.names)
            spelt.append([int(name in named) for name in self.names])
        return spelt

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """See Head. That no weighs nothing, and yes the output, is a sigmoid in logits."""
        return torch.stack([torch.zeros_like(outputs), outputs], dim=-1)

    def read(self, outputs: torch.Tensor) -> list[str]:
        """See Head."""
        rows = [[name for name, yes in zip(self.names, row, strict=True) if yes]
                for row in (outputs > 0).tolist()]  # fmt: skip
        return [self._kind.label_of("; ".join(named) or NO_CLASS) for named in rows]


def head_of(spec: LabelSpec, labels: Iterable[str] = ()) -> Head:
    """The head for a task's labels. labels: those of the training rows, or as a saved head has
    them. Raises ConfigError where there is none."""
    if spec.kind == "multi":
        return SetHead(spec)
    if spec.kind == "classes":
        return ClassHead(spec, _several(spec.classes))
    if spec.kind == "number":
        return ClassHead(spec, _several(_numbers(labels)))
    raise ConfigError(
        f"--student encoder: a classifier gives classes, sets of them, and ratings; labels of kind "
        f"{spec.kind} are written: leave --student out"
    )


def _several(names: Iterable[str]) -> list[str]:
    """The names. Raises ConfigError: but one, which transformers takes for a number."""
    found = [*names]
    if len(found) < 2:
        raise ConfigError(
            f"--student encoder: all labels are {', '.join(found)}: there is nothing to choose"
        )
    return found


def _numbers(labels: Iterable[str]) -> list[str]:
    """The different ones, the least first. Raises ConfigError: too many."""
    found = sorted(dict.fromkeys(labels), key=lambda label: number_in(label) or 0.0)
    if len(found) > _MOST_NUMBERS:
        raise ConfigError(
            f"--student encoder: {len(found):,} different numbers as labels, a classifier chooses "
            f"among {_MOST_NUMBERS} at most: leave --student out, or round them"
        )
    return found


def _unknown(text: str, names: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"--student encoder: a row's label {text!r} is none of the {len(names)} classes of the "
        "first folder of --train, for which the classifier is made: give folders of one task"
    )
