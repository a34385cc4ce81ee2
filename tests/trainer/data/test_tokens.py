"""Texts become token ids once, and are found again by what they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from stepdistill.trainer.data.examples import Example, TaskText
from stepdistill.trainer.data.tokens import LengthLimits, kept, load, save, targets_of, tokenise
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of, fingerprint_of
from stepdistill.trainer.settings.tasks import Task, table_of
from tests.trainer.made_tokens import lengthy_rows, spell, tokens_of

TABLE = table_of("step-by-step", 0.5)
LIMITS = LengthLimits(input=256, target=64)


def test_prefixes_and_ends(student: Student, examples: tuple[Example, ...]) -> None:
    predict, _ = tokenise(examples[:4], TABLE, encoder_of(student.tokenizer), LIMITS)
    text = student.tokenizer.decode(predict.inputs[0].tolist(), skip_special_tokens=True)
    assert text == f"predict: {examples[0].input}"
    assert all(predict.targets[i][-1] == student.tokenizer.eos_token_id for i in range(4))
    standard = table_of("standard", 0.5)
    [bare] = tokenise(examples[:1], standard, encoder_of(student.tokenizer), LIMITS)
    text = student.tokenizer.decode(bare.inputs[0].tolist(), skip_special_tokens=True)
    assert text == examples[0].input


def test_long_texts_are_cut(student: Student, examples: tuple[Example, ...]) -> None:
    encode = encoder_of(student.tokenizer)
    [task] = tokenise(examples[:1], TABLE[:1], encode, LengthLimits(input=16, target=8))
    assert len(task.inputs[0]) == 16
    assert task.inputs[0][-1] == student.tokenizer.eos_token_id


def test_what_was_kept_comes_back_mapped(tmp_path: Path) -> None:
    made = tokens_of(lengthy_rows(20))
    save(made, tmp_path / "kept")
    save(made, tmp_path / "kept")  # a second writer changes nothing
    again = load(tmp_path / "kept", 2)
    for one, other in zip(made, again, strict=True):
        assert np.array_equal(one.inputs.flat, other.inputs.flat)
        assert np.array_equal(one.first, other.first)
        assert isinstance(other.targets.flat, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_other_texts_tokenizers_or_limits_are_kept_elsewhere(student: Student) -> None:
    rows = lengthy_rows(3)
    own = fingerprint_of(student.tokenizer)
    changed = [replace(rows[0], weight=0.5), *rows[1:]]
    places = [
        kept(Path(), rows, TABLE, own, LIMITS),
        kept(Path(), rows, TABLE, "other", LIMITS),
        kept(Path(), rows, TABLE, own, LengthLimits(input=255, target=64)),
        kept(Path(), rows, table_of("standard", 0.5), own, LIMITS),
        kept(Path(), changed, TABLE, own, LIMITS),
    ]
    assert len(set(places)) == len(places)
    assert kept(Path(), rows, table_of("step-by-step", 0.9), own, LIMITS) == places[0]


def test_label_then_rationale_is_one_target() -> None:
    task = Task(name="answer", target="label-rationale")
    row = Example(id="1", input="x", labels=(TaskText(text="yes"),), weight=0.5)
    assert targets_of(task, row) == [TaskText(text="yes", weight=0.5)]
    reasons = (TaskText(text="it is", weight=0.5), TaskText(text="so it is", weight=0.5))
    text = targets_of(task, replace(row, rationales=reasons))
    assert text[0] == TaskText(text="yes Reasons: it is", weight=0.25)
    assert len(text) == 2


def test_a_task_skips_the_rows_it_has_no_target_for() -> None:
    rows = lengthy_rows(9)
    predict, explain = tokenise(rows, TABLE, spell, LIMITS)
    explained = [i for i, row in enumerate(rows) if row.rationales]
    assert list(np.nonzero(explain.counts())[0]) == explained
    assert list(predict.counts()) == [1] * 9
    assert all(len(explain.inputs[i]) == 0 for i in range(9) if i not in explained)
