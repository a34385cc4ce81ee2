"""A T5's decoder where there is a target: no logits are computed elsewhere."""

from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration

from stepdistill.trainer.data.batches import IGNORED, Targets


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
    student: T5ForConditionalGeneration,
    hidden: torch.Tensor,
    mask: torch.Tensor,
    targets: Targets,
) -> Decoded:
    """hidden, mask: (lines of input, longest, ...), the encoder's output and Batch.mask of it."""
    output = _decoder_output(student, hidden, mask, targets)
    # The vocabulary is T5's widest layer: it is computed where there is a target, nowhere else.
    real = targets.ids != IGNORED
    output = output[real]  # (lines, longest, width) -> (target tokens, width)
    if getattr(student.config, "scale_decoder_outputs", False):
        output = output * student.model_dim**-0.5
    target = real.nonzero()[:, 0] if targets.blocks is None else targets.blocks[real]
    return Decoded(
        ids=targets.ids[real],
        logits=cast(torch.Tensor, student.lm_head(output)).float(),
        target=target,
        source=target if targets.source is None else targets.source[target],
    )


def _decoder_output(
    student: T5ForConditionalGeneration,
    hidden: torch.Tensor,
    mask: torch.Tensor,
    targets: Targets,
) -> torch.Tensor:
    """(lines, longest, width): the decoder's output."""
    own_mask = None  # T5's own: what came before
    if targets.blocks is not None:
        start = cast(int, student.config.decoder_start_token_id)
        ids = decoder_inputs(targets.ids, targets.blocks, start)
        # Of its own block, a token sees what is before it and itself: (lines, 1, n, n).
        own_mask = same_block(targets.blocks).tril()
        mask = cross_mask(targets, targets.blocks, mask)
    else:
        ids = student.prepare_decoder_input_ids_from_labels(targets.ids)
        if targets.source is not None:
            # (inputs, ...) -> (targets, ...): an input of several targets is encoded once.
            hidden, mask = hidden[targets.source], mask[targets.source]
    return student.decoder(
        input_ids=ids,
        attention_mask=own_mask,
        encoder_hidden_states=hidden,
        encoder_attention_mask=mask,
        use_cache=False,
    )[0]
