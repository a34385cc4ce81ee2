"""The tasks' losses against transformers' own, and what a missing rationale costs: nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stepdistill.trainer.data.batches import Batch, Layout, Targets
from stepdistill.trainer.data.examples import Example, TaskText
from stepdistill.trainer.data.plan import StepPlan, StepSettings
from stepdistill.trainer.data.tokens import LengthLimits, tokenise
from stepdistill.trainer.model.answers import log_probabilities
from stepdistill.trainer.model.losses import TaskLosses, weigh
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of
from stepdistill.trainer.settings.tasks import table_of
from stepdistill.trainer.training.on_cpu import plain_attention

Examples = tuple[Example, ...]


def _batch(
    student: Student, examples: Examples, *, mutual: bool = False, pack: int | None = None
) -> Batch:
    table, limits = table_of("step-by-step", 0.5), LengthLimits(input=256, target=128)
    tokens = tokenise(examples, table, encoder_of(student.tokenizer), limits)
    layout = Layout(pack=pack)
    settings = StepSettings(batch_size=len(examples), seed=0, layout=layout, mutual=mutual)
    return StepPlan(tokens, settings).step(0)[0]


def _sums(student: Student, batch: Batch, *, mutual: bool = False) -> torch.Tensor:
    with torch.no_grad():
        return TaskLosses(student, mutual=mutual)(batch)


def _rationales(batch: Batch) -> Targets:
    part = batch.targets[1]
    assert part is not None
    return part


def _told(row: Example) -> str:
    return row.rationales[0].text


def _stock(student: Student, inputs: list[str], targets: list[str]) -> float:
    """transformers' mean loss a target token."""
    read = student.tokenizer(inputs, return_tensors="pt", padding=True)
    ids = student.tokenizer(targets, return_tensors="pt", padding=True)["input_ids"]
    labels = ids.masked_fill(ids == 0, -100)
    with torch.no_grad():
        return float(student.model(**read, labels=labels).loss)


def test_each_task_is_what_transformers_says(student: Student, examples: Examples) -> None:
    rows = (replace(examples[0], rationales=()), *examples[1:6])
    explained = [row for row in rows if row.rationales]
    batch = _batch(student, rows)
    sums = _sums(student, batch)
    label = _stock(student, ["predict: " + row.input for row in rows], [row.label for row in rows])
    rationale = _stock(
        student, ["explain: " + row.input for row in explained], list(map(_told, explained))
    )
    assert float(sums[0]) / batch.totals[0] == pytest.approx(label, rel=1e-5)
    assert float(sums[1]) / batch.totals[1] == pytest.approx(rationale, rel=1e-5)


@pytest.mark.parametrize("pack", [None, 64])
def test_attention_written_down_plainly_is_the_same(
    student: Student, examples: Examples, pack: int | None
) -> None:
    batch = _batch(student, examples[:6], pack=pack)
    usual = _sums(student, batch)
    with plain_attention(student):
        assert student.model.config._attn_implementation == "eager"
        plain = _sums(student, batch)
    assert student.model.config._attn_implementation == "sdpa"
    assert plain.tolist() == pytest.approx(usual.tolist(), rel=1e-5)


def test_a_skipped_rationale_is_the_same_as_a_masked_one(
    student: Student, examples: Examples
) -> None:
    whole = tuple(row for row in examples if row.rationales)[:4]
    bare = replace(whole[0], rationales=())
    skipped, full = _batch(student, (bare, *whole[1:])), _batch(student, whole)
    part = _rationales(full)
    own = encoder_of(student.tokenizer)([_told(whole[0])], 128)[0]
    padded = torch.tensor(own + [-100] * (part.ids.shape[1] - len(own)))
    ids = part.ids.clone()
    ids[(ids == padded).all(1)] = -100
    masked = replace(full, targets=(full.targets[0], replace(part, ids=ids)))
    assert torch.allclose(_sums(student, skipped), _sums(student, masked), rtol=1e-5)
    assert skipped.totals[1] == int((ids != -100).sum())
    assert len(skipped.input_ids) == len(full.input_ids) - 1


def test_two_rationales_of_a_row_weigh_as_one(student: Student, examples: Examples) -> None:
    row = next(row for row in examples if row.rationales)
    one = _batch(student, (row,))
    twice = (TaskText(text=_told(row), weight=0.5), TaskText(text=_told(row), weight=0.5))
    two = _batch(student, (replace(row, rationales=twice),))
    assert two.totals == one.totals
    assert torch.allclose(_sums(student, two), _sums(student, one), rtol=1e-5)


def test_a_row_weighs_what_it_is_worth(student: Student, examples: Examples) -> None:
    pair = examples[:2]
    light = _batch(student, (replace(pair[0], weight=0.0), pair[1]))
    alone = _batch(student, pair[1:])
    assert light.totals == pytest.approx(alone.totals)
    assert torch.allclose(_sums(student, light), _sums(student, alone), rtol=1e-5)


