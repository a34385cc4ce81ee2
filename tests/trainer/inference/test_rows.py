"""What a row asks of a student, by the kind of its task's labels."""

import pytest

from stepdistill.common.errors import DatasetError
from stepdistill.common.task import LabelSpec, StudentSpec
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
