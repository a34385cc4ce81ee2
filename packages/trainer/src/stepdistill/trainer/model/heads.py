"""Heads of classifiers: a file's labels as outputs of one layer, by kind of label.

To the loss and to evaluation a head is a vocabulary like any other: a label is spelt in its few
ids, and each has its logits.

    classes    one id, the class's number; its logits are of all classes
    multi      an id for each class, 1 where the label names it; its logits are of no and yes
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import NO_CLASS, LabelKind, LabelSpec


class Head(Protocol):
    """What a head's outputs mean. spec: the labels that it knows."""

    spec: LabelSpec
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
    """One class of a set."""

    problem = "single_label_classification"

    def __init__(self, spec: LabelSpec) -> None:
        self.spec = spec
        self._names = [*spec.classes]
        self._numbers = {name: [number] for number, name in enumerate(self._names)}

    def spell(self, texts: Sequence[str], longest: int = 0) -> list[list[int]]:
        """See Head."""
        for text in texts:
            if text not in self._numbers:
                raise _unknown(text, self.spec)
        return [self._numbers[text] for text in texts]

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """See Head."""
        return outputs[:, None]

    def read(self, outputs: torch.Tensor) -> list[str]:
        """See Head."""
        return [self._names[number] for number in outputs.argmax(1).tolist()]


class SetHead:
    """Any number of classes at once: each is named where it is likelier than not."""

    problem = "multi_label_classification"

    def __init__(self, spec: LabelSpec) -> None:
        self.spec = spec
        self._kind: Kind = kind_of(spec)

    def spell(self, texts: Sequence[str], longest: int = 0) -> list[list[int]]:
        """See Head."""
        spelt: list[list[int]] = []
        for text in texts:
            named = set(self._kind.classes_in(text))
            if not named <= self.spec.classes.keys():
                raise _unknown(text, self.spec)
            spelt.append([int(name in named) for name in self.spec.classes])
        return spelt

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """See Head. That no weighs nothing, and yes the output, is a sigmoid in logits."""
        return torch.stack([torch.zeros_like(outputs), outputs], dim=-1)

    def read(self, outputs: torch.Tensor) -> list[str]:
        """See Head."""
        rows = [[name for name, yes in zip(self.spec.classes, row, strict=True) if yes]
                for row in (outputs > 0).tolist()]  # fmt: skip
        return [self._kind.label_of("; ".join(named) or NO_CLASS) for named in rows]


_HEADS: dict[LabelKind, type[ClassHead] | type[SetHead]] = {"classes": ClassHead, "multi": SetHead}


def head_of(spec: LabelSpec) -> Head:
    """The head for labels of that kind. Raises ConfigError where there is none."""
    if spec.kind not in _HEADS:
        raise ConfigError(
            f"--student encoder: a classifier gives labels of kind {' and '.join(_HEADS)}, and "
            f"this task's are of kind {spec.kind}: leave --student out, for a student that writes"
        )
    return _HEADS[spec.kind](spec)


def _unknown(text: str, spec: LabelSpec) -> ConfigError:
    return ConfigError(
        f"--student encoder: a row's label {text!r} is none of the {len(spec.classes)} classes of "
        "the first folder of --train, for which the classifier is made: give folders of one task"
    )
