"""Where values lie in a row, and which paths a row has."""

import pytest

from stepdistill.common.paths import NOT_THERE, getter, paths_in
from stepdistill.common.task import TaskSpec


def test_every_path_of_a_row_leads_to_its_value() -> None:
    row: dict[str, object] = {"a": 1, "b": {"c": [{"d": "x"}, None]}, "e": []}
    found = {path: getter(path)(row) for path in paths_in(row)}
    assert list(found) == ["a", "b", "b.c", "b.c[0]", "b.c[0].d", "b.c[1]", "e"]
    assert (found["b.c[0].d"], found["b.c[1]"]) == ("x", None)
    for path in ("z", "b.z", "b.c[2]", "a.b", "b.c[1].d"):
        with pytest.raises(NOT_THERE):
            getter(path)(row)


@pytest.mark.parametrize(
    "name", ["No.", "Comment.", "[id]", ".x", "a..b", "a[0]", "[0]", ".", "[]"]
)
def test_a_column_is_found_whatever_its_name_is(name: str) -> None:
    row: dict[str, object] = {name: "own", "No": "other"}
    assert getter(name)(row) == getter(f"{{{name}}}")(row) == "own"
    assert next(paths_in(row)) == name
    others: list[dict[str, object]] = [{"text": "a"}, {}]
    for other in others:
        with pytest.raises(NOT_THERE):
            getter(name)(other)


def test_a_task_says_what_its_own_rows_call_its_fields() -> None:
    plain = {
        "task": "mine",
        "fields": {"text": "text"},
        "label": {"kind": "text"},
        "student": {"input": "{text}"},
    }
    own = {"data": {"path": "data/mine"}}
    for changes, has_columns in (
        ({}, False),
        (own, False),
        ({"fields": {"text": "Body"}}, False),  # of rows that nobody knows
        ({**own, "fields": {"text": "Body"}}, True),
        ({**own, "id": "number"}, True),
        ({**own, "id": "id"}, False),
    ):
        task = TaskSpec.model_validate({**plain, **changes})
        assert (task.columns() is not None) is has_columns, changes
