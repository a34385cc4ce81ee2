"""What is padded, what is skipped, and which target answers which input."""

from dataclasses import replace

import numpy as np
import torch

from stepdistill.trainer.data.batches import (
    IGNORED,
    Batch,
    Layout,
    collate,
    pad_inputs,
    padded_tokens,
)
from stepdistill.trainer.data.examples import Example, TaskText
from stepdistill.trainer.data.tokens import Tokens
from tests.trainer.made_tokens import tokens_of

ROWS = [
    Example(
        id=str(i),
        input=" ".join(["7"] * (i + 1)),
        labels=(TaskText(text=str(100 + i)),),
        rationales=(TaskText(text=" ".join(["9"] * (i % 4 + 1))),) if i % 3 else (),
    )
    for i in range(10)
]


def _batch(
    tokens: Tokens,
    *rows: int,
    forced: tuple[bool, bool] = (False, False),
    layout: Layout | None = None,
) -> Batch:
    return collate(tokens, np.array(rows), (1.0, 1.0), forced, layout or Layout())


def test_both_tasks_share_the_inputs_and_are_padded_apart() -> None:
    batch = _batch(tokens_of(ROWS), 1, 3, 6)
    label, rationale = batch.targets
    assert label is not None and rationale is not None
    assert (label.inputs, rationale.inputs) == (3, 1)
    assert batch.input_ids.shape == (4, 9)  # a prefix, seven words, the end
    assert label.ids.tolist() == [[101, 1], [103, 1], [106, 1]]
    assert rationale.ids.tolist() == [[9, 9, 1]]
    assert batch.pairs is not None and batch.pairs.tolist() == [[0], [0]]


def test_a_row_without_a_rationale_is_not_explained() -> None:
    batch = _batch(tokens_of(ROWS), 0, 3)
    assert batch.targets[1] is None and batch.pairs is None
    assert len(batch.input_ids) == 2


def test_in_lockstep_a_rank_with_nothing_to_explain_joins_in() -> None:
    batch = _batch(tokens_of(ROWS), 0, 3, forced=(True, True))
    assert batch.targets[1] is not None
    assert batch.targets[1].ids.tolist() == [[IGNORED]]
    assert batch.targets[1].inputs == 1 and len(batch.input_ids) == 3
    packed = _batch(tokens_of(ROWS), 0, 3, forced=(True, True), layout=Layout(pack=40)).targets[1]
    assert packed is not None and packed.blocks is not None and packed.ids.tolist() == [[IGNORED]]


def test_several_targets_of_a_row_share_its_input() -> None:
    two = (TaskText(text="20 21", weight=0.25), TaskText(text="22", weight=0.75))
    rows = [ROWS[0], replace(ROWS[1], rationales=two), ROWS[2]]
    _, rationale = _batch(tokens_of(rows), 0, 1, 2).targets
    assert rationale is not None and rationale.source is not None and rationale.weights is not None
    assert rationale.source.tolist() == [0, 0, 1]
    assert rationale.weights.tolist() == [0.25, 0.75, 1.0]


def test_tokens_are_counted_with_and_without_padding() -> None:
    tokens = tokens_of(ROWS)
    for layout in (Layout(), Layout(pack=12)):
        batch = _batch(tokens, 1, 4, 5, 7, 9, layout=layout)
        assert padded_tokens(tokens, np.array([1, 4, 5, 7, 9]), layout) == batch.padded
    batch = _batch(tokens, 1, 4)
    targets = [part.ids for part in batch.targets if part is not None]
    assert batch.input_tokens == int(batch.mask.sum())
    assert batch.target_tokens == sum(int((ids != IGNORED).sum()) for ids in targets)
    assert batch.padded == batch.input_ids.numel() + sum(ids.numel() for ids in targets)


def test_lengths_are_rounded_where_that_is_asked_for() -> None:
    batch = _batch(tokens_of(ROWS), 1, 4, layout=Layout(round_to=8))
    assert batch.targets[0] is not None
    assert (batch.input_ids.shape[1], batch.targets[0].ids.shape[1]) == (8, 8)


def test_padding_is_masked() -> None:
    input_ids, mask = pad_inputs([np.array([7, 8, 1]), np.array([9, 1])])
    assert torch.equal(input_ids, torch.tensor([[7, 8, 1], [9, 1, 0]]))
    assert torch.equal(mask, torch.tensor([[1, 1, 1], [1, 1, 0]]))


def test_short_inputs_share_a_line_and_their_targets_one_too() -> None:
    batch = _batch(tokens_of(ROWS), 0, 1, 2, 8, layout=Layout(pack=10))
    label, rationale = batch.targets
    assert label is not None and label.blocks is not None and rationale is not None
    # Row 8 is longer than a line and stands alone; 2 and 1 share one, 0 has no room left there.
    numbers = [[n for n in line if n] for line in batch.mask[: label.inputs].tolist()]
    assert numbers == [[4] * 11, [3] * 5 + [2] * 4, [1] * 3]
    assert label.ids.tolist() == [
        [108, 1, IGNORED, IGNORED],
        [102, 1, 101, 1],
        [100, 1, IGNORED, IGNORED],
    ]
    assert label.blocks.tolist() == [[3, 3, -1, -1], [2, 2, 1, 1], [0, 0, -1, -1]]
    assert rationale.inputs == 2 and len(batch.input_ids) == 5
