"""What becomes of a record: an example, a question, or a number in the counts."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ShardError
from common.record import Record
from tests.trainer.made_rows import word_problems, write_split
from trainer.data.examples import exam, fill, lesson
from trainer.data.shards import Split, read_data


def _split(folder: Path, records: list[Record]) -> Split:
    where = [write_split(folder / "rows", records)]
    return read_data(where, where, where).train


@given(st.text(), st.text())
def test_a_value_is_never_filled_in_again(question: str, hint: str) -> None:
    filled = fill("{question} / {hint}", {"question": question, "hint": hint})
    assert filled == f"{question} / {hint}"


def test_braces_in_a_value_stay(tmp_path: Path) -> None:
    record = word_problems("train", 1)[0]
    odd = replace(record, input={"story": "{question} {x}", "question": "Why?"})
    [example] = lesson(_split(tmp_path, [odd]), "teacher", "step-by-step").examples
    assert example.input == "{question} {x} Why?"


def test_rows_without_label_or_rationale_are_counted_never_invented(tmp_path: Path) -> None:
    records = word_problems("train", 4)
    records[0] = replace(records[0], label=None)
    records[1] = replace(records[1], label="  ")
    records[2] = replace(records[2], rationale=None)
    learn = lesson(_split(tmp_path, records), "teacher", "step-by-step")
    assert [example.id for example in learn.examples] == ["train-2", "train-3"]
    assert (learn.without_label, learn.without_rationale) == (2, 1)
    assert learn.examples[0].rationale is None


def test_standard_mode_has_no_rationales(tmp_path: Path) -> None:
    learn = lesson(_split(tmp_path, word_problems("train", 3)), "teacher", "standard")
    assert [example.rationale for example in learn.examples] == [None] * 3


def test_gold_labels_on_request(tmp_path: Path) -> None:
    records = word_problems("train", 30, noise=1.0)
    learn = lesson(_split(tmp_path, records), "gold", "standard")
    assert [example.label for example in learn.examples] == [record.gold for record in records]


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="nothing to train on"):
        lesson(_split(tmp_path, []), "teacher", "standard")


def test_an_exam_needs_gold(tmp_path: Path) -> None:
    records = word_problems("test", 3)
    some = [records[0], replace(records[1], gold=None)]
    assert exam(_split(tmp_path / "some", some)).without_gold == 1
    none = [replace(record, gold=None) for record in records]
    with pytest.raises(ShardError, match="no row has a gold label"):
        exam(_split(tmp_path / "none", none))


def test_a_template_that_asks_too_much(tmp_path: Path) -> None:
    record = replace(word_problems("train", 1)[0], input={"story": "One."})
    with pytest.raises(ShardError, match=r"asks for \{question\}"):
        lesson(_split(tmp_path, [record]), "teacher", "standard")
