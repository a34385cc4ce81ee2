"""tokens -> batch: what one rank reads in one forward pass, padded no more than needed.

Short inputs may share a line, each in a block of its own. T5 knows only how far apart two tokens
are, so a block reads the same wherever it stands in a line; masks keep the blocks apart
(model/decoding.py), and packing changes no loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch

from stepdistill.trainer.data.tokens import Ints, TaskTokens, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A task's inputs and targets in lines; line i of the targets answers line i of the inputs."""

    inputs: list[Ints]  # token ids, as targets
    numbers: list[Ints]  # which input each token of `inputs` belongs to, from 1
    targets: list[Ints]
    blocks: list[Ints]  # which target each token of `targets` belongs to, from 0


def share_lines(inputs: Ints, targets: Ints, most: int) -> list[list[int]]:
    """Which inputs stand together: lines of `most` tokens of input and of target, at most.

    inputs, targets: tokens of each input, and of all its targets. The longest come first, each into
    the first line that has room; one that is longer than a line has a line to itself.
    """
    lines: list[list[int]] = []
    room = np.empty((0, 2), dtype=np.int64)
    sizes = np.stack([inputs, targets], axis=1)
    # First fit, the longest first: within some per cent of the best, and the same on every machine.
    for number in np.argsort(-inputs, kind="stable"):
        fitting = np.flatnonzero((room >= sizes[number]).all(axis=1))
        if len(fitting):
            line = int(fitting[0])
            lines[line].append(int(number))
        else:
            line = len(lines)
            lines.append([int(number)])
            room = np.vstack([room, [[most, most]]])
        room[line] -= sizes[number]
    return lines


def pack(inputs: Sequence[Ints], targets: Sequence[Ints], source: Ints, most: int) -> Lines:
    """Lay a task's inputs and targets into lines. source: which input each target answers."""
    lengths = np.bincount(source, [len(target) for target in targets], minlength=len(inputs))
    lines = share_lines(np.array(list(map(len, inputs))), lengths.astype(np.int64), most)
    answers = [[int(target) for line in part for target in np.flatnonzero(source == line)]
               for part in lines]  # fmt: skip
    return Lines(
        inputs=[np.concatenate([inputs[i] for i in line]) for line in lines],
        numbers=[_numbered(line, inputs) + 1 for line in lines],
        targets=[np.concatenate([targets[i] for i in line]) for line in answers],
        blocks=[_numbered(line, targets) for line in answers],
    )


def _numbered(line: Sequence[int], parts: Sequence[Ints]) -> Ints:
    """Each part's number, once for each of its tokens."""
    return np.repeat(line, [len(parts[i]) for i in line])


