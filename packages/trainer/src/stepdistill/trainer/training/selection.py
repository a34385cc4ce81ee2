"""Which student is kept: the choice between checkpoints by their validations.

Of some hundred validation rows the best count is mostly luck, and the first that reaches it has
often not learnt to explain. So labels decide only as far as they differ by more than noise:

    top      the validation with most rows right; of several, the first
    noise    a student is as good as the top where the top is right on at most sqrt(n) more of the n
             rows that only one of the two is right on: one standard error of their difference
    label    of those as good as the top, the last one is kept
    both     of those, the one to whom the teacher's reasons are likeliest (the last one where there
             are no reasons); one that a new top leaves behind gives way to it
    patience a new top is better, and under `both` a loss of the reasons that is 1 % lower

A student is judged when it is validated, and one that was given up does not come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from stepdistill.trainer.scores import Score
from stepdistill.trainer.settings.train import SelectBy
from stepdistill.trainer.training.checkpoint import TrainingProgress, ValidPoint

_CLEARLY = 0.99
_ROUNDING = 1e-4  # losses of the same student, summed in another order, are as good


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What the validation rows say of a student."""

    score: Score
    right: Sequence[bool]  # of each row
    explain_loss: float | None  # as ValidPoint.explain_loss


def select(progress: TrainingProgress, found: Validation, by: SelectBy) -> ValidPoint:
    """Note a validation of the step just done. It is kept where it is the best step then."""
    right = "".join("1" if each else "0" for each in found.right)
    point = ValidPoint(
        step=progress.step,
        accuracy=found.score.accuracy,
        interval=found.score.interval,
        right=found.score.right,
        n=found.score.n,
        explain_loss=found.explain_loss,
    )
    is_top = not progress.top_right or point.right > progress.top_right.count("1")
    if is_top:
        progress.top_right = right
    if _takes_over(progress, right, by == "label" or _explains_better(progress, point)):
        progress.best_step, progress.best_right = point.step, right
        if is_top or (by == "both" and _is_clearly_lower(progress, point)):
            progress.better_step = point.step
    elif is_top:
        progress.better_step = point.step
    progress.valid.append(point)
    return point


def _takes_over(progress: TrainingProgress, right: str, is_better: bool) -> bool:
    if not _as_good(right, progress.top_right):
        return False
    # A checkpoint of an earlier version does not say where its best was right.
    if not progress.best_right or not _as_good(progress.best_right, progress.top_right):
        return True
    return is_better


def _explains_better(progress: TrainingProgress, point: ValidPoint) -> bool:
    before = progress.best.explain_loss if progress.best_step else None
    now = point.explain_loss
    return before is None or now is None or now <= before * (1 + _ROUNDING)


def _is_clearly_lower(progress: TrainingProgress, point: ValidPoint) -> bool:
    """Whether the reasons are likelier than at the last validation that was better: while a
    thousandth less counts, no training ends by patience."""
    before = next((p.explain_loss for p in progress.valid if p.step == progress.better_step), None)
    now = point.explain_loss
    return before is not None and now is not None and now < _CLEARLY * before


def _as_good(one: str, top: str) -> bool:
    """Whether the top is ahead by no more than noise. Both: of each row, whether it was right."""
    pairs = list(zip(one, top, strict=True))
    ahead, behind = pairs.count(("0", "1")), pairs.count(("1", "0"))
    return ahead - behind <= sqrt(ahead + behind)
