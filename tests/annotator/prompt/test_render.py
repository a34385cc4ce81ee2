"""What goes into a prompt: a template that prints a row's gold label is known by its placeholders,
and one that wants an object asks for it, which readers take or not."""

import orjson
import pytest

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.prompt.render import (
    gold_placeholders,
    leak_warning,
    leaks,
    response_format,
    values_for,
)
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec, StudentSpec, TaskSpec

NLI = LabelSpec.model_validate(
    {"kind": "classes", "classes": {"entailment": {}, "contradiction": {}}}
)


def a_row(gold: str | None) -> Row:
    fields = {"problem": "4 + 5"}
    return Row(id="a", split="train", index=0, fields=fields, gold=gold, gold_rationale=None)


def task(gold: str | None = "answer", **fields: str) -> TaskSpec:
    return TaskSpec(
        task="sums",
        fields={"problem": "text", **fields},
        label=LabelSpec(kind="text"),
        gold=gold,
        gold_rationale="why",
        student=StudentSpec(input="{problem}"),
    )


@pytest.mark.parametrize(
    ("spec", "user", "prints"),
    [
        (task(), "{problem}", {}),
        (task(), "{problem} {answer}", {"answer": "gold label"}),
        (task(), "{problem} {why}", {"why": "gold rationale"}),
        (task(hint="answer"), "{problem} {hint}", {"hint": "gold label"}),
        (task(hint="{text} -> {answer}"), "{hint}", {"hint": "gold label"}),
        (task(hint="why"), "{hint}", {"hint": "gold rationale"}),
        (task(answer="text"), "{answer}", {}),
        (task(gold="answers[0]"), "{problem} {answers}", {}),
        (task(gold=None), "{answer}", {}),
    ],
)
def test_what_a_template_prints(spec: TaskSpec, user: str, prints: dict[str, str]) -> None:
    assert leaks(spec, Template(id="t", user=user)) == prints


def test_the_system_message_counts_too() -> None:
    template = Template(id="t", system="It is {answer}.", user="{problem}")
    assert leaks(task(), template) == {"answer": "gold label"}


def test_the_warning_names_template_and_placeholder() -> None:
    template = Template(id="179", user="{problem}: {answer}, {why}")
    warning = leak_warning(task(), template)
    assert warning is not None
    assert "template 179 prints" in warning
    assert "gold label ({answer})" in warning
    assert "gold rationale ({why})" in warning
    assert leak_warning(task(), Template(id="t", user="{problem}")) is None


@pytest.mark.parametrize(("gold", "label"), [("nine", "nine"), (None, "")])
def test_gold_is_the_rows_own_and_nothing_where_the_row_has_none(
    gold: str | None, label: str
) -> None:
    spec = task()
    values = values_for(spec, Template(id="t", user="{problem} is {answer}"))
    assert set(gold_placeholders(spec)) == {"answer", "why"}
    assert values(a_row(gold)) == {"problem": "4 + 5", "answer": label, "why": ""}
    silent = values_for(spec, Template(id="t", user="{problem}"))
    assert silent(a_row(gold)) == {"problem": "4 + 5"}


def test_classes_are_a_closed_set_and_reasons_come_first():
    asked = orjson.loads(orjson.dumps(response_format(NLI)))

    schema = asked["json_schema"]["schema"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["strict"] is True
    assert list(schema["properties"]) == schema["required"] == ["rationale", "label"]
    assert schema["properties"]["label"]["enum"] == ["entailment", "contradiction"]
    assert schema["additionalProperties"] is False


def test_other_labels_are_free_text():
    asked = orjson.loads(orjson.dumps(response_format(LabelSpec(kind="equation"))))

    assert asked["json_schema"]["schema"]["properties"]["label"] == {"type": "string"}


@pytest.mark.parametrize(
    "answer",
    [
        '{"rationale": "Cooks work in kitchens, as the text says.", "label": "entailment"}',
        "Label: entailment\nRationale: Cooks work in kitchens, as the text says.",
    ],
)
def test_an_answer_is_read_whether_or_not_the_format_was_heeded(answer: str):
    reading = VerdictReader(NLI).read(answer, {})

    assert reading.label == "entailment"
    assert reading.rationale == "Cooks work in kitchens, as the text says."
