"""Characteristics of answers, counted by hand."""

import pytest

from stepdistill.annotator.reading.characteristics import characteristics, count_sentences
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.reading_ease import reading_ease, syllables

SENTENCE = "The baker lifts two trays of warm rolls out of the oven. "


def reading(label: str | None, rationale: str | None) -> Reading:
    span = (0, 1) if rationale else None
    return Reading(
        label=label, rationale=rationale, rationale_span=span, rule="x", confidence=1, reason=None
    )


def test_totals() -> None:
    found = characteristics(
        [reading("a", "One two three. Four."), reading(None, None), reading("b", "Five six.")]
    )
    assert (found.n_answers, found.n_unread, found.n_rationales) == (3, 1, 2)
    assert (found.characters, found.words, found.sentences) == (29, 6, 3)
    assert found.characters_variance == 30.25
    assert found.rationale_rate == pytest.approx(2 / 3)
    assert found.per_rationale(found.words) == 3
    assert found.reading_ease is None


def test_no_answers_at_all() -> None:
    found = characteristics([])
    assert (found.n_answers, found.characters_variance, found.rationale_rate) == (0, None, 0)


@pytest.mark.parametrize(("text", "n"), [("A. B. C.", 3), ("A.B", 1), ("", 0), ("A! B? C", 1)])
def test_sentences(text: str, n: int) -> None:
    assert count_sentences(text) == n


@pytest.mark.parametrize(
    ("word", "n"), [("the", 1), ("baker", 2), ("rolls", 1), ("oven", 2), ("yellow", 2), ("make", 1)]
)
def test_syllables(word: str, n: int) -> None:
    assert syllables(word) == n


def test_reading_ease() -> None:
    # 12 words and 14 syllables in each sentence: baker and oven have two.
    assert reading_ease(SENTENCE * 10) == pytest.approx(206.835 - 1.015 * 12 - 84.6 * 14 / 12)
    assert reading_ease(SENTENCE * 8) is None
