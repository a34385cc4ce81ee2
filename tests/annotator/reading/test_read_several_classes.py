"""Labels of kind `multi`: every class that an answer commits to, in whatever form it lists them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.kinds.multi import Multi
from stepdistill.common.task import ClassSpec, LabelSpec

NAMES = ["joy", "fear, dread", "anger", "severe_toxic", "toxic", "R&B", "être", "怒り"]
SPEC = LabelSpec(
    kind="multi",
    classes={name: ClassSpec(aliases=["rage"] if name == "anger" else []) for name in NAMES},
)
READER = VerdictReader(SPEC)
ROW = {"text": "She came home late and none of them said a word about it."}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("joy", "joy"),
        ("joy, anger", "joy; anger"),
        ("Anger; Joy", "joy; anger"),
        ("joy and rage.", "joy; anger"),
        ("both joy and anger", "joy; anger"),
        ("joy, toxic, and anger", "joy; anger; toxic"),
        ('["joy", "fear, dread"]', "joy; fear, dread"),
        ("fear, dread", "fear, dread"),
        ("severe toxic", "severe_toxic"),
        ("toxic, severe_toxic", "severe_toxic; toxic"),
        ("- joy\n- severe toxic", "joy; severe_toxic"),
        ("1. joy\n2. R&B", "joy; R&B"),
        ("**joy**, **être**", "joy; être"),
        ("怒り、joy", "joy; 怒り"),
        ("怒り, joy", "joy; 怒り"),
        ('{"rationale": "It is a glad text.", "label": ["joy", "anger"]}', "joy; anger"),
        ('{"rationale": "Nothing here fits at all.", "label": []}', "none"),
        ('{"emotions": ["joy", "anger"]}', "joy; anger"),
        ('{"labels": "joy, anger"}', "joy; anger"),
        (
            '{"rationale": "It is a glad text.", "emotions": ["severe_toxic", "joy"]}',
            "joy; severe_toxic",
        ),
        ('{"emotions": ["joy", "toxic"], "confidence": 0.9}', "joy; toxic"),
        ('{"emotions": [{"label": "joy"}, {"label": "anger"}]}', "joy; anger"),
        ('{"label": {"joy": true, "anger": false, "severe_toxic": true}}', "joy; severe_toxic"),
        ('{"joy": true, "anger": false, "toxic": true}', "joy; toxic"),
        ('{"joy": "yes", "anger": "no"}', "joy"),
        ('{"labels": {"joy": 1, "anger": 0}}', "joy"),
        ('{"joy": false, "anger": false}', "none"),
        ('{"emotions": []}', "none"),
        ("Label: anger; joy\nRationale: It is glad and it is cross.", "joy; anger"),
        ("Label: none\nRationale: Nothing of this fits it.", "none"),
        ("none", "none"),
        ("None of them.", "none"),
        ("None of these labels apply.", "none"),
        ("No label applies to it.", "none"),
        ("She laughs. Therefore, the answer is joy; anger", "joy; anger"),
        ("The labels are joy and toxic because the text is glad and rude.", "joy; toxic"),
        ("The text shows joy, not anger, because she smiles.", "joy"),
        ("It is anger in the first line. Overall, the labels are joy and toxic.", "joy; toxic"),
        ("I like cheese very much indeed.", None),
        ("joyful", None),
        ("joy, hope", None),
    ],
)
def test_a_set_is_read(answer: str, label: str | None):
    read = READER.read(answer, ROW).label

    assert read == (label if label is None else Multi(SPEC).label_of(label))


REASONS = "\n\nRationale: The text is glad and cross at once."


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Label:\n- joy\n- anger" + REASONS, "joy; anger"),
        ("Label:\n* joy\n* anger" + REASONS, "joy; anger"),
        ("Label:\n1. joy\n2. severe toxic" + REASONS, "joy; severe_toxic"),
        ("Label:\n\n- joy\n\n- fear, dread" + REASONS, "joy; fear, dread"),
        ("Label:\njoy\nanger" + REASONS, "joy; anger"),
        ("Label: joy\nanger" + REASONS, "joy; anger"),
        ("**Label:**\n- **joy**\n- **anger**\n\n**Rationale:** It is glad.", "joy; anger"),
        ("## Labels\n- joy\n- anger\n\n## Rationale\nThe text is glad.", "joy; anger"),
        ("Réponse :\n- joy\n- anger\n\nExplication : le texte est gai.", "joy; anger"),
        ("标签：joy、anger\n理由：这段话很高兴。", "joy; anger"),
        ("Rationale: The text is glad.\n\nLabels:\n- joy\n- anger", "joy; anger"),
        ("Labels: joy and anger." + REASONS, "joy; anger"),
        ("Label: joy (0.9), anger (0.4)" + REASONS, "joy; anger"),
        ("Label: joy; anger because the text is glad and cross", "joy; anger"),
        ("Label: joy\n- she smiles at him\n- there is a party", "joy"),
        ("Label:\njoy\nThe text is glad.", "joy"),
        ("Label: neither" + REASONS, "none"),
        ("Label: (none)" + REASONS, "none"),
        ("joy, anger (both strong)", "joy; anger"),
        ('```json\n["joy", "anger"]\n```', "joy; anger"),
        ('{"labels": "joy, anger"}', "joy; anger"),
        ("- joy\n- anger\n\nThe text is glad and cross.", "joy; anger"),
        ("These apply:\n- joy\n- anger\n\nShe smiles and he shouts.", "joy; anger"),
        ("Label:\n- joy: she smiles at him\n- anger: he shouts at her", "joy; anger"),
        ("The labels are joy and anger.\n\n- happy words\n- loud tone", "joy; anger"),
        ("It may be:\n- joy\n- anger\n\nTherefore, the label is joy.", "joy"),
        ("joy: yes\nanger: no\ntoxic: yes", "joy; toxic"),
    ],
)
def test_a_set_is_read_over_all_lines_of_its_list(answer: str, label: str):
    assert READER.read(answer, ROW).label == Multi(SPEC).label_of(label)


@pytest.mark.parametrize(
    "answer",
    [
        "Label: joy, hope" + REASONS,
        "Label: joy, anger, and hope" + REASONS,
        "Label:\n- joy\n- hope" + REASONS,
        "Label:\njoy\nhope" + REASONS,
        "Label: hope\n\nRationale: There is joy in it.",
        "- joy\n- hope",
        '["joy", "hope"]',
        '{"label": ["joy", "hope"], "rationale": "It is joy all the way."}',
    ],
)
def test_a_list_with_a_name_of_another_set_is_not_half_read(answer: str):
    read = READER.read(answer, ROW)

    assert (read.label, read.reason) == (None, "no_verdict")


def test_what_is_said_of_each_name_of_a_list_is_reasons():
    answer = "Label:\n- joy: she smiles at him\n- anger: he shouts at her"

    assert READER.read(answer, ROW).rationale == "she smiles at him he shouts at her"


def test_the_reasons_are_what_is_left():
    answer = "The labels are joy and toxic because the text is glad and rude."

    assert READER.read(answer, ROW).rationale == "the text is glad and rude."
    assert READER.read("The text is angry.\n\nLabels: joy, anger", ROW).rationale is not None


@given(
    st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.sampled_from(["; ", "\n", ", "])
)
def test_every_list_of_names_is_read_back(names: list[str], sign: str):
    assert READER.read(sign.join(names), ROW).label == Multi(SPEC).joined(names)


@given(st.text(max_size=300))
def test_no_answer_raises(answer: str):
    READER.read(answer, ROW)
