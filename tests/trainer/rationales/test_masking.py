"""What states a label is not read, what argues for it is; the same in other words is the same."""

import pytest

from stepdistill.trainer.rationales.masking import masked, nearly_same

NLI = ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("reasons", "read"),
    [
        ("So it is a contradiction.", "So it is a _."),
        ("This contradicts it, and entails nothing.", "This _ it, and _ nothing."),
        ("A NEUTRAL text about a man.", "A _ text about a man."),
        ("A man cannot sleep and run.", "A man cannot sleep and run."),
    ],
)
def test_names_of_classes_go_in_all_their_forms(reasons: str, read: str) -> None:
    assert masked(reasons, "neutral", NLI, "") == read
    assert masked(reasons, "entailment", NLI, "") == read


def test_names_of_options_go_and_their_letters() -> None:
    options = ("train station", "park", "the office")
    reasons = "A bum lives at (a) a train station, never in the offices or a park."
    assert masked(reasons, "park", options, "") == "A bum lives at _ a _ _, never in the _ or a _."


def test_what_is_computed_goes() -> None:
    row = "Luke scored 84 points after 2 rounds."
    assert masked("He has 84 points, so 84 / 2 = 42.", "84 / 2", (), row) == (
        "He has 84 points, so 84 _ 2 _ _."
    )


def test_a_free_label_goes() -> None:
    assert masked("It is the Nile, of course.", "the Nile", (), "") == "It is the _, of course."


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("The man is asleep, so he cannot run.", "The man is asleep so he cannot run", True),
        ("The man is asleep, so he cannot run.", "The man is asleep, so he can not run.", True),
        ("The man is asleep, so he cannot run.", "Nobody runs while asleep.", False),
        ("", "", True),
    ],
)
def test_near_duplicates_are_told(one: str, other: str, is_same: bool) -> None:
    assert nearly_same(one, other) is is_same
    assert nearly_same(other, one) is is_same
