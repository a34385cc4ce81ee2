"""The two tasks' losses of a T5: one encoder pass over both, a decoder pass for each."""

from typing import cast

import torch
from torch import nn
from torch.nn import functional
from transformers import T5ForConditionalGeneration

from trainer.data.batches import IGNORED, Batch


class TaskLosses(nn.Module):
    """Wraps a student so that one call gives both tasks' summed losses."""

    def __init__(self, student: T5ForConditionalGeneration) -> None:
        super().__init__()
        self.student = student

    def forward(
        self,
        input_ids: torch.Tensor,
        mask: torch.Tensor,
        label_ids: torch.Tensor,
        rationale_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        """Cross-entropy summed over target tokens: (2,) = label, rationale. Shapes as in Batch."""
        hidden = self.student.encoder(input_ids=input_ids, attention_mask=mask)[0]
        rows = len(label_ids)
        label = self._decode(hidden[:rows], mask[:rows], label_ids)
        if rationale_ids is None:
            return torch.stack([label, torch.zeros_like(label)])
        return torch.stack([label, self._decode(hidden[rows:], mask[rows:], rationale_ids)])

    def _decode(
        self, hidden: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        student = self.student
        decoded = student.decoder(
            input_ids=student.prepare_decoder_input_ids_from_labels(targets),
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            use_cache=False,
        )[0]
        # The vocabulary is T5's widest layer: it is computed where there is a target, nowhere else.
        real = targets != IGNORED
        decoded = decoded[real]
        if getattr(student.config, "scale_decoder_outputs", False):
            decoded = decoded * student.model_dim**-0.5
        logits = cast(torch.Tensor, student.lm_head(decoded))
        return functional.cross_entropy(logits.float(), targets[real], reduction="sum")


def weigh(sums: torch.Tensor, batch: Batch, alpha: float | None) -> torch.Tensor:
    """The step's loss, or this batch's share of it: each task over its own tokens in the step.

    alpha: None trains on the label alone. A step without rationales has a rationale loss of zero.
    """
    label = sums[0] / batch.label_tokens
    if alpha is None:
        return label
    return alpha * label + (1 - alpha) * sums[1] / max(1, batch.rationale_tokens)