_T = TypeVar("_T", "Targets", "Batch")
IGNORED = -100  # what cross_entropy leaves out


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are laid out."""

    round_to: int = 1  # lengths are padded to a multiple: it suits a GPU's tiles and a compiler
    pack: int | None = None  # inputs share lines of so many tokens; None: each has its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """One task's targets in a batch."""

    ids: torch.Tensor  # (lines, longest), padded with -100
    inputs: int  # lines of the batch's input that are the task's, after those of tasks before it
    source: torch.Tensor | None  # (targets,), which of these inputs it answers; None: the i-th
    weights: torch.Tensor | None  # (targets,); None: all 1
    # As ids: the number of the target that a token belongs to, -1 at padding, where line i answers
    # the task's line i of input; None: line i is target i.
    blocks: torch.Tensor | None = None

    def to(self, device: torch.device) -> "Targets":
        """The same on another device."""
        return _moved(self, device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A micro-batch. Counts of rows and tokens are of it alone."""

    input_ids: torch.Tensor  # (all tasks' lines of input, longest), padded with 0
    mask: torch.Tensor  # as input_ids, 1 at real tokens; in shared lines the input's number, from 1
    targets: tuple[Targets | None, ...]  # one for each task, None where no row has any
    # (2, n): where the n rows that have both of the first two tasks stand among the inputs of the
    # one and of the other; None where none has.
    pairs: torch.Tensor | None
    # Target tokens of each task in the whole step, over all ranks and micro-batches, weighed; then
    # the rows with a pair, where they are asked for.
    totals: tuple[float, ...]
    rows: int
    input_tokens: int  # padding not counted, as in target_tokens
    target_tokens: int
    padded: int  # tokens, padding counted

    @property
    def packed(self) -> bool:
        """Whether inputs share lines."""
        return any(part is not None and part.blocks is not None for part in self.targets)

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        targets = tuple(None if part is None else part.to(device) for part in self.targets)
        return replace(_moved(self, device), targets=targets)


def collate(
    tokens: Tokens, rows: Ints, totals: tuple[float, ...], forced: Sequence[bool], layout: Layout
) -> Batch:
    """The rows' batch. forced: of a task, to join in even when no row has a target in it."""
    parts = [
        _part(task, rows, layout, join=join) for task, join in zip(tokens, forced, strict=True)
    ]
    lines = [part[0] for part in parts if part is not None]
    inputs = [ids for line in lines for ids in line.inputs]
    answers = [part[1].ids for part in parts if part is not None]
    # All tasks' inputs go through the encoder at once: (lines of all tasks, longest).
    input_ids = _pad(inputs, 0, layout.round_to)
    return Batch(
        input_ids=input_ids,
        mask=_pad([ids for line in lines for ids in line.numbers], 0, layout.round_to),
        targets=tuple(None if part is None else part[1] for part in parts),
        pairs=_pairs(tokens, rows),
        totals=totals,
        rows=len(rows),
        input_tokens=sum(map(len, inputs)),
        target_tokens=sum(int((ids != IGNORED).sum()) for ids in answers),
        padded=input_ids.numel() + sum(ids.numel() for ids in answers),
    )


def padded_tokens(tokens: Tokens, rows: Ints, layout: Layout) -> int:
    """How many tokens the rows make up in one batch, padding included (but not rounding)."""
    lines = targets = longest = 0
    for task in tokens:
        here = rows[task.counts(rows) > 0]
        if len(here):
            inputs, answers = _line_lengths(task, here, layout)
            lines += len(inputs)
            longest = max(longest, int(inputs.max()))
            targets += len(answers) * int(answers.max())
    return lines * longest + targets


def pad_inputs(rows: Sequence[Ints], round_to: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded with 0 (T5's pad), and the mask of real tokens: (rows, longest) each."""
    return _pad(rows, 0, round_to), _pad([np.ones_like(row) for row in rows], 0, round_to)


def shared_targets(answers: Sequence[Sequence[Ints]]) -> Targets:
    """Targets in lines, one for each input. answers: the token ids of each input's targets."""
    counts = [len(part) for part in answers]
    several = sum(counts) > len(answers)
    ends = np.cumsum(counts)
    blocks = [
        np.repeat(np.arange(end - count, end), [len(ids) for ids in part])
        for end, count, part in zip(ends, counts, answers, strict=True)
    ]
    return Targets(
        ids=_pad([np.concatenate(part) for part in answers], IGNORED, 1),
        inputs=len(answers),
        source=torch.from_numpy(np.repeat(np.arange(len(answers)), counts)) if several else None,
        weights=None,
        blocks=_pad(blocks, -1, 1),
    )


def lone_targets(answers: Sequence[Sequence[Ints]]) -> Targets:
    """The same, each target in a line of its own."""
    counts = [len(part) for part in answers]
    return Targets(
        ids=_pad([ids for part in answers for ids in part], IGNORED, 1),
        inputs=len(answers),
        source=torch.from_numpy(np.repeat(np.arange(len(answers)), counts)),
        weights=None,
    )


_Part = tuple[Lines, Targets]


def _part(task: TaskTokens, rows: Ints, layout: Layout, *, join: bool) -> _Part | None:
    """One task's lines, and its targets as tensors."""
    here = rows[task.counts(rows) > 0]
    if not len(here):
        return _joining(task, packed=layout.pack is not None) if join else None
    numbers = _lines(task, here)
    source = np.repeat(np.arange(len(here)), task.counts(here))
    inputs, answers = [task.inputs[row] for row in here], [task.targets[line] for line in numbers]
    if layout.pack:
        lines = pack(inputs, answers, source, layout.pack)
    else:
        numbered = [np.ones_like(ids) for ids in inputs]
        lines = Lines(inputs=inputs, numbers=numbered, targets=answers, blocks=[])
    weights = task.weights[numbers]
    targets = Targets(
        ids=_pad(lines.targets, IGNORED, layout.round_to),
        inputs=len(lines.inputs),
        source=None if len(answers) == len(here) else torch.from_numpy(source),
        weights=None if (weights == 1).all() else torch.from_numpy(weights.copy()),
        blocks=_pad(lines.blocks, -1, layout.round_to) if layout.pack else None,
    )
    return lines, targets


def _line_lengths(task: TaskTokens, rows: Ints, layout: Layout) -> tuple[Ints, Ints]:
    """Tokens of each line of input, and of each line of targets."""
    inputs, answers = task.inputs.lengths(rows), task.targets.lengths(_lines(task, rows))
    if layout.pack is None:
        return inputs, answers
    first = np.cumsum([0, *task.counts(rows)[:-1]])
    answers = np.add.reduceat(answers, first)
    lines = share_lines(inputs, answers, layout.pack)
    sums = [np.array([sizes[line].sum() for line in lines]) for sizes in (inputs, answers)]
    return sums[0], sums[1]


def _pairs(tokens: Tokens, rows: Ints) -> torch.Tensor | None:
    present = np.array([task.counts(rows) > 0 for task in tokens[:2]])
    both = present.all(axis=0)
    if len(tokens) < 2 or not both.any():
        return None
    return torch.from_numpy(np.cumsum(present, axis=1)[:, both] - 1)


def _joining(task: TaskTokens, *, packed: bool) -> _Part:
    """An input whose only target counts for nothing."""
    row = task.inputs[int(task.counts().argmax())]
    blocks = torch.tensor([[0]]) if packed else None
    ids = torch.tensor([[IGNORED]])  # (1, 1)
    targets = Targets(ids=ids, inputs=1, source=None, weights=None, blocks=blocks)
    return Lines(inputs=[row], numbers=[np.ones_like(row)], targets=[], blocks=[]), targets


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


def _moved(whole: _T, device: torch.device) -> _T:
    """With all its tensors on another device; the CPU does not wait for them."""
    values = {field.name: getattr(whole, field.name) for field in fields(whole)}
    tensors = {name: each for name, each in values.items() if isinstance(each, torch.Tensor)}
    moved = {name: each.to(device, non_blocking=True) for name, each in tensors.items()}
    return replace(whole, **moved)
