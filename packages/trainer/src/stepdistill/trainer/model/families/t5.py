"""T5 and its kin (mT5, UMT5, ByT5): only the distance of two tokens counts, so lines are shared."""

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from stepdistill.trainer.data.batches import IGNORED, Targets
from stepdistill.trainer.model.families.family import start_of


class T5Family:
    """Logits are computed where there is a target and nowhere else."""

    shares_lines = True

    def encode(self, model: Any, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """See Family."""
        return model.encoder(input_ids=input_ids, attention_mask=_as_taken(mask, model))[0]

    def logits(
        self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets
    ) -> torch.Tensor:
        """See Family."""
        output = _decoder_output(model, hidden, mask, targets)
        # The vocabulary is T5's widest layer: it is computed where there is a target.
        output = output[targets.ids != IGNORED]  # (lines, longest, width) -> (tokens, width)
        if scales(model.config):
            output = output * model.model_dim**-0.5
        return cast(torch.Tensor, model.lm_head(output))

    def parts(self, model: Any) -> tuple[nn.Module, ...]:
        """See Family."""
        return model.encoder, model.decoder


def scales(config: Any) -> bool:
    """Whether outputs are made smaller before the head: T5 says so, UMT5 does where its head is the
    embedding, and mT5 never does."""
    is_tied_umt5 = config.model_type == "umt5" and config.tie_word_embeddings
    return bool(getattr(config, "scale_decoder_outputs", is_tied_umt5))


def _as_taken(mask: torch.Tensor, model: Any) -> torch.Tensor:
    """A mask of ours, of 4 dimensions: plain attention adds it to its scores, others look at it."""
    if mask.ndim < 4 or model.config._attn_implementation != "eager":
        return mask
    least = torch.finfo(model.dtype).min
    added = torch.zeros(mask.shape, dtype=model.dtype, device=mask.device)
    return added.masked_fill_(~mask, least)


def same_block(numbers: torch.Tensor) -> torch.Tensor:
    """Tokens of a line see those of the same number: (lines, n) -> (lines, 1, n, n)."""
    return (numbers[:, :, None] == numbers[:, None, :])[:, None]


def cross_mask(targets: Targets, blocks: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Each target sees the input that it answers: (lines, 1, target tokens, input tokens).

    numbers: (lines, input tokens), as in Batch.mask. Padding sees all: a token must see something.
    """
    source = blocks if targets.source is None else targets.source[blocks]
    seen = (source + 1)[:, :, None] == numbers[:, None, :]
    return (seen | (blocks < 0)[:, :, None])[:, None]


def decoder_inputs(ids: torch.Tensor, blocks: torch.Tensor, start: int) -> torch.Tensor:
    """What the decoder is given: each block's tokens moved by one, behind a `start` token."""
    moved = functional.pad(ids, (1, 0))[:, :-1]
    first = blocks != functional.pad(blocks, (1, 0), value=-2)[:, :-1]
    return moved.masked_fill(first, start).clamp_min(0)


def _decoder_output(
    model: Any, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets
) -> torch.Tensor:
    """(lines, longest, width): the decoder's output."""
    own_mask, blocks = None, targets.blocks  # T5's own mask: what came before
    if blocks is not None:
        # Of its own block, a token sees what is before it and itself: (lines, 1, n, n).
        own_mask = same_block(blocks).tril()
        mask = cross_mask(targets, blocks, mask)
    else:
        blocks = torch.zeros_like(targets.ids)  # a line is one target
        if targets.source is not None:
            # (inputs, ...) -> (targets, ...): an input of several targets is encoded once.
            hidden, mask = hidden[targets.source], mask[targets.source]
    return model.decoder(
        input_ids=decoder_inputs(targets.ids, blocks, start_of(model)),
        attention_mask=None if own_mask is None else _as_taken(own_mask, model),
        encoder_hidden_states=hidden,
        encoder_attention_mask=_as_taken(mask, model),
        use_cache=False,
    )[0]
