"""The two losses against transformers' own, and what a missing rationale costs: nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.data.batches import EXPLAIN, PREDICT, Batch, Plan, tokenise
from trainer.data.examples import Example
from trainer.model.losses import TaskLosses, weigh
from trainer.model.student import Student, pretrained
from trainer.model.tokenizer import encoder_of


def _batch(student: Student, examples: tuple[Example, ...]) -> Batch:
    tokens = tokenise(examples, encoder_of(student.tokenizer), "step-by-step", 256, 128)
    plan = Plan(
        tokens=tokens,
        batch_size=len(tokens),
        accumulate=1,
        rank=0,
        world_size=1,
        seed=0,
        lockstep=False,
    )
    return plan.step(0)[0]


def _sums(student: Student, batch: Batch) -> torch.Tensor:
    ids = (batch.input_ids, batch.mask, batch.label_ids, batch.rationale_ids)
    with torch.no_grad():
        return TaskLosses(student.model)(*ids)


def _stock(student: Student, inputs: list[str], targets: list[str]) -> float:
    """transformers' mean loss a target token."""
    read = student.tokenizer(inputs, return_tensors="pt", padding=True)
    said = student.tokenizer(targets, return_tensors="pt", padding=True)["input_ids"]
    labels = said.masked_fill(said == 0, -100)
    with torch.no_grad():
        return float(student.model(**read, labels=labels).loss)


def test_each_task_is_what_transformers_says(
    student: Student, examples: tuple[Example, ...]
) -> None:
    rows = (replace(examples[0], rationale=None), *examples[1:6])
    explained = [row for row in rows if row.rationale]
    batch = _batch(student, rows)
    sums = _sums(student, batch)
    label = _stock(student, [PREDICT + row.input for row in rows], [row.label for row in rows])
    rationale = _stock(
        student,
        [EXPLAIN + row.input for row in explained],
        [row.rationale or "" for row in explained],
    )
    assert float(sums[0]) / batch.label_tokens == pytest.approx(label, rel=1e-5)
    assert float(sums[1]) / batch.rationale_tokens == pytest.approx(rationale, rel=1e-5)


def test_a_skipped_rationale_is_the_same_as_a_masked_one(
    student: Student, examples: tuple[Example, ...]
) -> None:
    whole = [row for row in examples if row.rationale][:4]
    bare = replace(whole[0], rationale=None)
    skipped = _batch(student, (bare, *whole[1:]))
    full = _batch(student, tuple(whole))
    assert full.rationale_ids is not None
    own = encoder_of(student.tokenizer)([whole[0].rationale or ""], 128)[0]
    masked = full.rationale_ids.clone()
    padded = torch.tensor(own + [-100] * (masked.shape[1] - len(own)))
    masked[(masked == padded).all(1)] = -100
    expected = _sums(student, replace(full, rationale_ids=masked))
    assert torch.allclose(_sums(student, skipped), expected, rtol=1e-5)
    assert skipped.rationale_tokens == int((masked != -100).sum())
    assert len(skipped.input_ids) == len(full.input_ids) - 1


def test_alpha_weighs_the_tasks(student: Student, examples: tuple[Example, ...]) -> None:
    batch = _batch(student, examples[:6])
    sums = _sums(student, batch)
    label = weigh(sums, batch, None)
    rationale = sums[1] / batch.rationale_tokens
    assert torch.equal(weigh(sums, batch, 1.0), label)
    assert torch.equal(weigh(sums, batch, 0.0), rationale)
    assert torch.allclose(weigh(sums, batch, 0.3), 0.3 * label + 0.7 * rationale)


def test_a_step_without_any_rationale_has_a_finite_loss(
    student: Student, examples: tuple[Example, ...]
) -> None:
    bare = tuple(replace(row, rationale=None) for row in examples[:3])
    batch = _batch(student, bare)
    sums = _sums(student, batch)
    assert float(weigh(sums, batch, 0.5)) == pytest.approx(
        0.5 * float(sums[0] / batch.label_tokens)
    )


def test_a_saved_student_has_the_same_loss(
    student: Student, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    again = pretrained(str(tmp_path), None)
    batch = _batch(student, examples[:4])
    assert torch.equal(_sums(again, batch), _sums(student, batch))
