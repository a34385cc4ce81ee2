"""A row's fields are picked by path; what is missing is named; gold comes in the task's words."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.common.errors import DatasetError
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.paths import getter
from stepdistill.common.task import LabelSpec
from tests.annotator.dataset.made import RAW, a_task, rows_of, write_rows

DEEP: dict[str, Any] = {
    "id": 7,
    "Body": "Three birds.",
    "Question": "How many?",
    "choices": ["red", "blue {Body}", None],
    "answers": {"text": ["Paris", "Rome"], "n": 2},
    "rows": [[1, 2], [3, 4]],
    "two words": True,
}
NLI = LabelSpec.model_validate(
    {
        "kind": "classes",
        "classes": {"entailment": {"gold": [0, "yes"]}, "neutral": {"gold": [1]}, "Not so": {}},
    }
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", 7),
        ("choices[0]", "red"),
        ("choices[2]", None),
        ("answers.text[1]", "Rome"),
        ("answers.n", 2),
        ("rows[1][0]", 3),
        ("two words", True),
        ("{Body} {Question}", "Three birds. How many?"),
        ("{answers.text[0]}: {answers.n}{choices[2]}", "Paris: 2"),
        ("{choices[1]}", "blue {Body}"),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: object):
    assert getter(path)(DEEP) == value


@pytest.mark.parametrize(
    "path",
    [
        "Id",
        "choices[3]",
        "choices.text",
        "answers[0]",
        "id.n",
        "id[0]",
        "{Body} {question}",
        "rows[2]",
    ],
)
def test_a_path_that_leads_nowhere_finds_nothing(path: str):
    with pytest.raises((LookupError, TypeError)):
        getter(path)(DEEP)


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        (a_task(fields={"text": "text", "hint": "hints[0]"}), "`hint: hints[0]`"),
        (a_task(id="key"), "`id: key`"),
        (a_task(gold="gold.label"), "`gold: gold.label`"),
    ],
)
def test_a_missing_field_is_named_with_its_row_and_what_the_row_has(
    tmp_path: Path, task: Any, asked: str
):
    raw = [{**row, "hints": [1], "key": 1, "gold": {"label": 1}} for row in RAW]
    raw.append({"uid": "d", "text": "no more"})
    path = write_rows(tmp_path / "train.jsonl", raw)

    with pytest.raises(DatasetError) as refused:
        rows_of(task, path)

    message = str(refused.value)
    assert asked in message
    assert "row 3" in message
    assert "the row has: uid, text" in message
    assert "task sums" in message


def test_a_row_without_an_id_of_its_own_is_named_by_split_and_number(tmp_path: Path):
    path = write_rows(tmp_path / "train.jsonl", RAW)

    assert [row.id for row in rows_of(a_task(), path)] == ["train-0", "train-1", "train-2"]


def test_what_is_no_text_becomes_text_and_nothing_becomes_empty(tmp_path: Path):
    raw = [{"text": None}, {"text": 1.5}, {"text": True}, {"text": ["a"]}]
    path = write_rows(tmp_path / "train.jsonl", raw)

    texts = [row.fields["text"] for row in rows_of(a_task(), path)]
    assert texts == ["", "1.5", "True", "['a']"]


@pytest.mark.parametrize(("samples", "n"), [(None, 3), (0, 0), (2, 2), (3, 3), (99, 3)])
def test_samples_are_the_first_rows(tmp_path: Path, samples: int | None, n: int):
    path = write_rows(tmp_path / "train.jsonl", RAW)

    rows = rows_of(a_task(id="uid"), path, samples)
    assert [row.id for row in rows] == ["a", "b", "c"][:n]


def test_a_gold_rationale_may_be_missing_or_blank(tmp_path: Path):
    raw = [{"text": "x", "why": " since "}, {"text": "x", "why": " "}, {"text": "x"}]
    path = write_rows(tmp_path / "train.jsonl", raw)

    rows = rows_of(a_task(gold_rationale="why"), path)
    assert [row.gold_rationale for row in rows] == ["since", None, None]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0, "entailment"),
        ("0", "entailment"),
        ("yes", "entailment"),
        (1, "neutral"),
        ("Neutral", "neutral"),
        (" ENTAILMENT ", "entailment"),
        ("not  so", "Not so"),
        (2, None),
        ("maybe", None),
        (None, None),
        ("", None),
    ],
)
def test_a_gold_label_of_classes_is_a_class_s_name_or_nothing(value: object, name: str | None):
    assert gold_of(NLI, value) == name


@pytest.mark.parametrize(("value", "text"), [("( 3 + 4 )", "( 3 + 4 )"), (7, "7"), (0, "0")])
def test_other_gold_labels_stay_as_they_are(value: object, text: str):
    assert gold_of(LabelSpec(kind="equation"), value) == text
    assert gold_of(LabelSpec(kind="text"), None) is None


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_no_gold_label_is_ever_invented(value: object):
    assert gold_of(NLI, value) in {*NLI.classes, None}


def gold_of(label: LabelSpec, value: object) -> str | None:
    kind = kind_of(label)
    return kind.gold(kind.gold_text(value))
