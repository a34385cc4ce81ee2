"""How probable each label was, whatever tokens its name is made of and wherever it stands."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.reading.label_probs import label_probs, mean_probs
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.logprobs import TokenDoubt, kept_logprobs
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import ClassSpec, LabelSpec
from tests.annotator.made import an_answer

NLI = LabelSpec(
    kind="classes",
    classes={
        "entailment": ClassSpec(aliases=["yes"]),
        "neutral": ClassSpec(aliases=["maybe"]),
        "not_entailment": ClassSpec(aliases=["no"]),
    },
)
OPTIONS = LabelSpec(kind="options", options=["a", "b", "c"])
THREE = {"a": "a dog", "b": "blue", "c": "black"}
Tokens = list[tuple[str, float, dict[str, float]]]


def told(*tokens: str | tuple[str, float, dict[str, float]], **changes: Any) -> Answer:
    """An answer of these tokens: a text that was certain, or (text, probability, others)."""
    text, doubts = "", list[TokenDoubt]()
    for token in tokens:
        said, probability, others = (token, 1.0, {}) if isinstance(token, str) else token
        end = len(text) + len(said)
        doubts.append(TokenDoubt(len(text), end, probability, tuple(others.items())))
        text += said
    return an_answer(text, logprobs=kept_logprobs(doubts), **changes)


def probs(
    answer: Answer, label: LabelSpec = NLI, fields: Mapping[str, str] | None = None
) -> dict[str, float] | None:
    reader, fields = VerdictReader(label), fields or {}
    said = reader.read(answer.text, fields).label
    assert said is not None, answer.text
    return label_probs(answer, said, kind_of(label), reader, fields)


def near(**expected: float) -> Any:
    return pytest.approx(expected, abs=2e-3)


WAYS: list[tuple[Answer, dict[str, float]]] = [
    (told(("yes", 0.7, {"no": 0.2, "maybe": 0.1})), {"entailment": 0.7, "neutral": 0.1}),
    (told("Label:", (" yes", 0.6, {" Yes": 0.1, "yes": 0.1, " no": 0.2})), {"entailment": 0.8}),
    (told('{"label": "', ("entail", 0.6, {"neutral": 0.4}), 'ment"}'), {"entailment": 0.6}),
    (told('{"label":', (' "neutral', 0.9, {' "not': 0.1}), '"}'), {"neutral": 0.9}),
    (told("Label: ", ("n", 0.8, {"en": 0.2}), ("eutral", 0.5, {"ot": 0.5})), {"neutral": 0.4}),
    (told("**", ("not", 0.8, {"ne": 0.2}), "_", "entailment", "**"), {"neutral": 0.2}),
    (told(("not", 0.75, {"neutral": 0.25}), "-entailment"), {"not_entailment": 0.75}),
    (
        told("Both are true of it. So the answer is", (" neutral", 0.9, {" entailment": 0.1}), "."),
        {"neutral": 0.9, "entailment": 0.1},
    ),
    (told(("yes", 0.5, {"\n": 0.25, "no": 0.25})), {"entailment": 2 / 3, "not_entailment": 1 / 3}),
    (told("Label: yes\nRationale: It", (" is", 0.5, {" no": 0.5}), " so."), {"entailment": 0.9998}),
    (told(("Yes", 0.9, {"No": 0.04})), {"entailment": 0.9, "not_entailment": 0.04}),
]


@pytest.mark.parametrize("answer, expected", WAYS)
def test_a_class_has_what_its_tokens_have(answer: Answer, expected: dict[str, float]):
    found = probs(answer)

    assert found is not None
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=2e-3)
    assert sum(found.values()) <= 1.0002


@pytest.mark.parametrize(
    "answer, expected",
    [
        (told(("(b", 0.7, {"(a": 0.2, "(c": 0.1}), ") blue"), {"blue": 0.7, "a dog": 0.2}),
        (told(("B", 0.7, {"A": 0.3})), {"blue": 0.7, "a dog": 0.3}),
        (told("Answer:", (" bl", 0.9, {" a": 0.1}), ("ue", 0.5, {"ack": 0.5})), {"black": 0.45}),
        (told("The answer is a dog", (".", 0.9, {"!": 0.1})), {"a dog": 0.9998}),
    ],
)
def test_options_go_by_letters_or_by_words(answer: Answer, expected: dict[str, float]):
    found = probs(answer, OPTIONS, THREE)
    assert found is not None
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    "answer",
    [
        an_answer("yes"),  # nothing was told
        told(("yes", 0.3, {"I": 0.6})),  # more likely something else would have been said
        an_answer("yes", logprobs=[[0, 3]]),  # of this token nothing is known
        an_answer("yes", logprobs=[["x"]]),
    ],
)
def test_what_is_not_known_is_none(answer: Answer):
    assert probs(answer) is None


def test_what_is_quoted_of_the_row_names_no_label():
    claim = "It is entailment that counts here"
    quoted = (f'The claim "{claim[:6]}', ("entailment", 0.5, {"neutral": 0.5}), f'{claim[16:]}" is')
    answer = told(*quoted, (" entailment", 0.8, {" neutral": 0.2}), ".")
    assert claim in answer.text
    assert probs(answer, fields={"claim": claim}) == near(entailment=0.8, neutral=0.2)


def test_numbers_and_lists_have_none():
    number = LabelSpec(kind="number", minimum=1, maximum=5)
    assert probs(told(("4", 0.6, {"5": 0.4})), number) is None


def test_names_that_begin_other_names_are_told_apart_by_what_follows():
    grades = LabelSpec(kind="classes", classes={"A": ClassSpec(), "A+": ClassSpec()})
    answer = told("Label: A", ("\n", 0.75, {"+": 0.25}), "Rationale: It is good work.")
    assert probs(answer, grades) == near(**{"A": 0.75, "A+": 0.25})


def test_several_answers_have_their_mean():
    assert mean_probs([{"a": 0.5, "b": 0.5}, None, {"a": 1.0}]) == {"a": 0.75, "b": 0.25}
    assert mean_probs([None]) is None


NAMES = st.lists(
    st.text(st.sampled_from("abc _"), min_size=1, max_size=5)
    .map(str.strip)
    .filter(lambda name: name.strip(" _") == name and name != ""),
    min_size=2,
    max_size=4,
    unique_by=lambda name: name.replace("_", " "),
)


@given(NAMES, st.data())
def test_whatever_is_told_is_a_distribution(names: list[str], data: st.DataObject):
    label = LabelSpec(kind="classes", classes={name: ClassSpec() for name in names})
    name, tokens = data.draw(st.sampled_from(names)), Tokens()
    for character in name:
        own = data.draw(st.floats(0.01, 1))
        others = data.draw(st.lists(st.sampled_from([*names, " ", "x", *"abc_"]), max_size=3))
        told_so = {other: (1 - own) / len(others) for other in others if other != character}
        tokens.append((character, own, told_so))
    answer = told("Label: ", *tokens)
    found = label_probs(answer, name, kind_of(label), VerdictReader(label), {})
    if found is not None:
        assert set(found) <= set(names)
        assert all(0 < share <= 1 for share in found.values())
        assert sum(found.values()) <= 1.001
