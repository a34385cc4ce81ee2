"""What the annotator lets pass as a student's input is what the trainer can fill, and the same."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.prompt.task import check_placeholders
from stepdistill.common.errors import PromptError, ShardError
from stepdistill.common.manifest import Manifest
from stepdistill.common.record import PartRef, Record
from stepdistill.common.task import TaskSpec
from stepdistill.trainer.data.examples import input_of
from stepdistill.trainer.data.shards import SplitPart

FIELDS = {"question": "Why?", "größe": "{question}", "ä": "ja"}
PIECES = st.sampled_from(["{question}", "{größe}", "{ä}", "{ö}", "{1}", "{2a}", "{}", '{"a": 1}'])
NONE = PartRef(label=None, rationale=None)


def a_task(student_input: str) -> TaskSpec:
    parts: dict[str, Any] = {"task": "any", "label": {"kind": "text"}}
    fields, student = dict(zip(FIELDS, FIELDS, strict=True)), {"input": student_input}
    return TaskSpec.model_validate({**parts, "fields": fields, "student": student})


def the_students(task: TaskSpec) -> str | None:
    """What the trainer's student reads of a row, None where it is refused."""
    manifest = Manifest.model_construct(student=task.student)
    record = Record(
        id="a",
        split="train",
        index=0,
        input=FIELDS,
        label=None,
        rationale=None,
        gold=None,
        templates=NONE,
        keys=NONE,
        confidence=None,
    )
    try:
        return input_of(SplitPart(folder=Path(), manifest=manifest, records=(record,)), record)
    except ShardError:
        return None


def lets_pass(task: TaskSpec) -> bool:
    """Whether the annotator goes on to pay for answers."""
    try:
        check_placeholders("student.input", task.student.input, task)
    except PromptError:
        return False
    return True


@given(st.lists(PIECES | st.text(max_size=4), max_size=5).map("".join))
def test_both_refuse_and_accept_the_same(text: str) -> None:
    task = a_task(text)
    assert lets_pass(task) == (the_students(task) is not None)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{1} {ä}", "{1} ja"),
        ('{"a": {question}} {größe}', '{"a": Why?} {question}'),
        (r"\d{2}", r"\d{2}"),
    ],
)
def test_the_student_reads_what_was_checked(text: str, filled: str) -> None:
    assert lets_pass(a_task(text))
    assert the_students(a_task(text)) == filled


def test_a_name_that_is_no_field_is_refused_before_it_is_paid_for() -> None:
    assert not lets_pass(a_task("{question} {ö}"))
