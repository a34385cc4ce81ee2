"""Option verdicts: letters, words in other forms, options within others, rejected ones."""

import pytest

from tests.annotator.reading.tasks import CHOICES, reader


def choices(*options: str) -> dict[str, str]:
    names = ("choice_a", "choice_b", "choice_c", "choice_d", "choice_e")
    return {"question": "Which one?"} | dict(zip(names, options, strict=True))


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("(b)", "can"),
        ("b)", "can"),
        ("B.", "can"),
        ("2.", "can"),
        ("option c", "table"),
        ("The answer is (e).", "in the shed"),
        ("Answer: c) table", "table"),
        ("**C**", "table"),
        ("Watering can", "watering can"),
        ('{"answer": "(d)", "explanation": "He has a knife."}', "carve wood"),
        ("The most suitable option would be the table.", "table"),
        ("The best choice would be a watering can, because it holds water.", "watering can"),
        ("He would start carving the wood.", "carve wood"),
        ("Rather than the table, the best choice is the watering can.", "watering can"),
        ("The best choice is the watering can, not the table.", "watering can"),
        ("Not (c), which is furniture. The answer is (a).", "watering can"),
        ("B is the correct answer.", "can"),
        ("The table is not the answer. The answer is the watering can.", "watering can"),
        ("At first the table seems right, but a watering can is better.", "watering can"),
        ("The table or the watering can, but I would say table.", "table"),
        ("Answer: watering-can", "watering can"),
        ("Of these, the table is the most suitable choice.", "table"),
        ("The best choice for a gardener in the shed would be a watering can.", "watering can"),
        ("Because a can is heavy, the best choice would be the table.", "table"),
        ("The best choice, since it was made for her due to rain, would be the table.", "table"),
        ("The best choice would depend on the soil. The likely choice is the table.", "table"),
    ],
)
def test_the_option_it_commits_to(answer: str, label: str) -> None:
    assert reader("cqa").read(answer, CHOICES).label == label


def test_no_option_inside_another_word() -> None:
    assert reader("cqa").read("A suitable tool is the hose.", CHOICES).label is None


def test_the_longest_option_wins() -> None:
    assert reader("cqa").read("It is the watering can.", CHOICES).label == "watering can"


def test_duplicates_are_one_option() -> None:
    row = choices("bridge", "river", "bridge", "road", "boat")
    assert reader("cqa").read("The best option is the bridge.", row).label == "bridge"


def test_forms_of_one_word_are_told_apart_where_the_answer_does() -> None:
    row = choices("emit light", "emits light", "warm hands", "boil water", "warm house")
    assert reader("cqa").read("The best option is emits light.", row).label == "emits light"
    assert reader("cqa").read("It is to warm the house.", row).label == "warm house"


def test_characters_of_regexes_are_plain_text() -> None:
    row = choices("c++", "(none)", "a.*b", "$5", "what?")
    assert reader("cqa").read("The best option is c++.", row).label == "c++"
    assert reader("cqa").read("The best option is a.*b, of course.", row).label == "a.*b"
    assert reader("cqa").read("The answer is $5.", row).label == "$5"


@pytest.mark.parametrize(
    "answer",
    [
        "The best choices would be the table or the watering can.",
        "All of the options can be useful here.",
        "The best choice would be a hose.",
        "The best choice would be a hose. A hose can be kept in the shed.",
        "The best choice would be a hose, because a can is heavy.",
        "The best choice is that she waits because she may need a table with a can on it.",
        "a) watering can\nc) table",
        "It depends on the garden. a) Watering can: it is handy. b) Can: it is small.",
    ],
)
def test_no_single_option_is_none(answer: str) -> None:
    reading = reader("cqa").read(answer, CHOICES)
    assert reading.label is None
    assert reading.reason in ("no_verdict", "conflicting_verdicts")


def test_an_option_named_while_declining_is_no_answer() -> None:
    reading = reader("cqa").read("As an AI, I cannot recommend to carve wood.", CHOICES)
    assert (reading.label, reading.reason) == (None, "refusal")
