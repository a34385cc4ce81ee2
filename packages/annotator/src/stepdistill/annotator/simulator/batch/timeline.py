"""The state of a batch at a time: a pure function of its pace and of what was asked, and when."""

from dataclasses import dataclass
from typing import Literal

from stepdistill.annotator.simulator.batch.settings import BatchPlan

# In the order in which a batch shows when it took each on.
Status = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
]
_LAST: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """A batch at one time."""

    status: Status
    stamps: dict[Status, float]  # when it took on each status, in order
    share: float  # of its rows that are answered, 0 to 1

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in _LAST


@dataclass(slots=True, kw_only=True)
class Timeline:
    """What decides when a batch is in which state; times in seconds of the simulator's clock."""

    plan: BatchPlan
    created_s: float
    cancelled_s: float | None = None  # when its cancellation was asked for
    failed: bool = False  # its input has errors

    @property
    def validated_s(self) -> float:
        """When its input has been checked."""
        return self.created_s + self.plan.pace.validating_s

    @property
    def expires_s(self) -> float:
        """When its window ends."""
        return self.created_s + self.plan.pace.window_s

    def at(self, now: float) -> BatchState:
        """Where the batch stands now."""
        stamps: dict[Status, float] = {status: at for status, at in self._states() if at <= now}
        return BatchState(status=list(stamps)[-1], stamps=stamps, share=self._share(now))

    def _states(self) -> list[tuple[Status, float]]:
        """The states that it will have gone through, in order, each with its time."""
        pace, validated_s = self.plan.pace, self.validated_s
        states: list[tuple[Status, float]] = [("validating", self.created_s)]
        if self.cancelled_s is not None:
            if validated_s <= self.cancelled_s:
                states.append(("in_progress", validated_s))
            gone_s = self.cancelled_s + pace.cancelling_s
            return [*states, ("cancelling", self.cancelled_s), ("cancelled", gone_s)]
        if self.failed:
            return [*states, ("failed", validated_s)]
        states.append(("in_progress", validated_s))
        # A batch that is to stand still never has all of its answers.
        answered_s = validated_s + pace.running_s if self.plan.finished >= 1 else float("inf")
        closed_s = answered_s + pace.finalizing_s
        if closed_s > self.expires_s:
            before = [state for state in states if state[1] < self.expires_s]
            return [*before, ("expired", self.expires_s)]
        return [*states, ("finalizing", answered_s), ("completed", closed_s)]

    def _share(self, now: float) -> float:
        """The share of rows that are answered: none after its window or its cancellation."""
        at = min(now, self.expires_s if self.cancelled_s is None else self.cancelled_s)
        if self.failed or at < self.validated_s:
            return 0.0
        running_s = self.plan.pace.running_s
        passed = (at - self.validated_s) / running_s if running_s else 1.0
        return min(passed, self.plan.finished)
