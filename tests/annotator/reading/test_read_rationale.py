"""Rationales: the reasons, before or after the verdict, without the verdict."""

import pytest

from tests.annotator.reading.tasks import CHOICES, CLAIM, PROBLEM, reader, text_reader


@pytest.mark.parametrize(
    ("answer", "rationale"),
    [
        ("False. The baker works at noon.", "The baker works at noon."),
        ("The baker works at noon. Therefore, the claim is false.", "The baker works at noon."),
        ("False, because the baker works at noon.", "the baker works at noon."),
        ("The claim is false because the baker works at noon.", "the baker works at noon."),
        ("The baker works at noon, so the claim is false.", "The baker works at noon"),
        (
            "The claim is false. The U.S. baker works at noon. Hence, the claim is false.",
            "The U.S. baker works at noon.",
        ),
        (
            "The oven is cold. The claim is false. It is also noon there.",
            "The oven is cold. It is also noon there.",
        ),
        ("Label: neutral\nExplanation: No clock is shown here.", "No clock is shown here."),
        ("Rationale: No clock is shown here.\nLabel: neutral", "No clock is shown here."),
        ("No, the claim is false. The baker works at noon.", "The baker works at noon."),
        ("## Verdict\nFalse\n## Reasons\nThe baker works at noon.", "The baker works at noon."),
        (
            "Yes, we can determine the truth of the claim. Rolls rise at dawn. The claim is false.",
            "Rolls rise at dawn.",
        ),
        (
            "No hour is given, so we cannot tell whether the claim is true. It is inconclusive.",
            "No hour is given",
        ),
        (
            "The claim is inconclusive. The baker may work at night, but it cannot be determined.",
            "The baker may work at night, but it cannot be determined.",
        ),
        ("The claim is false, as the rolls rise at dawn.", "the rolls rise at dawn."),
        ("Since the rolls rise at dawn, the claim is false.", "Since the rolls rise at dawn"),
        ("As a result of this whole text, the claim is false.", None),
        (
            "False. Rolls rise at dawn. As dawn is not night, it is safe to say that it is false.",
            "Rolls rise at dawn. As dawn is not night",
        ),
        (
            "No clock is shown. Without further details, it is not possible to draw a conclusion"
            " about his hours. Therefore, the claim is inconclusive.",
            "No clock is shown.",
        ),
        (
            "Based on the text, it is not possible to determine the hour of the shift. It only"
            " shows an oven. Therefore, the claim is inconclusive.",
            "It only shows an oven.",
        ),
        (
            "The text does not say when he works. It only shows an oven. So it is inconclusive.",
            "The text does not say when he works. It only shows an oven.",
        ),
        (
            "We can conclude that he is indeed up late. Rolls are sold at dawn. So it is true.",
            "Rolls are sold at dawn.",
        ),
        (
            f"We cannot tell whether the claim is true. The fact that {CLAIM['premise'][:-1]} does"
            " not give enough information to know whether it is night.",
            f"The fact that {CLAIM['premise'][:-1]} does"
            " not give enough information to know whether it is night.",
        ),
        ("Since the rolls rise at dawn, the claim is false.", "Since the rolls rise at dawn"),
        ("As a result of this whole text, the claim is false.", None),
        ("As the text states, the claim is false.", None),
        ("As the baker works at noon, the claim is false.", "As the baker works at noon"),
        (
            "False. Rolls rise at dawn. As dawn is not night, it is safe to say that it is false.",
            "Rolls rise at dawn. As dawn is not night",
        ),
        (
            "No clock is shown. Without further details, it is not possible to draw a conclusion"
            " about his hours. Therefore, the claim is inconclusive.",
            "No clock is shown.",
        ),
        (
            "Based on the text, it is not possible to determine the hour of the shift. It only"
            " shows an oven. Therefore, the claim is inconclusive.",
            "It only shows an oven.",
        ),
        (
            "The text does not say when he works. It only shows an oven. So it is inconclusive.",
            "The text does not say when he works. It only shows an oven.",
        ),
        (
            "We can conclude that he is indeed up late. Rolls are sold at dawn. So it is true.",
            "Rolls are sold at dawn.",
        ),
        (
            f"We cannot tell whether the claim is true. The fact that {CLAIM['premise'][:-1]} does"
            " not give enough information to know whether it is night. Ovens run at all hours.",
            f"The fact that {CLAIM['premise'][:-1]} does"
            " not give enough information to know whether it is night. Ovens run at all hours.",
        ),
        ("We can determine that the baker is indeed at work.", None),
        ("True", None),
        ("The claim is false.", None),
        ("False. Noon.", None),
        (
            "The explanation in the text is long. Therefore, the claim is true.",
            "The explanation in the text is long.",
        ),
    ],
)
def test_reasons_of_a_class(answer: str, rationale: str | None) -> None:
    assert reader("anli1").read(answer, CLAIM).rationale == rationale


