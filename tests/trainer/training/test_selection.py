"""Which of several students is kept, by what their validations say."""

import pytest

from stepdistill.trainer.scores import score_of
from stepdistill.trainer.settings.train import SelectBy
from stepdistill.trainer.training.checkpoint import TrainingProgress, ValidPoint
from stepdistill.trainer.training.selection import Validation, select


def _kept(
    *validations: tuple[str, float | None], by: SelectBy, progress: TrainingProgress | None = None
) -> int:
    """The place of the one that is kept, from 1. Each: which rows were right, the reasons' loss."""
    progress = progress or TrainingProgress()
    for right, loss in validations:
        progress.step += 1
        rows = [each == "1" for each in right]
        select(progress, Validation(score=score_of(rows), right=rows, explain_loss=loss), by)
    return progress.best_step


def test_of_equals_the_last_is_kept() -> None:
    assert _kept(("1110", None), ("1101", None), ("1110", None), by="label") == 3
    assert _kept(("0000", None), ("0000", None), by="label") == 2


def test_one_row_is_noise_and_three_are_not() -> None:
    top = "1" * 60
    assert _kept((top, None), ("0" + top[1:], None), by="label") == 2
    assert _kept((top, None), ("000" + top[3:], None), by="label") == 1


def test_steps_down_are_measured_from_the_top() -> None:
    top = "1" * 60
    falling = [("0" * n + top[n:], None) for n in range(6)]
    assert _kept(*falling, by="label") == 2


def test_of_those_with_as_good_labels_the_best_at_explaining_is_kept() -> None:
    top, one_off = "1" * 20, "0" + "1" * 19
    # The guide's own student: the first was one row ahead, and could not explain.
    assert _kept((top, 0.8), (one_off, 0.3), (one_off, 0.2), by="both") == 3
    assert _kept((top, 0.3), (one_off, 0.2), (top, 0.4), by="both") == 2


def test_labels_that_are_worse_are_no_better_for_their_reasons() -> None:
    assert _kept(("1" * 20, 0.8), ("0" * 20, 0.1), by="both") == 1
    assert _kept(("0" * 20, 0.1), ("1" * 20, 0.8), by="both") == 2


@pytest.mark.parametrize(("by", "expected"), [("label", 2), ("both", 1)])
def test_patience_counts_better_reasons_where_they_decide(by: SelectBy, expected: int) -> None:
    progress = TrainingProgress()
    _kept(("11", 0.5), ("11", 0.4), ("11", 0.45), by=by, progress=progress)
    assert progress.without_a_better() == expected


def test_an_earlier_version_s_best_gives_way() -> None:
    before = ValidPoint(step=6, accuracy=1.0, interval=(0.0, 1.0), right=2, n=2)
    progress = TrainingProgress(step=6, best_step=6, valid=[before])
    assert _kept(("10", 0.4), by="both", progress=progress) == 7
