"""BART and T5Gemma (1, 2): they know a token's place, so a line is one input or one target."""
# budget: a file for each family

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from stepdistill.trainer.data.batches import IGNORED, Targets
from stepdistill.trainer.model.families.family import start_of


class PlacedFamily:
    """The model's own way from hidden states to logits, whatever lies on it: a bias, a cap."""

    shares_lines = False

    def encode(self, model: Any, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """See Family."""
        return self.parts(model)[0](input_ids=input_ids, attention_mask=mask)[0]

    def logits(
        self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets
    ) -> torch.Tensor:
        """See Family."""
        if targets.source is not None:
            hidden, mask = hidden[targets.source], mask[targets.source]
        ids = functional.pad(targets.ids, (1, 0), value=start_of(model))[:, :-1]
        output = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=cast(Any, hidden)),
            attention_mask=mask,
            decoder_input_ids=ids.clamp_min(0),  # padding, which nothing before it sees
            use_cache=False,
        )
        return output.logits[targets.ids != IGNORED]  # (lines, longest, words) -> (tokens, words)

    def parts(self, model: Any) -> tuple[nn.Module, ...]:
        """See Family."""
        return model.get_encoder(), model.get_decoder()