def test_reasons_in_json() -> None:
    answer = '{"rationale": "No clock is shown.", "label": "neutral"}'
    reading = reader("anli1").read(answer, CLAIM)
    assert reading.rationale == "No clock is shown."
    assert reading.rationale_span == (15, 33)


def test_reasons_of_an_option() -> None:
    answer = "The best choice is the table. It stands firmly on the ground."
    assert reader("cqa").read(answer, CHOICES).rationale == "It stands firmly on the ground."
    answer = "The best choice is the table, as it stands firmly."
    assert reader("cqa").read(answer, CHOICES).rationale == "it stands firmly."
    assert reader("cqa").read("c) table", CHOICES).rationale is None
    answer = (
        "The best choice is the table. It stands firmly. Rain or shine, the table would be the best"
        " choice for her."
    )
    assert reader("cqa").read(answer, CHOICES).rationale == "It stands firmly."
    answer = (
        "The best choice is the table. It stands firmly. Rain or shine, the table would be the best"
        " choice for her."
    )
    assert reader("cqa").read(answer, CHOICES).rationale == "It stands firmly."
    answer = "What would she reach for when the soil is dry?\n\nOption: table"
    assert reader("cqa").read(answer, CHOICES).rationale is None


def test_reasons_without_a_label() -> None:
    answer = "The best choice would be a hose, because it is long. It can be rolled up, too."
    assert reader("cqa").read(answer, CHOICES).rationale == (
        "it is long. It can be rolled up, too."
    )
    for answer in ("b) can\nc) table", "It is clear, it could be a can or even the table."):
        assert reader("cqa").read(answer, CHOICES).rationale is None
    for answer in ("b) can\nc) table", "It is clear, it could be a can or even the table."):
        assert reader("cqa").read(answer, CHOICES).rationale is None
    answer = "The best choices would be the table or the can. Both stand firmly."
    assert reader("cqa").read(answer, CHOICES).rationale == "Both stand firmly."


def test_reasons_of_a_number() -> None:
    answer = "Mia had 14 and gave 5: 14 - 5 = 9.\nTherefore, Mia has 9 beads left."
    reading = reader("svamp").read(answer, PROBLEM)
    assert reading.rationale == "Mia had 14 and gave 5: 14 - 5 = 9."
    assert reader("svamp").read("Mia has 9 beads left.", PROBLEM).rationale is None
    for end in ("Answer: \\boxed{9}.", "The answer is 9."):
        answer = f"Of 14 beads 5 go: 14 - 5 = <<14-5=9>>9.\nSo, Mia has 9 beads. {end}"
        assert reader("svamp").read(answer, PROBLEM).rationale == (
            "Of 14 beads 5 go: 14 - 5 = <<14-5=9>>9."
        )
    for end in ("Answer: \\boxed{9}.", "The answer is 9."):
        answer = f"Of 14 beads 5 go: 14 - 5 = <<14-5=9>>9.\nSo, Mia has 9 beads. {end}"
        assert reader("svamp").read(answer, PROBLEM).rationale == (
            "Of 14 beads 5 go: 14 - 5 = <<14-5=9>>9."
        )


def test_the_span_covers_the_rationale() -> None:
    answer = "False. The baker works at noon. Therefore, the claim is false."
    reading = reader("anli1").read(answer, CLAIM)
    assert reading.rationale_span is not None
    start, end = reading.rationale_span
    assert answer[start:end] == reading.rationale


def test_free_text() -> None:
    reading = text_reader().read("Label: a short title\nExplanation: It says it all.", {})
    assert (reading.label, reading.rationale) == ("a short title", "It says it all.")
    assert text_reader().read("Bread at dawn", {}).label == "Bread at dawn"
    assert text_reader().read("It is long. The answer is Bread at dawn.", {}).label == (
        "Bread at dawn"
    )
    assert text_reader().read("It is long. It is late.", {}).label is None
