"""Which tokens may look at which, where inputs and targets share lines: blocks see themselves."""

import torch
from torch.nn import functional

from stepdistill.trainer.data.batches import Targets


def within(numbers: torch.Tensor) -> torch.Tensor:
    """Tokens of a line see those of the same number: (lines, n) -> (lines, 1, n, n)."""
    return (numbers[:, :, None] == numbers[:, None, :])[:, None]


def said_before(blocks: torch.Tensor) -> torch.Tensor:
    """And of these the ones before them and themselves: (lines, n) -> (lines, 1, n, n)."""
    return within(blocks).tril()


def answering(targets: Targets, blocks: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Each target sees the input that it answers: (lines, 1, target tokens, input tokens).

    numbers: (lines, input tokens), as in Batch.mask. Padding sees all: a token must see something.
    """
    source = blocks if targets.source is None else targets.source[blocks]
    seen = (source + 1)[:, :, None] == numbers[:, None, :]
    return (seen | (blocks < 0)[:, :, None])[:, None]


def heard(ids: torch.Tensor, blocks: torch.Tensor, start: int) -> torch.Tensor:
    """What the decoder is given: each block's tokens moved by one, behind a `start` token."""
    moved = functional.pad(ids, (1, 0))[:, :-1]
    first = blocks != functional.pad(blocks, (1, 0), value=-2)[:, :-1]
    return moved.masked_fill(first, start).clamp_min(0)
