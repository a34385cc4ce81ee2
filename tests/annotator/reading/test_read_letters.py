"""Options by letter, number and text, in whatever an answer wraps them."""

import pytest

from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec

FIELDS = [f"choice_{letter}" for letter in "abcde"]
READER = VerdictReader(LabelSpec(kind="options", options=FIELDS))
REASON = "Oslo is in Norway and the Seine runs through the town that is meant."


def row(*texts: str) -> dict[str, str]:
    return {"question": "Which?", **dict(zip(FIELDS, texts, strict=True))}


TOWNS = row("Oslo", "Paris", "Rome", "Lima", "Cairo")


@pytest.mark.parametrize(
    "said",
    [
        *("**Answer: B**", "ANSWER: $B$", "The answer is $\\boxed{\\text{B}}$.", "$$\\boxed{B}$$"),
        *("[[B]]", "Answer: `B`", "Answer: (b)", "Answer - B", "Therefore, (b).", "So B."),
        *("So the answer is B.", "The correct option is **B) Paris**.", "choice_b", "Option B"),
        *("Antwort: B", "Die richtige Antwort ist B.", "La réponse est B.", "Ответ: B"),
        *(
            "La respuesta correcta es B.",
            "答案：B",
            "答えはBです",
            "정답은 B입니다.",
            "B. Paris",
            "2",
        ),
        *('{"answer": "B"}', "<answer>B</answer>", "<think>C? No.</think>\nB", "b) Paris"),
    ],
)
def test_a_letter_at_the_end_is_the_answer(said: str) -> None:
    assert READER.read(f"{REASON}\n{said}", TOWNS).label == "Paris"
    assert READER.read(said, TOWNS).label == "Paris"


def test_a_letter_at_the_beginning_is_the_answer() -> None:
    for said in (f"B\n\n{REASON}", f"B. {REASON}", f"(b) Paris\n\n{REASON}"):
        assert READER.read(said, TOWNS).label == "Paris"


@pytest.mark.parametrize("said", ["Answer: G", "G", "\\boxed{H}", "The answer is K.", "Answer: 9"])
def test_a_letter_of_no_option_is_no_answer(said: str) -> None:
    reading = READER.read(f"{REASON}\n{said}", TOWNS)
    assert (reading.label, reading.reason) == (None, "no_verdict")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("The optimal selection would be A) late.", "late"),
        ('The best fit is "being late".', "being late"),
        ("The best fit is early, not late.", "early"),
        ("Answer: on time", "on time"),
    ],
)
def test_a_letter_or_quotation_decides_between_options_of_one_stem(said: str, meant: str) -> None:
    assert READER.read(said, row("late", "fine", "being late", "early", "on time")).label == meant


def test_options_that_are_numbers_have_no_numbers() -> None:
    assert READER.read("5", row("3", "5", "7", "10", "12")).label == "5"
    assert READER.read("Answer: 2", row("3", "5", "7", "10", "12")).label is None
    assert READER.read("Answer: B", row("3", "5", "7", "10", "12")).label == "5"


def test_several_options_one_after_the_other_are_no_answer() -> None:
    for said in ("d) Lima\ne) Cairo", "A: Oslo\nB: Paris\nC: Rome", "Answer: A or B"):
        assert READER.read(said, TOWNS).label is None
