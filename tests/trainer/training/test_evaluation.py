"""Scores and their intervals."""

import pytest

from trainer.data.examples import Question
from trainer.training.evaluation import majority_score, score, teacher_score, wilson


def _question(gold: str, teacher: str | None) -> Question:
    return Question(id=gold, input="", gold=gold, teacher=teacher)


def test_wilson_as_published() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)


def test_a_row_that_the_teacher_left_out_is_wrong() -> None:
    rows = [_question("addition", "Addition."), _question("division", None)]
    assert teacher_score(rows, "classes").accuracy == 0.5


def test_equations_are_judged_by_value() -> None:
    rows = [_question("( 8.0 - 2.0 )", "8 - 2 = 6"), _question("( 8.0 - 2.0 )", "8 + 2")]
    assert teacher_score(rows, "equation").right == 1


def test_the_majority_comes_from_the_training_labels() -> None:
    rows = [_question(gold, None) for gold in ("a", "b", "b", "b")]
    assert majority_score(["A", "a", "b"], rows, "text").accuracy == 0.25


def test_a_score_counts() -> None:
    counted = score([True, False, True, True])
    assert (counted.accuracy, counted.right, counted.n) == (0.75, 3, 4)
