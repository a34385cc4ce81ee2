"""Where a student comes from."""

import json
from pathlib import Path

import pytest
import torch

from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import Student, from_scratch
from stepdistill.trainer.settings.train import SIZES

PIECES = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁yes", -1.0), ("▁no", -1.0)]


def test_the_seed_decides_the_weights() -> None:
    one, same, other = (
        from_scratch(SIZES["tiny"], PIECES, seed, None).model.shared.weight for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_sizes_rise_in_their_order() -> None:
    students = [from_scratch(size, PIECES, 0, None) for size in SIZES.values()]
    counts = [student.model.num_parameters() for student in students]
    assert counts == sorted(set(counts))


def test_a_saved_folder_is_a_model(student: Student, tmp_path: Path) -> None:
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    again = pretrained(str(tmp_path), None)
    assert torch.equal(again.model.shared.weight, student.model.shared.weight)
    text = ["predict: Ada has 12 apples."]
    assert again.tokenizer(text)["input_ids"] == student.tokenizer(text)["input_ids"]
    assert pretrained(str(tmp_path), 0.25).model.config.dropout_rate == 0.25


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="the folder lacks a part") as error:
        pretrained(str(tmp_path), None)
    assert "\n" not in str(error.value)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="no such folder"):
        pretrained(str(tmp_path / "missing"), None)


def test_another_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "pegasus"}))
    with pytest.raises(StudentError, match="a pegasus, the student must be one of"):
        pretrained(str(tmp_path), None)
