"""A template that prints a row's gold label is known by its placeholders, whatever their names."""

import pytest

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.prompt.leak import gold_placeholders, gold_words, leak_warning, leaks
from stepdistill.annotator.prompt.template import Template
from stepdistill.common.task import LabelSpec, StudentSpec, TaskSpec


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
    said = leak_warning(task(), template)
    assert said is not None
    assert "template 179 prints" in said
    assert "gold label ({answer})" in said
    assert "gold rationale ({why})" in said
    assert leak_warning(task(), Template(id="t", user="{problem}")) is None


def test_its_words_are_the_rows_own_and_nothing_where_the_row_has_none() -> None:
    spec = task()
    assert set(gold_placeholders(spec)) == {"answer", "why"}
    assert gold_words(spec, a_row(gold="nine")) == {"answer": "nine", "why": ""}
    assert gold_words(spec, a_row(gold=None)) == {"answer": "", "why": ""}