def test_a_soft_label_is_the_mean_of_its_labels(student: Student, examples: Examples) -> None:
    row = replace(examples[0], rationales=())
    votes = (TaskText(text="addition", weight=0.75), TaskText(text="division", weight=0.25))
    soft = _sums(student, _batch(student, (replace(row, labels=votes),)))[0]
    hard = [
        _sums(student, _batch(student, (replace(row, labels=(TaskText(text=vote.text),)),)))[0]
        for vote in votes
    ]
    assert float(soft) == pytest.approx(0.75 * float(hard[0]) + 0.25 * float(hard[1]), rel=1e-5)


def test_the_mutual_term_compares_what_the_two_tasks_say(
    student: Student, examples: Examples
) -> None:
    rows = tuple(row for row in examples if row.rationales)[:2]
    batch = _batch(student, rows, mutual=True)
    expected = 0.0
    for row in rows:
        ids: list[torch.Tensor] = []
        for prefix, target in (("predict: ", row.label), ("explain: ", _told(row))):
            read = student.tokenizer([prefix + row.input], return_tensors="pt")
            labels = student.tokenizer([target], return_tensors="pt")["input_ids"]
            with torch.no_grad():
                logits = student.model(**read, labels=labels).logits
            ids.append(logits[0].softmax(-1).amax(0))
        goal, told = (one / one.sum() for one in ids)
        expected -= float((goal * told.log()).sum())
    assert batch.totals[2] == 2
    assert float(_sums(student, batch, mutual=True)[2]) == pytest.approx(expected, rel=1e-4)
    bare = _batch(student, tuple(replace(row, rationales=()) for row in rows), mutual=True)
    assert bare.totals[2] == 0
    assert float(_sums(student, bare, mutual=True)[2]) == 0


def test_the_mutual_term_moves_the_explanation_alone(student: Student, examples: Examples) -> None:
    rows = tuple(row for row in examples if row.rationales)[:2]
    losses = TaskLosses(student, mutual=True)
    term = losses(_batch(student, rows, mutual=True))[2]
    [gradient] = torch.autograd.grad(term, [student.model.shared.weight])
    assert float(gradient.abs().sum()) > 0


def test_rows_that_share_lines_have_the_losses_of_rows_apart(
    student: Student, examples: Examples
) -> None:
    votes = (TaskText(text="addition", weight=0.75), TaskText(text="division", weight=0.25))
    told = (TaskText(text="so it is", weight=0.3), TaskText(text="because", weight=0.7))
    rows = tuple(
        replace(row, labels=votes, weight=0.5) if number % 2 else replace(row, rationales=told)
        for number, row in enumerate(examples[:8])
    )
    apart = _batch(student, rows, mutual=True)
    packed = _batch(student, rows, mutual=True, pack=512)
    assert len(packed.input_ids) < len(apart.input_ids) / 2 and packed.totals == apart.totals
    found = _sums(student, packed, mutual=True)
    assert torch.allclose(found, _sums(student, apart, mutual=True), rtol=1e-5)


def test_weights_are_of_means_over_tokens(student: Student, examples: Examples) -> None:
    batch = _batch(student, examples[:6])
    sums = _sums(student, batch)
    label, rationale = (sums[i] / batch.totals[i] for i in range(2))
    assert torch.allclose(weigh(sums, batch.totals, (0.3, 0.7)), 0.3 * label + 0.7 * rationale)
    assert torch.equal(weigh(sums, batch.totals, (1.0, 0.0)), label)


def test_a_step_without_any_rationale_has_a_finite_loss(
    student: Student, examples: Examples
) -> None:
    batch = _batch(student, tuple(replace(row, rationales=()) for row in examples[:3]))
    sums = _sums(student, batch)
    half = 0.5 * float(sums[0] / batch.totals[0])
    assert float(weigh(sums, batch.totals, (0.5, 0.5))) == pytest.approx(half)


def test_a_saved_student_has_the_same_loss(
    student: Student, examples: Examples, tmp_path: Path
) -> None:
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    again = pretrained(str(tmp_path), None)
    batch = _batch(student, examples[:4])
    assert torch.equal(_sums(again, batch), _sums(student, batch))


def test_the_chance_of_a_text_is_what_transformers_says(
    student: Student, examples: Examples
) -> None:
    rows = [np.array(ids) for ids in encoder_of(student.tokenizer)([examples[0].input], 256)]
    [[one, other]] = log_probabilities(student, rows, [["addition", "so it is"]])
    for chance, text in ((one, "addition"), (other, "so it is")):
        tokens = len(student.tokenizer([text])["input_ids"][0])
        assert chance == pytest.approx(
            -tokens * _stock(student, [examples[0].input], [text]), rel=1e-5
        )
