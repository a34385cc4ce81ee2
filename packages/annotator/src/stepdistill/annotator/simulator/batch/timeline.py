"""Where a batch stands at a time: a pure function of when it was made, cancelled, and its pace."""

from dataclasses import dataclass
from typing import Literal

from stepdistill.annotator.simulator.batch.plan import BatchPlan

Status = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
LAST: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What decides a batch's course: times in seconds of the simulator's clock.

    cancelled_s: when its cancellation was asked for. failed: its input was found wanting.
    """

    plan: BatchPlan
    created_s: float
    cancelled_s: float | None = None
    failed: bool = False

    @property
    def validated_s(self) -> float:
        """When its input has been checked."""
        return self.created_s + self.plan.pace.validating_s

    @property
    def expires_s(self) -> float:
        """When its window ends."""
        return self.created_s + self.plan.pace.window_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A batch at one time: its status, when it took on each, and the share of rows answered."""

    status: Status
    stamps: dict[Status, float]
    share: float

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in LAST


def moment(life: Life, now: float) -> Moment:
    """Where the batch stands now."""
    course = _course(life)
    stamps: dict[Status, float] = {status: at for status, at in course if at <= now}
    status = list(stamps)[-1]
    return Moment(status=status, stamps=stamps, share=_share(life, min(now, _halted_s(life))))


def _course(life: Life) -> list[tuple[Status, float]]:
    """The states that it will have gone through, in order, each with its time."""
    pace, start = life.plan.pace, life.created_s
    course: list[tuple[Status, float]] = [("validating", start)]
    if life.cancelled_s is not None:
        if life.validated_s <= life.cancelled_s:
            course.append(("in_progress", life.validated_s))
        cancelled_s = life.cancelled_s + pace.cancelling_s
        return [*course, ("cancelling", life.cancelled_s), ("cancelled", cancelled_s)]
    if life.failed:
        return [*course, ("failed", life.validated_s)]
    course.append(("in_progress", life.validated_s))
    answered_s = _answered_s(life)
    if answered_s + pace.finalizing_s > life.expires_s:
        return [*(step for step in course if step[1] < life.expires_s), ("expired", life.expires_s)]
    closed_s = answered_s + pace.finalizing_s
    return [*course, ("finalizing", answered_s), ("completed", closed_s)]


def _answered_s(life: Life) -> float:
    if life.plan.finished < 1:
        return float("inf")
    return life.validated_s + life.plan.pace.running_s


def _halted_s(life: Life) -> float:
    return life.expires_s if life.cancelled_s is None else life.cancelled_s


def _share(life: Life, at: float) -> float:
    if life.failed or at < life.validated_s:
        return 0.0
    running_s = life.plan.pace.running_s
    passed = (at - life.validated_s) / running_s if running_s else 1.0
    return min(passed, life.plan.finished)
