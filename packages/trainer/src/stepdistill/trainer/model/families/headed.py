"""Encoders with a head on top: no decoder, and an answer is what the head's layer puts out."""
# budget: a file for each family

from typing import Any

import torch
from torch import nn

from stepdistill.trainer.data.batches import IGNORED, Targets
from stepdistill.trainer.model.heads import Head


class HeadedFamily:
    """The model's own forward, whatever lies between encoder and head: pooling, a layer, dropout.

    pad: the token id that stands where nothing is to be read; some models find places by it.
    """

    shares_lines = False

    def __init__(self, head: Head, pad: int) -> None:
        self._head, self.pad = head, pad

    def encode(self, model: Any, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(lines, longest) -> (lines, outputs): all that the head says of a line."""
        if not input_ids.shape[1]:
            input_ids, mask = (nn.functional.pad(each, (0, 1)) for each in (input_ids, mask))
        ids = input_ids.masked_fill(mask == 0, self.pad)
        read = (mask > 0).long()
        # Of an empty text, where the tokenizer adds no marks: nothing at all cannot be read.
        read[:, 0] = 1
        return model(input_ids=ids, attention_mask=read).logits

    def logits(
        self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets
    ) -> torch.Tensor:
        """See Family."""
        outputs = hidden if targets.source is None else hidden[targets.source]
        logits = self._head.logits(outputs)  # (targets, ids of a label, logits of each)
        # Both may be longer: ids are padded to suit the device, and a target may be none at all.
        ids = targets.ids[:, : logits.shape[1]]
        return logits[:, : ids.shape[1]][ids != IGNORED]

    def parts(self, model: Any) -> tuple[nn.Module, ...]:
        """See Family."""
        return (model.base_model,)
