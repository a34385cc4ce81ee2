"""Class verdicts: what is asserted counts; what is listed, asked, hedged or denied does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.reading.verdict.lexicon import TOKEN, tokens_of
from tests.annotator.reading.tasks import CLAIM, reader

ENTAILMENT, NEUTRAL, CONTRADICTION = "entailment", "neutral", "contradiction"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("True", ENTAILMENT),
        ("false.", CONTRADICTION),
        ("**Inconclusive**", NEUTRAL),
        ('"True"', ENTAILMENT),
        ("Invalid.", CONTRADICTION),
        ("Label: Neutral", NEUTRAL),
        ("**Answer:** contradiction\nThe tray is empty.", CONTRADICTION),
        ("The trays are hot.\nFinal answer: entailment", ENTAILMENT),
        ("Verdict: The claim is not true.", CONTRADICTION),
        ('{"label": "entailment", "rationale": "Rolls are bread."}', ENTAILMENT),
        ("Yes.", ENTAILMENT),
        ("No", CONTRADICTION),
    ],
)
def test_a_bare_or_named_label(answer: str, label: str) -> None:
    assert reader("anli1").read(answer, CLAIM).label == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("The claim is supported by the passage.", ENTAILMENT),
        ("The premise contradicts the claim.", CONTRADICTION),
        ("This statement can be considered accurate.", ENTAILMENT),
        ("We can classify the claim as incorrect.", CONTRADICTION),
        ("The statement is refuted by the given details.", CONTRADICTION),
        ("The claim is not true.", CONTRADICTION),
        ("The claim isn't accurate.", CONTRADICTION),
        ("The claim is neither supported nor contradicted by the text.", NEUTRAL),
        ("The text neither supports nor contradicts the claim.", NEUTRAL),
        ("The claim is not necessarily true.", NEUTRAL),
        ("The passage does not support the claim.", NEUTRAL),
        ("The hypothesis cannot be determined from the text.", NEUTRAL),
        ("It is impossible to tell whether the claim is true or false.", NEUTRAL),
        ("The details do not allow us to assess the truth of the claim.", NEUTRAL),
        ("There is not enough information.", NEUTRAL),
        ("It is unclear whether the claim is true, false, or inconclusive.", NEUTRAL),
        ("The claim cannot be judged as true, false, or inconclusive.", NEUTRAL),
        ("Without a clock in view we cannot say that the claim is false.", NEUTRAL),
    ],
)
def test_one_sentence(answer: str, label: str) -> None:
    assert reader("anli1").read(answer, CLAIM).label == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (
            "You asked whether it is true, false, or inconclusive. The claim is false. Rolls are "
            "baked at noon.",
            CONTRADICTION,
        ),
        (
            "While it is true that the baker works, nothing tells the hour. The claim is "
            "inconclusive.",
            NEUTRAL,
        ),
        (
            "The claim could be true if the oven were lit after dark. Therefore, the claim remains "
            "inconclusive.",
            NEUTRAL,
        ),
        ("Yes, we can determine the truth of the claim. The claim is false.", CONTRADICTION),
        ("The validity of the claim is easy to check: the claim is false.", CONTRADICTION),
        (
            "The part about the oven is correct. However, the trays are empty, so the claim is "
            "false.",
            CONTRADICTION,
        ),
        (
            "False. There is no evidence to support the claim that the baker works at night.",
            CONTRADICTION,
        ),
        (
            "The claim is false. There is no evidence that would support the claim about the hour.",
            CONTRADICTION,
        ),
        ('The claim "It is true that bread is false hope" is inconclusive.', NEUTRAL),
        ("We cannot make an accurate assessment of the claim.", NEUTRAL),
        (
            "We cannot determine the truth of the claim. Therefore, it would be wrong to draw a "
            "conclusion about the claim.",
            NEUTRAL,
        ),
    ],
)
def test_mentions_are_no_verdict(answer: str, label: str) -> None:
    assert reader("anli1").read(answer, CLAIM).label == label


def test_words_of_the_row_are_no_verdict() -> None:
    row = {"premise": "He said that the true story is false.", "hypothesis": "The story is true."}
    answer = 'Based on "He said that the true story is false", the story is true is inconclusive.'
    assert reader("anli1").read(answer, row).label == NEUTRAL


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("The oven is warm and the rolls smell good.", "no_verdict"),
        ("I'm sorry, but I cannot help with that.", "refusal"),
    ],
)
def test_undecidable_is_none_with_a_reason(answer: str, reason: str) -> None:
    reading = reader("anli1").read(answer, CLAIM)
    assert reading.label is None
    assert reading.reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        "The text makes it true and false.",
        "The text makes it true, while the other sentence makes it false.",
        "The text makes it true, contradiction, and it is possible to find the sentence.",
    ],
)
def test_two_soft_words_in_a_sentence_are_no_verdict(answer: str) -> None:
    assert reader("esnli").read(answer, CLAIM).label is None
    assert reader("esnli").read(f"{answer}\n\nLabel: neutral", CLAIM).label == NEUTRAL


def test_a_task_of_other_classes_needs_no_opposites() -> None:
    from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
    from stepdistill.common.task import ClassSpec, LabelSpec

    label = LabelSpec(kind="classes", classes={"joy": ClassSpec(), "anger": ClassSpec()})
    moods = VerdictReader(label)
    assert moods.read("Label: joy", {}).label == "joy"
    assert moods.read("The answer is anger, because he shouts.", {}).label == "anger"
    assert moods.read("The answer is not anger.", {}).label is None


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Yes, the truth value of the claim can be determined from the text.", None),
        ("No, the rolls come out at noon.", CONTRADICTION),
        ("We can conclude that the baker works at night.", ENTAILMENT),
        ("The text is inconclusive in supporting the claim.", NEUTRAL),
        ("We cannot justify or support the claim.", NEUTRAL),
        (
            "The text does not support the claim. Therefore, the claim is not accurate and "
            "contradicts the text.",
            CONTRADICTION,
        ),
        ("The claim seems inaccurate. No hour is given. The answer is inconclusive.", NEUTRAL),
        ("The claim is an accurate description of the text.", ENTAILMENT),
        ("The claim is only partially true.", None),
        ("The hypothesis contradicts the premise.", CONTRADICTION),
        ("The premise entails the hypothesis.", ENTAILMENT),
        ("Nothing in the text supports or contradicts the claim.", NEUTRAL),
        (
            "It would be incorrect to say that the claim is true. The claim is inconclusive.",
            NEUTRAL,
        ),
        ("The claim is far from true.", CONTRADICTION),
        ("The claim might be true.", None),
        ("The claim may or may not be true.", None),
        ("The claim could be true, false, or even partially true.", None),
        ("We cannot justify the claim that the baker works at night is supported.", NEUTRAL),
        (
            "The claim is inconclusive. We would need a clock that confirms the claim.",
            NEUTRAL,
        ),
        ("## Verdict\nFalse\n\n## Reasons\nThe rolls come out at noon.", CONTRADICTION),
        ("It is highly unlikely that the baker works at night.", CONTRADICTION),
        ("The claim is false. It is unlikely that rolls sell at night.", CONTRADICTION),
        ("Rolls are sold at dawn. It confirms that the baker is indeed at work.", ENTAILMENT),
        ("The claim that E.A.R.L. ovens are hot is true. Ovens are.", ENTAILMENT),
    ],
)
def test_turns_of_phrase(answer: str, label: str | None) -> None:
    assert reader("anli1").read(answer, CLAIM).label == label


@given(st.text(alphabet="ab'-,.: \n\t_1\ue000\x01\x02\u00e9\u2014", max_size=30))
def test_words_between_spaces_are_found_as_the_pattern_finds_them(sentence: str) -> None:
    assert tokens_of(sentence) == TOKEN.findall(sentence)
