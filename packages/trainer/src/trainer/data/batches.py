"""example -> tokens -> batch: which rows which rank sees at which step, padded no more than needed.

Every rank knows the whole global batch, so token counts over all ranks and accumulation steps are
known before the forward pass, without any talk between ranks. That is what makes the loss of one
rank, of two, and of four accumulated micro-batches the same number.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from trainer.config import Mode
from trainer.data.examples import Example

PREDICT = "predict: "
EXPLAIN = "explain: "
IGNORED = -100

Encode = Callable[[Sequence[str], int], list[list[int]]]
"""(texts, longest) -> token ids of each text, end-of-sequence included, cut off at `longest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """An example as token ids. explain and rationale are None together."""

    predict: list[int]
    label: list[int]
    explain: list[int] | None
    rationale: list[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one rank reads in one forward pass.

    input_ids: (rows + explained rows, input length), padded with 0; predict inputs come first.
    mask: the same shape, 1 at real tokens.
    label_ids: (rows, label length), padded with -100.
    rationale_ids: (explained rows, rationale length), padded with -100; None: nothing to explain.
    label_tokens, rationale_tokens: targets in the whole step, over all ranks and micro-batches.
    rows, tokens: of this batch alone, padding not counted; for the throughput.
    """

    input_ids: torch.Tensor
    mask: torch.Tensor
    label_ids: torch.Tensor
    rationale_ids: torch.Tensor | None
    label_tokens: int
    rationale_tokens: int
    rows: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which rows make up which step. batch_size = rows over all ranks and micro-batches.

    lockstep: every rank must run the same layers (ZeRO-3 gathers weights inside them), so a rank
    with nothing to explain joins in with a target that counts for nothing.
    """

    tokens: Sequence[Tokens]
    batch_size: int
    accumulate: int
    rank: int
    world_size: int
    seed: int
    lockstep: bool

    def step(self, number: int) -> list[Batch]:
        """This rank's micro-batches of step `number`, counted from 0."""
        rows = [self._row(number * self.batch_size + i) for i in range(self.batch_size)]
        label_tokens = sum(len(row.label) for row in rows)
        rationale_tokens = sum(len(row.rationale or ()) for row in rows)
        share = self.batch_size // self.accumulate
        micro_batches = [rows[start : start + share] for start in range(0, len(rows), share)]
        return [self._batch(micro, label_tokens, rationale_tokens) for micro in micro_batches]

    def _row(self, position: int) -> Tokens:
        epoch, place = divmod(position, len(self.tokens))
        return self.tokens[_order(len(self.tokens), self.seed, epoch)[place]]

    def _batch(self, micro: list[Tokens], label_tokens: int, rationale_tokens: int) -> Batch:
        mine = micro[self.rank :: self.world_size]
        explained = [row for row in mine if row.rationale is not None]
        targets = [row.rationale or [] for row in explained]
        if not explained and self.lockstep and any(row.rationale for row in micro):
            explained, targets = mine[:1], [[IGNORED]]
        inputs = [row.predict for row in mine] + [row.explain or row.predict for row in explained]
        input_ids, mask = pad_inputs(inputs)
        return Batch(
            input_ids=input_ids,
            mask=mask,
            label_ids=_pad([row.label for row in mine], IGNORED),
            rationale_ids=_pad(targets, IGNORED) if explained else None,
            label_tokens=label_tokens,
            rationale_tokens=rationale_tokens,
            rows=len(mine),
            tokens=sum(map(len, [*inputs, *targets])) + sum(len(row.label) for row in mine),
        )


def tokenise(
    examples: Sequence[Example], encode: Encode, mode: Mode, longest_input: int, longest_target: int
) -> list[Tokens]:
    """Each example as token ids; a row without a rationale gets no explain task."""
    prefix = PREDICT if mode == "step-by-step" else ""
    explained = [example for example in examples if example.rationale is not None]
    predict = encode([prefix + example.input for example in examples], longest_input)
    labels = encode([example.label for example in examples], longest_target)
    explain = iter(encode([EXPLAIN + example.input for example in explained], longest_input))
    reasons = iter(encode([example.rationale or "" for example in explained], longest_target))
    return [
        Tokens(
            predict=ids,
            label=label,
            explain=None if example.rationale is None else next(explain),
            rationale=None if example.rationale is None else next(reasons),
        )
        for example, ids, label in zip(examples, predict, labels, strict=True)
    ]


def pad_inputs(rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded with 0 (T5's pad), and the mask of real tokens: (rows, longest) each."""
    return _pad(rows, 0), _pad([[1] * len(row) for row in rows], 0)


def _pad(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> list[int]:
    """The rows of one epoch, shuffled; the same on every rank."""
    order = list(range(rows))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order
