"""tokens -> batch: what one rank reads in one forward pass, padded no more than needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trainer.data.tokens import Ints, TaskTokens, Tokens

IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """One task's targets in a batch.

    ids: (targets, longest), padded with -100. inputs: how many of the batch's inputs are the
    task's; they follow those of the tasks before it. source: (targets,), which of these inputs a
    target answers; None: target i answers input i. weights: (targets,); None: all 1.
    """

    ids: torch.Tensor
    inputs: int
    source: torch.Tensor | None
    weights: torch.Tensor | None

    def to(self, device: torch.device) -> "Targets":
        """The same on another device."""
        return Targets(
            ids=self.ids.to(device, non_blocking=True),
            inputs=self.inputs,
            source=None if self.source is None else self.source.to(device, non_blocking=True),
            weights=None if self.weights is None else self.weights.to(device, non_blocking=True),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A micro-batch.

    input_ids, mask: (all tasks' inputs, longest), padded with 0; mask is 1 at real tokens.
    targets: one for each task, None where no row has any.
    pairs: (2, n), where the n rows that have both of the first two tasks stand among the inputs of
    the one and of the other; None where none has.
    totals: target tokens of each task in the whole step, over all ranks and micro-batches, weighed;
    then the rows with a pair, where they are asked for.
    rows, input_tokens, target_tokens: of this batch alone, padding not counted; padded: with it.
    """

    input_ids: torch.Tensor
    mask: torch.Tensor
    targets: tuple[Targets | None, ...]
    pairs: torch.Tensor | None
    totals: tuple[float, ...]
    rows: int
    input_tokens: int
    target_tokens: int
    padded: int

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(
            input_ids=self.input_ids.to(device, non_blocking=True),
            mask=self.mask.to(device, non_blocking=True),
            targets=tuple(None if part is None else part.to(device) for part in self.targets),
            pairs=None if self.pairs is None else self.pairs.to(device, non_blocking=True),
            totals=self.totals,
            rows=self.rows,
            input_tokens=self.input_tokens,
            target_tokens=self.target_tokens,
            padded=self.padded,
        )


def collate(
    tokens: Tokens, rows: Ints, totals: tuple[float, ...], forced: Sequence[bool], round_to: int
) -> Batch:
    """The rows' batch. forced: of a task, to join in even when no row has a target in it."""
    parts = [
        _part(task, rows, round_to, join=join) for task, join in zip(tokens, forced, strict=True)
    ]
    inputs = [ids for part_inputs, _ in parts for ids in part_inputs]
    targets = tuple(part for _, part in parts)
    input_ids, mask = pad_inputs(inputs, round_to)
    said = [part.ids for part in targets if part is not None]
    return Batch(
        input_ids=input_ids,
        mask=mask,
        targets=targets,
        pairs=_pairs(tokens, rows),
        totals=totals,
        rows=len(rows),
        input_tokens=sum(map(len, inputs)),
        target_tokens=sum(int((ids != IGNORED).sum()) for ids in said),
        padded=input_ids.numel() + sum(ids.numel() for ids in said),
    )


def padded_tokens(tokens: Tokens, rows: Ints) -> int:
    """How many tokens the rows make up in one batch, padding included."""
    inputs = targets = longest = 0
    for task in tokens:
        here = rows[task.counts(rows) > 0]
        if len(here):
            inputs += len(here)
            longest = max(longest, int(task.inputs.lengths(here).max()))
            lines = _lines(task, here)
            targets += len(lines) * int(task.targets.lengths(lines).max())
    return inputs * longest + targets


def pad_inputs(rows: Sequence[Ints], round_to: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded with 0 (T5's pad), and the mask of real tokens: (rows, longest) each."""
    return _pad(rows, 0, round_to), _pad([np.ones_like(row) for row in rows], 0, round_to)


def pad_targets(rows: Sequence[Ints], round_to: int = 1) -> torch.Tensor:
    """Token ids padded with -100: (rows, longest)."""
    return _pad(rows, IGNORED, round_to)


def _part(
    task: TaskTokens, rows: Ints, round_to: int, *, join: bool
) -> tuple[list[Ints], Targets | None]:
    """One task's inputs and targets."""
    here = rows[task.counts(rows) > 0]
    if not len(here):
        return _joining(task) if join else ([], None)
    lines, counts = _lines(task, here), task.counts(here)
    weights = task.weights[lines]
    return [task.inputs[row] for row in here], Targets(
        ids=pad_targets([task.targets[line] for line in lines], round_to),
        inputs=len(here),
        source=None
        if len(lines) == len(here)
        else torch.from_numpy(np.repeat(np.arange(len(here)), counts)),
        weights=None if (weights == 1).all() else torch.from_numpy(weights.copy()),
    )


def _pairs(tokens: Tokens, rows: Ints) -> torch.Tensor | None:
    present = np.array([task.counts(rows) > 0 for task in tokens[:2]])
    both = present.all(axis=0)
    if len(tokens) < 2 or not both.any():
        return None
    return torch.from_numpy(np.cumsum(present, axis=1)[:, both] - 1)


def _joining(task: TaskTokens) -> tuple[list[Ints], Targets]:
    """An input whose only target counts for nothing."""
    somebody = int(task.counts().argmax())
    ids = torch.tensor([[IGNORED]])
    return [task.inputs[somebody]], Targets(ids=ids, inputs=1, source=None, weights=None)


def _lines(task: TaskTokens, rows: Ints) -> Ints:
    """The numbers of all targets of the rows."""
    spans = zip(task.first[rows].tolist(), task.first[rows + 1].tolist(), strict=True)
    return np.concatenate([np.arange(first, end) for first, end in spans])


def _pad(rows: Sequence[Ints], value: int, round_to: int) -> torch.Tensor:
    longest = -(-max(map(len, rows)) // round_to) * round_to
    padded = np.full((len(rows), longest), value, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return torch.from_numpy(padded)
