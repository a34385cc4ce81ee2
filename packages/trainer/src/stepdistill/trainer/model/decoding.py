"""A student's output where there is a target: no loss is computed elsewhere."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from stepdistill.trainer.data.batches import IGNORED, Targets
from stepdistill.trainer.model.families.family import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The output at each target token. ids: (tokens,), the targets'. logits: (tokens, words).

    target: (tokens,), which target a token belongs to. source: (tokens,), which input it answers.
    """

    ids: torch.Tensor
    logits: torch.Tensor
    target: torch.Tensor
    source: torch.Tensor

    def losses(self) -> torch.Tensor:
        """Cross-entropy of each token: (tokens,)."""
        return functional.cross_entropy(self.logits, self.ids, reduction="none")


def decode(
    family: Family,
    model: torch.nn.Module,
    hidden: torch.Tensor,
    mask: torch.Tensor,
    targets: Targets,
) -> Decoded:
    """hidden, mask: (lines of input, longest, ...), the encoder's output and Batch.mask of it."""
    real = targets.ids != IGNORED
    target = real.nonzero()[:, 0] if targets.blocks is None else targets.blocks[real]
    return Decoded(
        ids=targets.ids[real],
        logits=family.logits(model, hidden, mask, targets).float(),
        target=target,
        source=target if targets.source is None else targets.source[target],
    )
