"""The tasks' losses of a student: one encoder pass over all tasks, a decoder pass for each."""

import torch
from torch import nn
from torch.nn import functional

from stepdistill.trainer.data.batches import Batch, Targets
from stepdistill.trainer.model.decoding import Decoded, decode
from stepdistill.trainer.model.families.t5 import same_block
from stepdistill.trainer.model.student import Student

_LEAST = 1e-9


class TaskLosses(nn.Module):
    """Wraps a student so that one call gives every task's summed loss.

    mutual: the last of the sums is the mutual-information term of arXiv 2403.03348.
    """

    def __init__(self, student: Student, *, mutual: bool = False) -> None:
        super().__init__()
        self.student, self._family = student.model, student.family
        self._mutual = mutual

    def forward(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy summed over target tokens, each weighed: (tasks,), or one more."""
        mask = same_block(batch.mask) if batch.packed else batch.mask
        # One pass over all tasks' inputs: (lines, longest) -> (lines, longest, width).
        hidden = self._family.encode(self.student, batch.input_ids, mask)
        decoded: list[Decoded | None] = [None] * len(batch.targets)
        nothing = hidden.new_zeros((), dtype=torch.float32)
        sums = [nothing] * len(batch.targets)
        start = 0
        for task, targets in enumerate(batch.targets):
            if targets is not None:
                end = start + targets.inputs  # a task's lines stand together, in the tasks' order
                lines = slice(start, end)
                output = decode(
                    self._family, self.student, hidden[lines], batch.mask[lines], targets
                )
                decoded[task], sums[task] = output, _summed(output, targets)
                start = end
        if self._mutual:
            sums.append(
                _mutual_information(decoded, batch.pairs) if batch.pairs is not None else nothing
            )
        return torch.stack(sums)


def _summed(decoded: Decoded, targets: Targets) -> torch.Tensor:
    if targets.weights is None:
        return functional.cross_entropy(decoded.logits, decoded.ids, reduction="sum")
    return (decoded.losses() * targets.weights[decoded.target]).sum()


def _mutual_information(decoded: list[Decoded | None], pairs: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the explanation against the label, summed over rows.

    A row's answer counts as the largest probability that each word has at any place of its target
    (arXiv 2403.03348); the label's is the goal, and no gradient flows into it.
    """
    label, rationale = decoded[:2]
    assert label is not None and rationale is not None  # both, where there are pairs
    # The label teaches the explanation and not the other way round: (n, words), no gradient.
    goal = _word_peaks(label, pairs[0]).detach()
    output = _word_peaks(rationale, pairs[1]).clamp_min(_LEAST).log()
    return functional.cross_entropy(output, goal / goal.sum(1, keepdim=True), reduction="sum")


def _word_peaks(decoded: Decoded, rows: torch.Tensor) -> torch.Tensor:
    """(rows, vocabulary): each word's largest probability over a row's target tokens."""
    probability = decoded.logits.softmax(-1)
    shape = (int(decoded.source.max()) + 1, probability.shape[1])
    where = decoded.source[:, None].expand_as(probability)
    largest = probability.new_zeros(shape).scatter_reduce(0, where, probability, "amax")
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
