"""Scores and their intervals."""

import pytest

from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import ClassSpec, LabelKind, LabelSpec
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.scores import (
    MeasuredScore,
    against_majority,
    calibration,
    difference,
    majority,
    measure_lines,
    score,
    score_of,
)


def kind(name: LabelKind) -> Kind:
    names = ("yes", "no", "addition", "division") if name == "classes" else ()
    return kind_of(LabelSpec(kind=name, classes={each: ClassSpec() for each in names}))


def _example(gold: str, teacher: str | None) -> EvalExample:
    return EvalExample(id=gold, input="", gold=gold, teacher=teacher)


def test_a_row_that_the_teacher_left_out_is_wrong() -> None:
    rows = [_example("addition", "Addition."), _example("division", None)]
    assert score([row.teacher for row in rows], rows, kind("classes")).accuracy == 0.5


def test_equations_are_judged_by_value() -> None:
    rows = [_example("( 8.0 - 2.0 )", "8 - 2 = 6"), _example("( 8.0 - 2.0 )", "8 + 2")]
    assert score([row.teacher for row in rows], rows, kind("equation")).right == 1


def test_the_majority_is_of_labels_that_mean_the_same() -> None:
    assert majority(["A", "b", "a.", "b", "a"], kind("text")) == "A"


def test_each_class_has_its_own_scores() -> None:
    rows = [_example(gold, None) for gold in ("Yes", "yes", "yes", "no")]
    classes = score(["yes", "no", None, "No."], rows, kind("classes")).classes
    assert classes is not None
    yes, no = classes["Yes"], classes["no"]
    assert (yes.n, yes.named, yes.right) == (3, 1, 1)
    assert (yes.precision, yes.recall, yes.f1) == pytest.approx((1.0, 1 / 3, 0.5))
    assert (no.n, no.named, no.right) == (1, 2, 1)
    assert (no.precision, no.recall) == (0.5, 1.0)
    assert score(["yes"] * 4, rows, kind("text")).classes is None


def test_a_score_counts() -> None:
    counted = score_of([True, False, True, True])
    assert (counted.accuracy, counted.right, counted.n) == (0.75, 3, 4)


def test_calibration_is_the_gap_between_said_and_found() -> None:
    assert calibration([1.0, 1.0, 1.0, 1.0], [True, True, True, False]).error == 0.25
    found = calibration([0.55, 0.55, 0.95, 0.95], [True, False, True, True])
    assert found.error == pytest.approx(0.05)
    assert found.bins == ((2, pytest.approx(0.55), 0.5), (2, pytest.approx(0.95), 1.0))


def test_sets_and_numbers_have_measures_of_their_own() -> None:
    names = {name: ClassSpec() for name in ("joy", "anger")}
    sets = kind_of(LabelSpec(kind="multi", classes=names))
    stars = kind_of(LabelSpec(kind="number", tolerance=0.5))
    moods = [_example("joy; anger", None), _example("none", None)]
    found = score(["anger; joy", "joy"], moods, sets)
    assert isinstance(found, MeasuredScore)
    assert (found.accuracy, found.measures["jaccard"]) == (0.5, 0.5)
    assert found.classes is not None
    assert (found.classes["joy"].named, found.classes["joy"].right) == (2, 1)
    rated = score(["4", "1"], [_example("4.5", None), _example("3", None)], stars)
    assert isinstance(rated, MeasuredScore)
    assert (rated.accuracy, rated.measures["mean_error"]) == (0.5, 1.25)
    assert measure_lines({"student": rated})[1] == "mean_error           student 1.250"
    assert not isinstance(score(["yes"], [_example("yes", None)], kind("classes")), MeasuredScore)


def test_texts_are_measured_by_overlap_too() -> None:
    rows = [_example("the cat sat down", None), _example("a dog barked", None)]
    found = score(["the cat sat", None], rows, kind("text"))
    assert isinstance(found, MeasuredScore)
    assert found.right == 0 and 0.2 < found.measures["chrf"] < 0.9


@pytest.mark.parametrize(
    ("better", "worse", "said"),
    [(0, 3, "no better than"), (1, 1, "no better than"), (3, 1, "not clearly better than")],
)
def test_it_is_said_where_the_majority_is_as_good(better: int, worse: int, said: str) -> None:
    less = difference([True] * better + [False] * worse, [False] * better + [True] * worse)
    [line] = against_majority(less, "neutral")
    assert line.startswith(f"{said} the majority, 'neutral' for every row")
    assert against_majority(difference([True] * 60, [False] * 60), "neutral") == []
