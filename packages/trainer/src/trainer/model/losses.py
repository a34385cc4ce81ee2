"""The tasks' losses of a T5: one encoder pass over all tasks, a decoder pass for each."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from transformers import T5ForConditionalGeneration

from trainer.data.batches import IGNORED, Batch, Targets
from trainer.model.masks import answering, heard, said_before, within

_LEAST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoded:
    """What a task's decoder said. logits: (target tokens, vocabulary). loss: (), summed.

    source: (target tokens,), which of the task's inputs each token answers.
    """

    loss: torch.Tensor
    logits: torch.Tensor
    source: torch.Tensor


class TaskLosses(nn.Module):
    """Wraps a student so that one call gives every task's summed loss.

    mutual: the last of the sums is the mutual-information term of arXiv 2403.03348.
    """

    def __init__(self, student: T5ForConditionalGeneration, *, mutual: bool = False) -> None:
        super().__init__()
        self.student = student
        self._mutual = mutual

    def forward(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy summed over target tokens, each weighed: (tasks,), or one more."""
        mask = within(batch.mask) if batch.packed else batch.mask
        hidden = self.student.encoder(input_ids=batch.input_ids, attention_mask=mask)[0]
        decoded: list[_Decoded | None] = []
        start = 0
        for targets in batch.targets:
            end = start + (0 if targets is None else targets.inputs)
            part = (hidden[start:end], batch.mask[start:end])
            decoded.append(None if targets is None else self._decode(*part, targets))
            start = end
        nothing = hidden.new_zeros((), dtype=torch.float32)
        sums = [nothing if one is None else one.loss for one in decoded]
        if self._mutual:
            sums.append(
                _mutual_information(decoded, batch.pairs) if batch.pairs is not None else nothing
            )
        return torch.stack(sums)

    def _decode(self, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets) -> _Decoded:
        said = self._said(hidden, mask, targets)
        student, source = self.student, targets.source
        # The vocabulary is T5's widest layer: it is computed where there is a target, nowhere else.
        real = targets.ids != IGNORED
        said = said[real]
        if getattr(student.config, "scale_decoder_outputs", False):
            said = said * student.model_dim**-0.5
        logits = cast(torch.Tensor, student.lm_head(said)).float()
        target = real.nonzero()[:, 0] if targets.blocks is None else targets.blocks[real]
        return _Decoded(
            loss=_summed(logits, targets, real, target),
            logits=logits,
            source=target if source is None else source[target],
        )

    def _said(self, hidden: torch.Tensor, mask: torch.Tensor, targets: Targets) -> torch.Tensor:
        """(lines, longest, width): what the decoder says at each place."""
        student, source, blocks = self.student, targets.source, targets.blocks
        if blocks is not None:
            start = cast(int, student.config.decoder_start_token_id)
            return student.decoder(
                input_ids=heard(targets.ids, blocks, start),
                attention_mask=said_before(blocks),
                encoder_hidden_states=hidden,
                encoder_attention_mask=answering(targets, blocks, mask),
                use_cache=False,
            )[0]
        if source is not None:
            hidden, mask = hidden[source], mask[source]
        return student.decoder(
            input_ids=student.prepare_decoder_input_ids_from_labels(targets.ids),
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            use_cache=False,
        )[0]


def _summed(
    logits: torch.Tensor, targets: Targets, real: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """target: (target tokens,), which target each belongs to."""
    if targets.weights is None:
        return functional.cross_entropy(logits, targets.ids[real], reduction="sum")
    losses = functional.cross_entropy(logits, targets.ids[real], reduction="none")
    return (losses * targets.weights[target]).sum()


def _mutual_information(decoded: list[_Decoded | None], pairs: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of what the explanation says against what the label says, summed over rows.

    A row's saying is the largest probability that each word has at any of its target's places
    (arXiv 2403.03348); the label's is the goal, and no gradient flows into it.
    """
    label, rationale = decoded[:2]
    assert label is not None and rationale is not None  # both, where there are pairs
    goal = _sayings(label, pairs[0]).detach()
    said = _sayings(rationale, pairs[1]).clamp_min(_LEAST).log()
    return functional.cross_entropy(said, goal / goal.sum(1, keepdim=True), reduction="sum")


def _sayings(decoded: _Decoded, rows: torch.Tensor) -> torch.Tensor:
    """(rows, vocabulary): each word's largest probability over a row's target tokens."""
    chance = decoded.logits.softmax(-1)
    shape = (int(decoded.source.max()) + 1, chance.shape[1])
    where = decoded.source[:, None].expand_as(chance)
    largest = chance.new_zeros(shape).scatter_reduce(0, where, chance, "amax")
    return largest[rows]


def weigh(
    sums: torch.Tensor, totals: tuple[float, ...], weights: tuple[float, ...]
) -> torch.Tensor:
    """The step's loss, or one batch's share of it: each term over its own total in the step.

    A term that nothing in the step has counts zero.
    """
    shares = [
        weight / total if total else 0.0 for weight, total in zip(weights, totals, strict=True)
    ]
    return sums @ torch.tensor(shares, dtype=sums.dtype, device=sums.device)
