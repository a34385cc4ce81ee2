"""inputs -> lines: short inputs that share a line of a batch, each in a block of its own.

T5 knows only how far apart two tokens are, so a block reads the same wherever it stands in a line;
masks keep the blocks apart (model/masks.py), and packing changes no loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdistill.trainer.data.tokens import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A task's inputs and targets in lines; line i of the targets answers line i of the inputs.

    inputs, targets: token ids. numbers: which input each token of `inputs` belongs to, from 1.
    blocks: which target each token of `targets` belongs to, from 0.
    """

    inputs: list[Ints]
    numbers: list[Ints]
    targets: list[Ints]
    blocks: list[Ints]


def share_lines(inputs: Ints, targets: Ints, most: int) -> list[list[int]]:
    """Which inputs stand together: lines of `most` tokens of input and of target, at most.

    inputs, targets: tokens of each input, and of all its targets. The longest come first, each into
    the first line that has room; one that is longer than a line has a line to itself.
    """
    lines: list[list[int]] = []
    room = np.empty((0, 2), dtype=np.int64)
    sizes = np.stack([inputs, targets], axis=1)
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
    said = np.bincount(source, [len(target) for target in targets], minlength=len(inputs))
    lines = share_lines(np.array(list(map(len, inputs))), said.astype(np.int64), most)
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
