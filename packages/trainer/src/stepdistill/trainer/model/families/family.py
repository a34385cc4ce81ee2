"""The base of all families: what is asked of an encoder-decoder wherever a student is at work."""

from typing import Any, Protocol

import torch
from torch import nn

from stepdistill.trainer.data.batches import Targets


class Family(Protocol):
    """How models of one architecture read and answer."""

    # Whether lines may hold several inputs, or several targets, with masks between them: so where
    # only the distance of two tokens counts, and not the place of one.
    shares_lines: bool

    def encode(self, model: Any, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(lines, longest) -> (lines, longest, width). mask: (lines, longest), or of 4 dimensions
        where inputs share lines."""
        ...

    def logits(
        self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets
    ) -> torch.Tensor:
        """At each target token: (target tokens, words). hidden: what `encode` gave of the targets'
        inputs; mask: (lines, longest), as in Batch.mask."""
        ...

    def parts(self, model: Any) -> tuple[nn.Module, ...]:
        """Encoder, and decoder where there is one."""
        ...


def start_of(model: Any) -> int:
    """The token that every answer begins behind."""
    return int(model.generation_config.decoder_start_token_id)
