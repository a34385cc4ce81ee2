"""A task is checked when it is read: what does not fit is refused, with the field's name."""

from typing import Any

import pytest
from pydantic import ValidationError

from stepdistill.common.task import TaskSpec

GOOD: dict[str, Any] = {
    "task": "cqa",
    "fields": {"question": "question", "choice_a": "choices[0]"},
    "label": {"kind": "options", "options": ["choice_a"]},
    "student": {"input": "{question}"},
}


def test_a_task_needs_only_name_fields_label_and_student():
    task = TaskSpec.model_validate(GOOD)

    assert (task.task, task.gold, task.id, task.data.hub) == ("cqa", None, None, None)
    assert task.label.options == ["choice_a"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": "No Spaces"}, "task"),
        ({"task": "-x"}, "task"),
        ({"fields": {}}, "fields"),
        ({"fields": {"question": "a", "choice-b": "b"}}, "fields"),
        ({"fields": {"1": "question"}}, "fields"),
        ({"student": {}}, "student.input"),
        ({"label": {"kind": "colours"}}, "label.kind"),
        ({"label": {"kind": "options"}}, "label"),
        ({"label": {"kind": "classes", "classes": {}}}, "label"),
        ({"label": {"kind": "text", "classes": {"a": {}}}}, "label"),
        ({"label": {"kind": "equation", "options": ["a"]}}, "label"),
        (
            {"label": {"kind": "classes", "classes": {"a": {"alias": ["b"]}}}},
            "label.classes.a.alias",
        ),
        ({"data": {"generator": "other"}}, "data.generator"),
        ({"promt": "x"}, "promt"),
    ],
)
def test_a_wrong_task_is_refused_by_field(changes: dict[str, Any], field: str):
    with pytest.raises(ValidationError) as refused:
        TaskSpec.model_validate({**GOOD, **changes})

    assert ".".join(str(part) for part in refused.value.errors()[0]["loc"]) == field


@pytest.mark.parametrize("name", ["question", "_2", "Choice_A", "größe", "ä", "質問"])
def test_a_field_has_any_name_that_a_placeholder_can_have(name: str):
    task = TaskSpec.model_validate({**GOOD, "fields": {name: "text"}})

    assert list(task.fields) == [name]


def test_gold_values_keep_their_type():
    label = {"kind": "classes", "classes": {"yes": {"gold": [0, "0", True, None, 1.5]}}}
    task = TaskSpec.model_validate({**GOOD, "label": label})

    assert [type(v) for v in task.label.classes["yes"].gold] == [int, str, bool, type(None), float]


def test_a_task_survives_the_way_through_json():
    task = TaskSpec.model_validate(GOOD)

    assert TaskSpec.model_validate_json(task.model_dump_json()) == task
