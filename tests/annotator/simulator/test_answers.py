"""The teacher: right as often as it should be, the same every time, in words teachers use."""

from collections import Counter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.simulator.answers import AnswerBook, KnownAnswer, SimulatedTeacher
from stepdistill.annotator.simulator.phrasing import PLAIN_STYLES, PlainStyle, Style
from tests.annotator.simulator.asking import KNOWN, a_teacher, chat_body, messages

PROMPTS = tuple(f"prompt {number}" for number in range(400))
OPTIONS = ("river", "lake", "sea")


def teacher_of(
    style: Style, known: KnownAnswer = KNOWN, accuracy: float = 1.0, seed: int = 0
) -> SimulatedTeacher:
    book = AnswerBook()
    for prompt in PROMPTS:
        book.add(messages(prompt), known)
    return SimulatedTeacher(book=book, accuracy=accuracy, seed=seed, style=style)


def answers(teacher: SimulatedTeacher) -> list[str]:
    return [teacher.answer(chat_body(prompt)) for prompt in PROMPTS]


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.9, 1.0])
def test_it_errs_as_often_as_told(accuracy: float):
    texts = answers(teacher_of("bare", accuracy=accuracy))

    right = sum(text.rstrip(".") == KNOWN.label for text in texts)
    assert right / len(texts) == pytest.approx(accuracy, abs=0.06)
    assert {text.rstrip(".") for text in texts} <= {KNOWN.label, *KNOWN.alternatives}


def test_a_wrong_label_never_goes_with_the_true_reasons():
    for text in answers(teacher_of("label-first", accuracy=0.5)):
        assert (KNOWN.rationale in text) == (f"Label: {KNOWN.label}" in text)


def test_with_no_other_label_it_is_right():
    sure = KnownAnswer(label="12", rationale="Five and seven.")

    assert all(text.startswith("12") for text in answers(teacher_of("bare", sure, accuracy=0.0)))


@given(order=st.permutations(PROMPTS[:12]))
def test_neither_order_nor_memory_changes_an_answer(order: list[str]):
    teacher = teacher_of("mixed", accuracy=0.5)
    first = {prompt: teacher.answer(chat_body(prompt)) for prompt in PROMPTS[:12]}

    again = teacher_of("mixed", accuracy=0.5)
    assert {prompt: again.answer(chat_body(prompt)) for prompt in order} == first


def test_what_only_limits_the_answer_does_not_change_it():
    teacher = a_teacher(accuracy=0.5)

    assert teacher.answer(chat_body("one")) == teacher.answer(
        chat_body("one", max_tokens=900, model="another")
    )


def test_another_seed_errs_elsewhere():
    one, other = (answers(teacher_of("bare", accuracy=0.5, seed=seed)) for seed in (1, 2))

    assert one != other


@pytest.mark.parametrize("style", PLAIN_STYLES)
def test_every_style_says_the_label(style: PlainStyle):
    texts = answers(teacher_of(style))

    assert all(KNOWN.label in text for text in texts)
    assert all("{" not in text or style == "json" for text in texts)
    if style != "bare":
        assert all("apples of both children are counted together" in text for text in texts)


@pytest.mark.parametrize("style", ["sentence", "reason-first"])
def test_prose_comes_in_several_wordings(style: Style):
    assert len(set(answers(teacher_of(style)))) >= 3


def test_a_sentence_flows():
    texts = Counter(answers(teacher_of("sentence")))

    assert (
        "The answer is addition because the apples of both children are counted together." in texts
    )


def test_a_name_keeps_its_capital_inside_a_sentence():
    known = KnownAnswer(label="addition", rationale="Anna found more.")

    assert "It is addition: Anna found more." in answers(teacher_of("sentence", known))


def test_letters_stand_for_the_options_in_their_order():
    known = KnownAnswer(label="lake", rationale="It is still.", options=OPTIONS)

    assert set(answers(teacher_of("letter", known))) == {"(b) lake\nIt is still."}


def test_letters_need_options():
    assert all(text.startswith("Label: addition\n") for text in answers(teacher_of("letter")))


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"type": "string", "enum": ["yes", "no"]}, "yes"),
        ({"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}, []),
        ({"type": "number"}, 0),
        ({"type": "string"}, "unknown"),
    ],
)
def test_a_schema_binds_it_where_it_knows_nothing_too(label: dict[str, object], said: object):
    schema = {"type": "object", "properties": {"label": label}}
    asked = {"type": "json_schema", "json_schema": {"schema": schema}}
    body = chat_body("never heard of", response_format=asked)
    assert orjson.loads(a_teacher().answer(body))["label"] == said


def test_a_response_format_gets_nothing_but_json():
    teacher = teacher_of("sentence")
    body = chat_body(PROMPTS[0], response_format={"type": "json_object"})

    assert orjson.loads(teacher.answer(body)) == {
        "label": KNOWN.label,
        "rationale": KNOWN.rationale,
    }


def test_mixed_takes_every_style():
    heads = {text.split()[0] for text in answers(teacher_of("mixed"))}

    assert {"Label:", "The", "```json"} <= heads


def test_an_unknown_prompt_gets_a_sentence_without_a_verdict():
    text = a_teacher().answer(chat_body("a prompt outside the book"))

    assert text == a_teacher().answer(chat_body("a prompt outside the book"))
    assert text.endswith(".")
    assert not any(label in text for label in (KNOWN.label, *KNOWN.alternatives))


def test_the_system_message_is_part_of_the_prompt():
    book = AnswerBook()
    book.add(messages("one", system="Be brief."), KNOWN)
    teacher = SimulatedTeacher(book=book)

    reply = teacher.answer({"messages": messages("one", system="Be brief.")})
    assert "Label: addition" in reply
    assert "Label" not in teacher.answer({"messages": messages("one")})
    assert len(book) == 1
