"""Names of labels are read as they are written, in whatever an answer wraps them."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.read_back import FORMS, forms_of, lost_names, unreadable_names
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import ClassSpec, LabelSpec

HERE = Path(__file__).parent
SETS: dict[str, list[str]] = yaml.safe_load((HERE / "label_sets.yaml").read_text("utf-8"))
NATIVE: dict[str, Any] = yaml.safe_load((HERE / "native.yaml").read_text("utf-8"))
REASON = "The text says so in its second half."
ROW = {"text": "a row made up for this"}
# With {name}, {other} (another class), {json} (the name in JSON) and {reason}.
WITH_REASONS = (
    "Label: {name}\nRationale: {reason}",
    '{{"label": {json}, "rationale": "{reason}"}}',
    '```json\n{{\n "label": {json},\n "rationale": "{reason}"\n}}\n```',
    'Here it is:\n{{"label": {json}, // the class\n "rationale": "{reason}",}}\nI hope this helps!',
    '{{"result": {{"category": {json}, "explanation": "{reason}"}}}}',
    "<think>\nLabel: {other}\nOr not.\n</think>\n\nLabel: {name}\nRationale: {reason}",
    "Hm, {other}? Label: {other}\n</think>\nLabel: {name}\nRationale: {reason}",
    "<reason>{reason}</reason>\n<answer>{name}</answer>",
    "**Category:** {name}\n**Reason:** {reason}",
    'I would label this as "{name}". {reason}',
    "I would say {name}. {reason}",
    "It is {name}, not {other}. {reason}",
    '{reason} So the label is "{name}".',
    "{reason}\nFinal answer: {name}.",
    "{reason}\n\n\\boxed{{{name}}}",
    "{reason}\nAnswer: $\\text{{{name}}}$",
    "{reason}\n[[{name}]]",
    "{reason}\n\n**{name}**",
    "{reason}\n{name}",
    "{name}\n\n{reason}",
    "**{name}**: {reason}",
    "1. Label: {name}\n2. Rationale: {reason}",
    "Label: {name}; Rationale: {reason}",
    "| Label | Rationale |\n|---|---|\n| {name} | {reason} |",
    "## Label\n{name}\n\n## Rationale\n{reason}",
)
ALONE = (
    "{name}", "{name}.", "**{name}**", "`{name}`", '"{name}"', "“{name}”", "„{name}“", "«{name}»",
    "「{name}」", "({name})", "- {name}", "→ {name}", "```\n{name}\n```", "<b>{name}</b>",
    "Label: {name}", "Label - {name}", "Label = {name}", "[THINK]{other}?[/THINK]{name}",
    "<|channel|>analysis<|message|>{other}<|end|><|start|>assistant<|channel|>final<|message|>{name}",
)  # fmt: skip

# Reasons with braces that a JSON repair makes an object of: sets, code, formulas.
BRACED = (
    "The set {a: 1} has it.", "{ says: so } is what the text has.",
    "It holds {x : x > 0} for all of them.", "As in f(x) = {x: 1, -x: 2} above.",
    "CSS such as p {color: red} says so.",
    "An open {brace: and no closing one.", "It has {{user: name}} in it.",
)  # fmt: skip
BESIDE = (
    "Label: {name}\nRationale: {reason}",
    "Rationale: {reason}\nLabel: {name}",
    "**Category:** {name}\n\n**Reason:** {reason}",
    "<reason>{reason}</reason>\n<answer>{name}</answer>",
    "<answer>{name}</answer>\n<reason>{reason}</reason>",
    "| Label | Rationale |\n|---|---|\n| {name} | {reason} |",
    "## Label\n{name}\n\n## Rationale\n{reason}",
)

WORDS = [*"so it is not the text, says: label answer 3".split(), *"*|<>{}`\\[("]  # noqa: SIM905


@cache
def reader(*names: str) -> VerdictReader:
    return VerdictReader(label(*names))


def label(*names: str) -> LabelSpec:
    return LabelSpec(kind="classes", classes={name: ClassSpec() for name in names})


def put(form: str, name: str, other: str) -> str:
    written = json.dumps(name, ensure_ascii=False)
    return form.format(name=name, other=other, json=written, reason=REASON)


@pytest.mark.parametrize("kind", SETS)
def test_every_name_is_read_in_every_form(kind: str) -> None:
    names = SETS[kind]
    for number, name in enumerate(names):
        for form in (*WITH_REASONS, *ALONE):
            answer = put(form, name, names[number - 1])
            reading = reader(*names).read(answer, ROW)
            assert reading.label == name, answer
            assert reading.rationale == (REASON if form in WITH_REASONS else None), answer


@pytest.mark.parametrize("kind", SETS)
def test_braces_in_the_reasons_are_no_object(kind: str) -> None:
    names = SETS[kind]
    for number, form in enumerate(BESIDE):
        for reason in BRACED:
            name = names[number % len(names)]
            answer = form.format(name=name, reason=reason)
            reading = reader(*names).read(answer, ROW)
            assert (reading.label, reading.rationale) == (name, reason), answer


@pytest.mark.parametrize(
    "answer",
    [
        "I would say 2, as the set {a: 1} has it.",
        "2\n\nThe set {a: 1} has it.",
        'The set {a: 1} has it, so the label is "2".',
        'The text has {"lang": "en"} in it. So I say 2.',
        "**2**: p {color: red} says so.",
    ],
)
def test_braces_within_a_sentence_give_no_label(answer: str) -> None:
    assert reader("1", "2").read(answer, ROW).label == "2"
    assert reader("yes", "no").read(answer.replace("2", "no"), ROW).label == "no"


@pytest.mark.parametrize("form", BESIDE)
def test_an_object_in_the_reasons_leaves_the_label_and_the_prose(form: str) -> None:
    answer = form.format(name="no", reason='The text is {"lang": "en"} in its own words.')
    reading = reader("yes", "no").read(answer, ROW)
    assert reading[:2] == ("no", "The text is in its own words.")


@pytest.mark.parametrize(
    "answer",
    [
        'Answer: {"verdict_of_mine": "no", "explanation": "The text says so itself."}',
        'Label:\n```json\n{"mine": "no", "reason": "The text says so itself."}\n```',
        'Answer: here it is in JSON:\n{"mine": "no", "reason": "The text says so itself."}',
        '{"mine": "no", "reason": "It says so.\\nLabel: yes is what others say."}',
    ],
)
def test_an_object_behind_a_heading_is_the_answer(answer: str) -> None:
    assert reader("yes", "no").read(answer, ROW).label == "no"


@given(
    kind=st.sampled_from(sorted(SETS)),
    number=st.integers(0, 1000),
    heading=st.sampled_from(("Label", "Answer", "Category", "Class")),
    reasons=st.sampled_from(("Rationale", "Reason", "Explanation")),
    words=st.lists(
        st.sampled_from(WORDS) | st.text(max_size=6),
        max_size=12,
    ),
)
def test_the_plainest_form_is_read_as_by_all_the_rules(
    kind: str, number: int, heading: str, reasons: str, words: list[str]
) -> None:
    names = SETS[kind]
    name = names[number % len(names)]
    plain = f"{heading}: {name}\n{reasons}: {' '.join(words)}"
    # Two spaces are no difference to the rules, and too much for the short cut before them.
    longer = plain.replace(": ", ":  ", 1)
    by_rules = reader(*names).read(longer, ROW)
    assert reader(*names).read(plain, ROW)[:2] == by_rules[:2]


@pytest.mark.parametrize("kind", SETS)
def test_no_public_name_is_lost(kind: str) -> None:
    assert unreadable_names(label(*SETS[kind])) == {}


def native_answers() -> Iterator[tuple[str, str, str, str]]:
    """language, answer, the label in it, the reasons in it."""
    for language, said in NATIVE.items():
        for name in said["names"]:
            for form in said["forms"]:
                reason = said["reason"] if "{reason}" in form else ""
                yield language, form.format(name=name, reason=reason), name, reason


@pytest.mark.parametrize("language", NATIVE)
def test_answers_in_other_languages(language: str) -> None:
    for said_in, answer, name, reason in native_answers():
        if said_in == language:
            reading = reader(*NATIVE[language]["names"]).read(answer, ROW)
            assert (reading.label, reading.rationale or "") == (name, reason), answer


def test_there_are_enough_answers_in_other_languages() -> None:
    assert len(list(native_answers())) >= 183


def test_names_that_differ_in_what_a_step_leaves_out_are_told_apart_by_the_others() -> None:
    both = reader("in form", "inform")
    assert both.read("in form", {}).label == "in form"
    assert both.read("INFORM", {}).label == "inform"
    assert both.read("in-form", {}).label is None
    one = reader("alarm_set", "play")
    assert {one.read(text, {}).label for text in ("Alarm Set", "alarm-set", "AlarmSet")} == {
        "alarm_set"
    }


@pytest.mark.parametrize(
    ("names", "answer"),
    [
        (("account", "billing"), "The answer is **accounting**, and the reason is a refund."),
        (("0", "1"), "Label: -1"),
        (("A", "B"), "Label: A-"),
        (("C", "D"), "C++"),
        (("toxic", "fine"), "severe_toxic"),
        (("positive", "negative"), "Label: positive/negative"),
        (("positive", "negative"), '{"positive": 0.9, "negative": 0.1}'),
        (("positive", "negative"), "The guest was positive about it.\nLabel: mixed"),
        (("A", "B"), "An A would be too kind.\nThe answer is F."),
    ],
)
def test_what_is_no_name_is_no_label(names: tuple[str, ...], answer: str) -> None:
    reading = reader(*names).read(answer, {})
    assert (reading.label, reading.reason) == (None, "no_verdict")


def test_names_that_cannot_be_told_from_the_wrapping_are_refused() -> None:
    assert set(unreadable_names(label("<think>", "fine"))) == {"<think>"}
    assert set(unreadable_names(label("x", "x "))) == {"x "}
    assert unreadable_names(label("Label: x", "x"), {"line": FORMS["line"]}) == {"x": ("line",)}
    assert unreadable_names(LabelSpec(kind="options", options=["one", "two"])) == {}


NAMES = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text(alphabet="ab -_/+.#", min_size=1, max_size=6),
    st.sampled_from([name for names in SETS.values() for name in names]),
)


@settings(max_examples=150)
@given(names=st.lists(NAMES, min_size=2, max_size=6, unique=True), form=st.sampled_from([*FORMS]))
def test_any_name_is_read_back_or_refused(names: list[str], form: str) -> None:
    """In no form is a name ever taken for another one, unless the task is refused for it."""
    lost = unreadable_names(label(*names))
    for name in names:
        written = json.dumps(name, ensure_ascii=False)
        read = reader.__wrapped__(*names).read(FORMS[form].format(name=name, json=written), {})
        assert read.label == name or form in lost[name]


@pytest.mark.parametrize(
    ("user", "forms"),
    [
        ("{text}\n\nAnswer in two lines:\nTeam: which one\nWhy: a sentence", ["`Team: ...`"]),
        ('{text}\nSay why and close with a line "Label: " and the name.', ["`Label: ...`"]),
        (
            'Close with the words "Therefore,\nthe team is" and it.',
            ["`Therefore, the team is ...`"],
        ),
        ('{text} In one sentence: "It is ... because ..."', ["`It is ...`"]),
        ('Which team? These are known:\n\n"a"\n\ntext: {text}', []),
    ],
)
def test_the_forms_that_a_template_asks_for(user: str, forms: list[str]) -> None:
    assert list(forms_of(Template(id="one", user=user))) == forms


def test_a_name_is_lost_in_the_forms_of_its_template() -> None:
    user = "{text}\n\nAnswer in two lines:\nTeam: which one\nWhy: a sentence"
    lost = lost_names(label("</think>", "support"), Template(id="one", user=user))
    assert len(lost) == 1
    assert lost[0].startswith("`</think>` is lost: an answer as `Team: ...` is not read as it")
