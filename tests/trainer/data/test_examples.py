"""What becomes of a record: an example, one to judge by, or a number in the counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepdistill.common.errors import ConfigError, ShardError
from stepdistill.common.record import Record
from stepdistill.common.task import LabelSpec
from stepdistill.trainer.data.examples import TaskText, TrainSet, eval_set, train_set
from stepdistill.trainer.data.shards import DataSplit, read_data, read_split
from stepdistill.trainer.settings.train import TrainSettings, parse
from tests.trainer.made_rows import arguments, word_problems, write_split


def _config(*folders: Path, **options: object) -> TrainSettings:
    line = arguments(folders[0], Path("out"), **options)[3:]
    line += [f"--train={folders[0]}", f"--valid={folders[0]}", f"--test={folders[0]}"]
    return replace(parse(line), train=folders)


def _train_set(config: TrainSettings) -> TrainSet:
    return train_set(read_data(config).train, config)


def _learn(folder: Path, records: list[Record], **options: object) -> TrainSet:
    return _train_set(_config(write_split(folder / "rows", records), **options))


def _split(folder: Path, records: list[Record]) -> DataSplit:
    return read_data(_config(write_split(folder / "rows", records))).train


def test_braces_in_a_value_stay(tmp_path: Path) -> None:
    record = word_problems("train", 1)[0]
    odd = replace(record, input={"story": "{question} {x}", "question": "Why?"})
    [example] = _learn(tmp_path, [odd]).examples
    assert example.input == "{question} {x} Why?"


def test_rows_without_label_or_rationale_are_counted_never_invented(tmp_path: Path) -> None:
    records = word_problems("train", 4)
    records[0] = replace(records[0], label=None)
    records[1] = replace(records[1], label="  ")
    records[2] = replace(records[2], rationale=None)
    learn = _learn(tmp_path, records)
    assert [example.id for example in learn.examples] == ["train-2", "train-3"]
    assert (learn.without_label, learn.without_rationale) == (2, 1)
    assert learn.examples[0].rationales == ()


def test_standard_mode_has_no_rationales(tmp_path: Path) -> None:
    learn = _learn(tmp_path, word_problems("train", 3), mode="standard")
    assert [example.rationales for example in learn.examples] == [()] * 3


def test_gold_labels_on_request(tmp_path: Path) -> None:
    records = word_problems("train", 30, noise=1.0)
    learn = _learn(tmp_path, records, labels="gold", mode="standard")
    assert [example.label for example in learn.examples] == [record.gold for record in records]


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="no rows at all"):
        _learn(tmp_path / "none", [])
    unlabelled = [replace(record, label=None) for record in word_problems("train", 3)]
    with pytest.raises(ShardError, match="no row has a teacher label, nothing to train on"):
        _learn(tmp_path / "unlabelled", unlabelled)


def test_an_exam_needs_gold(tmp_path: Path) -> None:
    records = word_problems("test", 3)
    some = [records[0], replace(records[1], gold=None)]
    assert eval_set(_split(tmp_path / "some", some)).without_gold == 1
    none = [replace(record, gold=None, label=None) for record in records]
    with pytest.raises(ShardError, match="no row has a label"):
        eval_set(_split(tmp_path / "none", none))


def test_where_nobody_has_gold_the_teacher_is_right_and_that_is_said(tmp_path: Path) -> None:
    records = [replace(record, gold=None) for record in word_problems("test", 3)]
    rows = eval_set(_split(tmp_path, records))
    assert [each.gold for each in rows.examples] == [record.label for record in records]
    assert rows.without_gold == 3
    assert "right is what the teacher says" in rows.remarks[0]
    assert eval_set(_split(tmp_path / "gold", word_problems("test", 3))).remarks == []


def test_a_gold_label_that_the_row_cannot_have_is_said(tmp_path: Path) -> None:
    rows = word_problems("test", 4)
    odd = [replace(rows[0], gold="modulo"), replace(rows[1], gold="Division."), *rows[2:]]
    [remark] = eval_set(_split(tmp_path / "classes", odd)).remarks
    assert "no answer is right to 1 of 4 rows" in remark and "'modulo' of row test-0" in remark
    spec = LabelSpec(kind="options", options=["story", "question"])
    said = [replace(row, gold=row.input["story"]) for row in rows]
    folder = write_split(tmp_path / "options", [*said[:3], rows[3]], label=spec)
    [remark] = eval_set(read_split("test", [folder])).remarks
    assert "1 of 4 rows" in remark and "of row test-3" in remark


def test_a_template_that_asks_too_much(tmp_path: Path) -> None:
    record = replace(word_problems("train", 1)[0], input={"story": "One."})
    with pytest.raises(ShardError, match=r"asks for \{question\}"):
        _learn(tmp_path, [record])


def test_runs_over_the_same_rows_are_joined_by_id(tmp_path: Path) -> None:
    records = word_problems("train", 4)
    first = [replace(records[0], label=None), *records[1:3]]
    second = [replace(record, label="division", rationale="Because.") for record in records]
    folders = [write_split(tmp_path / "a", first), write_split(tmp_path / "b", second)]
    learn = _train_set(_config(*folders, rationales=2))
    assert [example.id for example in learn.examples] == [f"train-{i}" for i in range(4)]
    assert [example.label for example in learn.examples[:2]] == ["division", records[1].label]
    told = [text.text for text in learn.examples[1].rationales]
    assert told == [records[1].rationale, "Because."]
    assert [text.weight for text in learn.examples[1].rationales] == [0.5, 0.5]
    assert len(_train_set(_config(*folders)).examples[1].rationales) == 1


def test_runs_over_other_rows_are_not_joined(tmp_path: Path) -> None:
    record = word_problems("train", 1)[0]
    other = replace(record, input=record.input | {"question": "Why?"})
    folders = [write_split(tmp_path / "a", [record]), write_split(tmp_path / "b", [other])]
    with pytest.raises(ShardError, match="has another input than in an earlier folder"):
        _train_set(_config(*folders))


def test_votes_can_weigh_labels_and_rows(tmp_path: Path) -> None:
    votes = {"division": 3, "addition": 1}
    record = replace(
        word_problems("train", 1)[0], label="division", label_votes=votes, label_confidence=0.6
    )
    folder = write_split(tmp_path / "rows", [record])
    [plain] = _train_set(_config(folder)).examples
    assert (plain.labels, plain.weight) == ((TaskText(text="division"),), 1.0)
    weighed = _config(folder, row_weight="confidence")
    [soft] = _train_set(replace(weighed, soft_labels=True)).examples
    assert soft.labels == (
        TaskText(text="division", weight=0.75),
        TaskText(text="addition", weight=0.25),
    )
    assert (soft.label, soft.weight) == ("division", 0.6)


def test_what_the_teacher_knew_goes_before_votes(tmp_path: Path) -> None:
    probs = {"division": 0.72, "addition": 0.24, "subtraction": 0.004}
    sure, doubtful = word_problems("train", 2)
    votes = {"division": 2, "addition": 3}
    records = [
        replace(doubtful, label="division", label_votes=votes, label_probs=probs),
        replace(sure, label="addition", label_probs={"addition": 0.9998}),
    ]
    folder = write_split(tmp_path / "rows", records)
    config = replace(_config(folder, row_weight="confidence"), soft_labels=True)
    by_doubt, by_sureness = _train_set(config).examples
    assert [(text.text, text.weight) for text in by_doubt.labels] == [
        ("division", pytest.approx(0.75)),
        ("addition", pytest.approx(0.25)),
    ]
    assert (by_doubt.weight, by_sureness.weight) == (0.72, 0.9998)
    assert by_sureness.labels == (TaskText(text="addition"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"soft_labels": True}, "--soft-labels: no votes in"),
        ({"row_weight": "confidence"}, "--row-weight confidence: no votes in"),
    ],
)
def test_what_needs_votes_is_refused_without_any(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = write_split(tmp_path / "rows", word_problems("train", 4))
    with pytest.raises(ConfigError, match=message):
        _train_set(replace(_config(folder), **changes))


def test_smaller_subsamples_nest_in_larger_ones(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "rows", word_problems("train", 40))

    def ids(**options: object) -> set[str]:
        return {example.id for example in _train_set(_config(folder, **options)).examples}

    assert ids(subsample=0.25) < ids(subsample=0.5) < ids()
    assert len(ids(subsample=0.25)) == 10
    assert ids(subsample=0.25, seed=1) != ids(subsample=0.25)


def test_the_choices_are_those_of_the_task(tmp_path: Path) -> None:
    [example] = eval_set(_split(tmp_path, word_problems("test", 1))).examples
    assert example.choices == ("addition", "subtraction", "multiplication", "division")
