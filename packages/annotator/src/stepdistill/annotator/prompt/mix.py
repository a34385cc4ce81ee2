"""Mixes: which share of the rows gets its label, and its rationale, from which template.

A mix is drawn so that on every prefix of the dataset each pair of templates is within one row of
its share; that label and rationale come from the same template, and so from one answer, as often as
the shares allow; and that adding rows at the end moves nobody. Imported mixes say `assignment:
original` and are drawn as the original drew them.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, repeat
from math import ceil, isclose
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError

Shares = dict[str, float]  # template id -> its share of the rows, 0..1; they sum to 1
DEFAULT_MIX = "default"  # of a task, where nobody names one
_ROUNDING = 1e-9  # what a product of shares and rows may be off


class Mix(BaseModel):
    """A mix as its file states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    # `stable` moves nobody when rows are added, `original` shuffles all of them.
    assignment: Literal["stable", "original"] = "stable"
    label: Shares = Field(min_length=1)
    rationale: Shares = {}  # empty where no rationale is asked for

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        for name, shares in (("label", self.label), ("rationale", self.rationale)):
            if shares and not isclose(sum(shares.values()), 1, abs_tol=1e-6):
                raise ValueError(f"the {name} shares sum to {sum(shares.values()):g}, not to 1")
            if any(share < 0 for share in shares.values()):
                raise ValueError(f"a {name} share is negative")
        return self

    @property
    def templates(self) -> set[str]:
        """The ids of all templates that some row is asked with."""
        return asked(self.label) | asked(self.rationale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The templates that one row's label and rationale come from."""

    label: str
    rationale: str | None  # None where none is asked for


def asked(shares: Shares) -> set[str]:
    """The templates that have a share at all."""
    return {name for name, share in shares.items() if share > 0}


def single(template: str) -> Mix:
    """Label and rationale of every row from one template."""
    return Mix(label={template: 1.0}, rationale={template: 1.0})


def load_mix(prompts: Path, task: str, mix: str) -> Mix:
    """A mix by its file's path, or by its name in the task's `mixes` folder. Raises PromptError."""
    folder = prompts / task / "mixes"
    path = Path(mix) if mix.endswith((".yaml", ".yml")) else folder / f"{mix}.yaml"
    if not path.is_file():
        known = ", ".join(mix_files(prompts, task)) or "none"
        raise PromptError(f"no mix {path} (mixes of task {task}: {known})")
    return read_yaml(path, Mix)


def chosen_mix(prompts: Path, task: str, mix: str | None, template: str | None) -> Mix:
    """What settings name: one template for all, or a mix, by default the task's. Raises
    PromptError."""
    return load_mix(prompts, task, mix or DEFAULT_MIX) if template is None else single(template)


def mix_files(prompts: Path, task: str) -> dict[str, Path]:
    """The task's mixes, by name."""
    return {path.stem: path for path in sorted((prompts / task / "mixes").glob("*.yaml"))}


def assign(mix: Mix, n_rows: int | None = None) -> Iterator[Assignment]:
    """One assignment per row: without end, or of n_rows rows where the assignment is `original`.

    Raises PromptError where that needs a number of rows that nobody knows.
    """
    if mix.assignment == "stable":
        return _stable(mix)
    if n_rows is None:
        raise PromptError(
            "a mix with `assignment: original` shuffles all rows, but their number is not known "
            "beforehand here: give --samples"
        )
    labels = shuffled_parts(mix.seed, mix.label, n_rows)
    rationales = shuffled_parts(mix.seed, mix.rationale, n_rows) if mix.rationale else repeat(None)
    pairs = zip(labels, rationales, strict=False)
    return (Assignment(label=label, rationale=rationale) for label, rationale in pairs)


def shuffled_parts(seed: int, shares: Mapping[str, float], n_rows: int) -> list[str]:
    """The template of each row as the original assigned them: rows are shuffled once and cut into
    runs by share; the last template takes what rounding leaves.

    Label and rationale are shuffled with the same seed, so their runs overlap as far as the order
    of their templates lets them. Every row moves when the number of rows changes: that is why this
    serves imported mixes alone.
    """
    import numpy as np  # a tenth of a second to import: only where it is used

    order = np.arange(n_rows)
    np.random.RandomState(seed).shuffle(order)
    names = list(shares)
    cuts = np.cumsum([int(n_rows * share) for share in shares.values()][:-1])
    templates = [names[-1]] * n_rows
    for name, rows in zip(names, np.split(order, cuts), strict=True):
        for row in rows:
            templates[row] = name
    return templates


def _stable(mix: Mix) -> Iterator[Assignment]:
    """Tijdeman's chairman assignment.

    Each pair of templates owns seats: its k-th seat opens once k - 1 rows are the pair's due and
    must be taken before k are. The open seat that is due first is taken, which keeps every prefix
    within one row of its shares; ties are drawn by the seed, so that equal shares do not fall into
    step with a rhythm in the dataset.
    """
    pairs = pairs_of(mix)
    if len(pairs) == 1:
        yield from repeat(*pairs)
    taken = dict.fromkeys(pairs, 0)
    draw = random.Random(mix.seed)
    for n_rows in count(1):
        due = {
            pair: ceil((taken[pair] + 1) / share - _ROUNDING)
            for pair, share in pairs.items()
            if taken[pair] < share * n_rows - _ROUNDING
        }
        first = min(due.values())
        chosen = draw.choice([pair for pair in due if due[pair] == first])
        taken[chosen] += 1
        yield chosen


def pairs_of(mix: Mix) -> dict[Assignment, float]:
    """Each pair of templates that some row is asked with, and its share of the rows."""
    coupled = _couple(mix.label, mix.rationale)
    total = sum(coupled.values())  # a little less or more than one, where shares were rounded
    return {pair: share / total for pair, share in coupled.items()}


def _couple(label: Shares, rationale: Shares) -> dict[Assignment, float]:
    """Joint shares with the given margins and as much as possible on equal templates."""
    if not rationale:
        return {Assignment(label=name, rationale=None): s for name, s in label.items() if s > 0}
    both = {name: min(share, rationale.get(name, 0.0)) for name, share in label.items()}
    pairs = {Assignment(label=n, rationale=n): share for n, share in both.items() if share > 0}
    left = {name: share - both[name] for name, share in label.items()}
    right = {name: share - both.get(name, 0.0) for name, share in rationale.items()}
    for name, other in ((name, other) for name in left for other in right):
        share = min(left[name], right[other])
        if share > _ROUNDING:
            pairs[Assignment(label=name, rationale=other)] = share
            left[name] -= share
            right[other] -= share
    return pairs


def check_templates(named: set[str], known: set[str], task: str) -> None:
    """Raise PromptError when a template is named that the task lacks."""
    for name in sorted(named - known):
        raise PromptError(f"task {task} has no template {name} (has: {', '.join(sorted(known))})")
