"""Which rows are where, and that nothing is padded into the loss."""

from dataclasses import replace

from trainer.data.batches import IGNORED, Batch, Plan, Tokens, pad_inputs, tokenise
from trainer.data.examples import Example
from trainer.model.student import Student
from trainer.model.tokenizer import encoder_of

ROWS = [
    Tokens(
        predict=[10, i, 1],
        label=[100 + i, 1],
        explain=[11, i, 1] if i % 3 else None,
        rationale=[200 + i] * (i % 4) + [1] if i % 3 else None,
    )
    for i in range(10)
]
PLAN = Plan(tokens=ROWS, batch_size=8, accumulate=1, rank=0, world_size=1, seed=3, lockstep=False)


def _labels(batches: list[Batch]) -> list[int]:
    return sorted(int(first) for batch in batches for first in batch.label_ids[:, 0])


def test_an_epoch_shows_every_row_once() -> None:
    seen = [label for step in range(5) for label in _labels(PLAN.step(step))]
    assert sorted(seen) == sorted([100 + i for i in range(10)] * 4)


def test_ranks_and_micro_batches_share_the_same_step() -> None:
    whole = PLAN.step(4)
    ranks = [replace(PLAN, accumulate=2, world_size=2, rank=rank).step(4) for rank in range(2)]
    assert _labels(whole) == sorted(_labels(ranks[0]) + _labels(ranks[1]))
    shares = [batch for rank in ranks for batch in rank]
    assert {batch.rows for batch in shares} == {2}
    assert {(batch.label_tokens, batch.rationale_tokens) for batch in shares} == {
        (whole[0].label_tokens, whole[0].rationale_tokens)
    }


def test_the_counts_are_those_of_the_targets() -> None:
    [batch] = PLAN.step(0)
    assert batch.rationale_ids is not None
    assert batch.label_tokens == (batch.label_ids != IGNORED).sum()
    assert batch.rationale_tokens == (batch.rationale_ids != IGNORED).sum()
    assert len(batch.input_ids) == len(batch.label_ids) + len(batch.rationale_ids)


def test_a_row_without_a_rationale_is_not_explained() -> None:
    bare = [replace(row, explain=None, rationale=None) for row in ROWS]
    [batch] = replace(PLAN, tokens=bare).step(0)
    assert batch.rationale_ids is None
    assert len(batch.input_ids) == 8


def test_in_lockstep_a_rank_with_nothing_to_explain_joins_in() -> None:
    rows = [ROWS[0], ROWS[1]]  # the first has no rationale, the second has one
    plan = replace(PLAN, tokens=rows, batch_size=2, world_size=2, lockstep=True)
    batches = [replace(plan, rank=rank).step(0)[0] for rank in range(2)]
    assert all(batch.rationale_ids is not None for batch in batches)
    counted = sum(
        int((b.rationale_ids != IGNORED).sum()) for b in batches if b.rationale_ids is not None
    )
    assert counted == batches[0].rationale_tokens == len(ROWS[1].rationale or [])


def test_prefixes_and_ends(student: Student, examples: tuple[Example, ...]) -> None:
    tokens = tokenise(examples[:4], encoder_of(student.tokenizer), "step-by-step", 256, 64)
    said = student.tokenizer.decode(tokens[0].predict, skip_special_tokens=True)
    assert said == f"predict: {examples[0].input}"
    assert all(row.label[-1] == student.tokenizer.eos_token_id for row in tokens)
    [bare] = tokenise(examples[:1], encoder_of(student.tokenizer), "standard", 256, 64)
    assert student.tokenizer.decode(bare.predict, skip_special_tokens=True) == examples[0].input


def test_long_texts_are_cut(student: Student, examples: tuple[Example, ...]) -> None:
    [row] = tokenise(examples[:1], encoder_of(student.tokenizer), "standard", 16, 8)
    assert len(row.predict) == 16
    assert row.predict[-1] == student.tokenizer.eos_token_id


def test_padding_is_masked() -> None:
    input_ids, mask = pad_inputs([[7, 8, 1], [9, 1]])
    assert input_ids.tolist() == [[7, 8, 1], [9, 1, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
