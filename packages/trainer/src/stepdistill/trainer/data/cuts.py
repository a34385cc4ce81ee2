"""What was longer than the limits and is cut: counted for results.json, said on the screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from stepdistill.trainer.data.tokens import LengthLimits, Tokens
from stepdistill.trainer.settings.tasks import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """Of `of` texts of a kind, `cut` were longer than `limit` tokens; `option` sets the limit."""

    split: str
    what: str
    cut: int
    of: int
    limit: int
    option: str

    def __str__(self) -> str:
        """One line for the screen."""
        return (
            f"{self.split}: {self.cut:,} of {self.of:,} {self.what} are longer than {self.limit} "
            f"tokens and are cut: {self.option} allows more"
        )


def cut_inputs(split: str, what: str, counts: tuple[int, int], limits: LengthLimits) -> Truncation:
    """counts: (how many were cut, of how many)."""
    cut, of = counts
    limit, option = limits.input, "--max-input-tokens"
    return Truncation(split=split, what=what, cut=cut, of=of, limit=limit, option=option)


def cuts_of(tokens: Tokens, table: Table, limits: LengthLimits) -> Sequence[Truncation]:
    """Each task's inputs and targets of the training rows."""
    found: list[Truncation] = []
    for task, made in zip(table, tokens, strict=True):
        inputs, targets = made.cut
        asked = int((made.counts() > 0).sum())
        found += [
            cut_inputs("train", f"inputs of {task.name}", (inputs, asked), limits),
            Truncation(
                split="train",
                what=f"targets of {task.name}",
                cut=targets,
                of=len(made.targets),
                limit=limits.target,
                option="--max-target-tokens",
            ),
        ]
    return found
