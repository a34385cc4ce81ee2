"""Every kind of label answers what is asked of it: well formed, the same, gold, scores, words."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.multi import Multi
from stepdistill.common.kinds.number import number_in, written
from stepdistill.common.kinds.registry import KINDS, kind_of
from stepdistill.common.task import LabelSpec

MOODS = {"joy": {"gold": [0]}, "fear, dread": {"gold": [1]}, "anger": {"aliases": ["rage"]}}
SPECS: dict[str, dict[str, Any]] = {
    "classes": {"classes": MOODS},
    "options": {"options": ["a", "b"]},
    "equation": {},
    "text": {},
    "multi": {"classes": MOODS},
    "number": {"minimum": 1, "maximum": 5, "tolerance": 0.5},
}
ROW = {"a": "tea", "b": "salt", "text": "A row."}


def kind(name: str, **other: Any) -> Kind:
    return kind_of(LabelSpec.model_validate({"kind": name, **(other or SPECS[name])}))


def test_there_is_a_kind_for_every_name():
    assert list(KINDS) == list(SPECS)
    assert [kind(name).name for name in SPECS] == list(SPECS)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("classes", "joy", "jo"),
        ("options", "salt", "a"),
        ("equation", "( 3 + 4 )", "three"),
        ("text", "a town", " "),
        ("multi", "joy; anger", "joy; hope"),
        ("multi", "none", "nothing"),
        ("number", "4.5", "5.5"),
        ("number", "1", "0"),
        ("number", "2", "two"),
    ],
)
def test_what_is_wrong_with_a_label_is_said(name: str, good: str, bad: str):
    assert kind(name).check(good, ROW) is None
    assert kind(name).check(bad, ROW)


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        ("classes", "Joy", "joy.", True),
        ("equation", "3 + 4", "7", True),
        ("text", "3 + 4", "7", False),
        ("multi", "joy; anger", "Anger; joy", True),
        ("multi", "joy", "joy; anger", False),
        ("multi", "none", "None", True),
        ("number", "4", "4.0", True),
        ("number", "4", "4.5", True),
        ("number", "4", "4.51", False),
    ],
)
def test_labels_are_the_same_by_meaning(name: str, one: str, other: str, same: bool):
    assert kind(name).same(one, other) is same
    assert kind(name).same(other, one) is same


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("classes", 1, "fear, dread"),
        ("classes", "JOY", "joy"),
        ("classes", "hope", None),
        ("options", "salt", "salt"),
        ("equation", 7, "7"),
        ("text", None, None),
        ("multi", ["anger", "joy"], "joy; anger"),
        ("multi", [1, 0], "joy; fear, dread"),
        ("multi", [], "none"),
        ("multi", '["fear, dread", "joy"]', "joy; fear, dread"),
        ("multi", "['joy', 'fear, dread']", "joy; fear, dread"),
        ("multi", "anger, joy", "joy; anger"),
        ("multi", "anger|joy", "joy; anger"),
        ("multi", "joy anger", "joy; anger"),
        ("multi", "fear, dread", "fear, dread"),
        ("multi", "joy; hope", None),
        ("multi", "None", "none"),
        ("multi", "", None),
        ("number", 4.0, "4"),
        ("number", "1,234.50", "1234.5"),
        ("number", "\u22122", "-2"),
        ("number", "n/a", None),
        ("number", "nan", None),
    ],
)
def test_a_value_of_the_dataset_becomes_a_label(name: str, value: object, label: str | None):
    one = kind(name)
    assert one.gold(one.gold_text(value)) == label


@given(st.text() | st.lists(st.sampled_from([*MOODS, "hope", "0", "none"])) | st.floats())
def test_no_value_of_a_dataset_raises_and_labels_are_their_own_gold(value: object):
    for name in SPECS:
        one = kind(name)
        label = one.gold(one.gold_text(value))
        if label is not None and name != "options":
            assert one.gold(label) == label
            assert one.label_of(one.target(label)) == label


def test_a_row_s_choices_are_known_where_they_can_be_listed():
    assert kind("classes").choices(ROW) == tuple(MOODS)
    assert kind("options").choices(ROW) == ("tea", "salt")
    assert [kind(name).choices(ROW) for name in ("equation", "text", "multi", "number")] == [()] * 4


def test_sets_are_scored_by_decisions_and_by_class():
    found = kind("multi").scores(
        [("joy; anger", "anger"), ("joy", "joy"), (None, "none"), ("none", "joy")]
    )

    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro_f1"] == pytest.approx((0.5 + 1.0) / 2)
    assert found["jaccard"] == pytest.approx((0.5 + 1 + 0 + 0) / 4)


def test_sets_that_are_empty_and_said_to_be_are_right():
    assert kind("multi").scores([("none", "none")]) == {
        "micro_f1": 1.0,
        "macro_f1": 1.0,
        "jaccard": 1.0,
    }


def test_numbers_are_scored_by_how_far_they_are_off():
    found = kind("number").scores([("1", "1"), ("3", "2"), (None, "4"), ("5", "5")])

    assert found["within"] == 0.5
    assert found["mean_error"] == pytest.approx(1 / 3)
    assert found["rmse"] == pytest.approx(math.sqrt(1 / 3))
    assert found["pearson"] == pytest.approx(0.960769, abs=1e-6)
    assert found["spearman"] == pytest.approx(1.0)


def test_ranks_that_are_shared_are_means_of_ranks():
    pairs = [("1", "1"), ("1", "2"), ("3", "2"), ("4", "5")]

    # scipy.stats.spearmanr([1, 1, 3, 4], [1, 2, 2, 5])
    assert kind("number").scores(pairs)["spearman"] == pytest.approx(0.833333, abs=1e-6)


def test_a_number_out_of_bounds_is_no_label_of_a_student():
    stars = kind("number")
    said = ["7", "1" + 200 * "0", "four", "4.0"]

    assert [stars.said(text) for text in said] == [None, None, None, "4"]
    assert stars.scores([(text, "3") for text in said]) == {
        "within": 0.0,
        "mean_error": 1.0,
        "rmse": 1.0,
    }
    assert [kind("multi").said(text) for text in ("anger, joy", "hope")] == ["joy; anger", None]


@given(st.lists(st.tuples(st.floats().map(str), st.floats().map(str)), min_size=1))
def test_scores_of_any_numbers_are_finite(pairs: list[tuple[str, str]]):
    found = kind_of(LabelSpec(kind="number")).scores(pairs)

    assert all(math.isfinite(value) for value in found.values())


def test_a_constant_has_no_correlation():
    found = kind("number").scores([("3", "1"), ("3", "5")])

    assert "pearson" not in found
    assert found["mean_error"] == 2
    assert kind("number").scores([(None, "1")]) == {"within": 0.0}


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("classes", {"type": "string", "enum": [*MOODS]}),
        ("options", {"type": "string"}),
        ("equation", {"type": "string"}),
        ("text", {"type": "string"}),
        ("multi", {"type": "array", "items": {"type": "string", "enum": [*MOODS]}}),
        ("number", {"type": "number", "minimum": 1, "maximum": 5}),
    ],
)
def test_a_structured_answer_has_a_schema(name: str, schema: dict[str, object]):
    assert kind(name).schema() == schema


@pytest.mark.parametrize("name", ["classes", "multi"])
def test_names_are_quoted_one_a_line(name: str):
    question = kind(name).wording("mood").question

    assert question.splitlines()[-3:] == ['"joy"', '"fear, dread"', '"anger"']
    assert "names" in question
    assert "word" not in question


def test_the_sentences_of_stored_searches_stay():
    sentences = [kind(name).sentence() for name in ("classes", "options", "equation", "text")]

    assert sentences == [
        "The label is one of: joy, fear, dread, anger.",
        "The label is the text of one of the options {a}, {b}.",
        "The label is an equation of the numbers, or its value.",
        "The label is a short text.",
    ]


@pytest.mark.parametrize("name", SPECS)
def test_a_slip_is_another_well_formed_label(name: str):
    one = kind(name)
    label = {"options": "tea", "equation": "( 3 + 4 )", "number": "5", "text": "x"}.get(name, "joy")

    slips = one.slips(label, ROW)

    assert bool(slips) is (name != "text")
    for slip in slips:
        assert one.check(slip, ROW) is None
        assert not one.same(slip, label)


@given(st.sets(st.sampled_from([*MOODS])))
def test_a_set_is_written_in_the_task_s_order(names: set[str]):
    label = Multi(LabelSpec.model_validate({"kind": "multi", "classes": MOODS})).joined(names)

    assert set(kind("multi").classes_in(label)) == names
    assert kind("multi").gold(label) == label


@given(st.floats(-1e9, 1e9))
def test_a_number_is_read_back(value: float):
    assert number_in(written(value)) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    "label",
    [
        {"kind": "multi", "classes": {}},
        {"kind": "multi", "classes": {"none": {}}},
        {"kind": "multi", "classes": {"a; b": {}}},
        {"kind": "classes", "classes": {"a": {}}, "maximum": 3},
        {"kind": "number", "classes": {"a": {}}},
        {"kind": "number", "minimum": 3, "maximum": 3},
        {"kind": "number", "minimum": "-inf"},
        {"kind": "number", "tolerance": -1},
    ],
)
def test_a_spec_that_does_not_fit_its_kind_is_refused(label: dict[str, Any]):
    with pytest.raises(ValidationError):
        LabelSpec.model_validate(label)


def test_what_older_tasks_are_known_by_has_no_new_fields():
    assert LabelSpec(kind="text").model_dump() == {"kind": "text", "classes": {}, "options": []}


def test_what_counts_as_right_is_said_where_it_is_not_the_very_label() -> None:
    assert kind_of(LabelSpec(kind="text")).right_is() == ""
    assert kind_of(LabelSpec(kind="number", tolerance=0.5)).right_is() == (
        "a number within 0.5 of the gold label"
    )
    assert kind_of(LabelSpec(kind="number")).right_is() == "the same number"
