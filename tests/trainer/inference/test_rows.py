"""What a row asks of a student, by the kind of its task's labels."""

import pytest

from stepdistill.common.errors import DatasetError
from stepdistill.common.task import ColumnSpec, LabelSpec, StudentSpec
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.model.student import InferenceSettings

MOODS = {"joy": {}, "anger": {}}


def asked(label: dict[str, object], row: object) -> AskedRow:
    settings = InferenceSettings(
        task="mine",
        label=LabelSpec.model_validate(label),
        student=StudentSpec(input="{text}"),
        prefix="",
        explain_prefix=None,
        with_label=False,
        max_input_tokens=8,
        max_target_tokens=8,
    )
    return RowReader(settings).asked(row, "rows.jsonl line 1", "1")


@pytest.mark.parametrize("row", [{"text": "Oh."}, {"input": "Oh."}])
def test_a_class_is_chosen_and_a_set_is_not_one_of_its_classes(row: object) -> None:
    assert asked({"kind": "classes", "classes": MOODS}, row).choices == ("joy", "anger")
    assert asked({"kind": "multi", "classes": MOODS}, row).choices == ()
    assert asked({"kind": "number", "maximum": 5}, row).choices == ()


def test_options_are_those_of_the_row() -> None:
    label: dict[str, object] = {"kind": "options", "options": ["a", "b"]}
    assert asked(label, {"text": "Oh.", "a": "tea", "b": "salt"}).choices == ("tea", "salt")
    with pytest.raises(DatasetError, match="the field b is missing"):
        asked(label, {"text": "Oh.", "a": "tea"})


def fields(row: dict[str, object], columns: ColumnSpec | None = None) -> dict[str, str]:
    """What the teacher is asked with, where the student reads `{text}` alone."""
    settings = InferenceSettings(
        task="mine",
        label=LabelSpec.model_validate({"kind": "classes", "classes": MOODS}),
        student=StudentSpec(input="{text}"),
        prefix="",
        explain_prefix=None,
        with_label=False,
        max_input_tokens=8,
        max_target_tokens=8,
        columns=columns,
    )
    return RowReader(settings, known=("Body", "extra.tone")).fields(row, "row 1")


def test_the_teacher_gets_all_fields_of_the_task_by_their_own_names() -> None:
    columns = ColumnSpec(id="ID", fields={"text": "Body", "tone": "extra.tone"})
    whole: dict[str, object] = {"ID": 7, "Body": "Oh.", "extra": {"tone": "loud"}, "other": 1}
    assert fields(whole, columns) == {"text": "Oh.", "tone": "loud"}
    assert fields({"input": {"text": "Oh.", "tone": 3}}, columns) == {"text": "Oh.", "tone": "3"}
    # As JSON lines leave out what is null, where other rows of the file have it.
    assert fields({"Body": "Oh."}, columns) == {"text": "Oh.", "tone": ""}
    with pytest.raises(DatasetError, match="asked with the fields text, tone: give all"):
        fields({"input": "Oh."}, columns)


def test_where_nobody_knows_the_tasks_fields_all_that_may_be_one_goes_along() -> None:
    row: dict[str, object] = {"text": "Oh.", "tone": "loud", "a b": "no name", "list": ["x"]}
    assert fields(row) == {"text": "Oh.", "tone": "loud"}
    assert fields({"input": "Oh."}) == {"text": "Oh."}
