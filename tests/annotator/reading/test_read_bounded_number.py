"""Labels of kind `number`: the rating or quantity that an answer commits to, within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec

STARS = VerdictReader(LabelSpec(kind="number", minimum=1, maximum=5))
ANY = VerdictReader(LabelSpec(kind="number"))
ROW = {"text": "We paid 20 dollars for 3 rooms, and a 4 of cards was on the floor."}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("4", "4"),
        ("4.0", "4"),
        ("4.5.", "4.5"),
        ("four", "4"),
        ("**4**", "4"),
        ("4/5", "4"),
        ("4 out of 5", "4"),
        ("4 stars", "4"),
        ("Rating: 4", "4"),
        ("Label: 4\nRationale: The guest was glad of it.", "4"),
        ("Label: 4/5\nRationale: The guest was glad of it.", "4"),
        ('{"rationale": "The guest was rather glad.", "label": 4}', "4"),
        ('{"rationale": "The guest was rather glad.", "label": 4.5}', "4.5"),
        ("I would rate this 4 out of 5, because it cost 20 dollars.", "4"),
        ("The rating is 3.5.", "3.5"),
        ("The guest liked it. Therefore, the answer is 2.", "2"),
        ("A 5-star hotel, yet the rating is 2.", "2"),
        ("It deserves a 4 for its 30 rooms.", "4"),
        ("7", None),
        ("8/10", None),
        ("-3", None),
        ("The rating is 9.", None),
        ("It is good.", None),
    ],
)
def test_a_rating_is_read(answer: str, label: str | None):
    assert STARS.read(answer, ROW).label == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [("-0.25", "-0.25"), ("1,234", "1234"), ("The score is -1.5.", "-1.5"), ("Score: 0", "0")],
)
def test_a_number_without_bounds_is_read(answer: str, label: str):
    assert ANY.read(answer, ROW).label == label


def test_the_reasons_are_what_is_left():
    answer = "I would rate this 4 out of 5, because it cost 20 dollars."

    assert STARS.read(answer, ROW).rationale == "it cost 20 dollars."


@given(st.text(max_size=300))
def test_no_answer_raises(answer: str):
    STARS.read(answer, ROW)


@given(
    st.integers(1, 5),
    st.sampled_from(["{}", "{}/5", "{} out of 5", "Label: {}", '{{"label": {}}}']),
)
def test_every_rating_in_every_form_is_read_back(rating: int, form: str):
    assert STARS.read(form.format(rating), ROW).label == str(rating)
