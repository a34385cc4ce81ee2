"""A ceiling for money: what may still be promised, and what is left of it after any crash. Pure.

    paid      settled from the tokens that the teacher reported
    lost      written off: may have been paid, at its worst, and nobody will ever say
    held      promised to batches that are on their way, by name
    reserved  promised to requests in flight, at their worst
    granted   how far all of these may go before somebody writes down a larger grant

Before a request goes, its worst case is reserved. The state on the disk says how far reservations
may reach, so a process that is killed has spent at most what the state granted: whoever opens it
again writes off the difference. What was really spent is never above the ceiling, whatever happens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Self

import orjson

from stepdistill.annotator.money.prices import ZERO

# What a kill may write off at most, but for a little headroom and for a single request's worst.
FLIGHT_SHARE = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What is written down of a budget, in USD, each amount >= 0."""

    paid_usd: Decimal = ZERO
    lost_usd: Decimal = ZERO
    granted_usd: Decimal = ZERO
    held: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])  # by the batch's name

    @classmethod
    def of(cls, body: bytes | None) -> "BudgetState":
        """The state that was written; an empty one before anything was."""
        if body is None:
            return cls()
        fields: dict[str, Any] = orjson.loads(body)
        held = {part: Decimal(usd) for part, usd in fields.pop("held").items()}
        return cls(held=held, **{name: Decimal(usd) for name, usd in fields.items()})

    @property
    def body(self) -> bytes:
        """As it is written: JSON with amounts as text, so that none is rounded."""
        return orjson.dumps(
            {
                "paid_usd": str(self.paid_usd),
                "lost_usd": str(self.lost_usd),
                "granted_usd": str(self.granted_usd),
                "held": {part: str(usd) for part, usd in self.held.items()},
            }
        )

    def with_all_of(self, other: "BudgetState") -> Self:
        """Both as one: what a kill left granted and nobody accounts for is written off."""
        both = (self, other)
        missing = sum((max(ZERO, each.granted_usd - each.bound_usd) for each in both), ZERO)
        return replace(
            self,
            paid_usd=self.paid_usd + other.paid_usd,
            lost_usd=self.lost_usd + other.lost_usd + missing,
            granted_usd=max(self.granted_usd, self.bound_usd)
            + max(other.granted_usd, other.bound_usd),
            held={**self.held, **other.held},  # a part is held by one budget
        )

    @property
    def bound_usd(self) -> Decimal:
        """What is gone, and what is promised to batches."""
        return self.paid_usd + self.lost_usd + sum(self.held.values(), ZERO)


class Grant(Enum):
    """Whether an amount may be promised."""

    YES = auto()
    GRANT = auto()  # once a larger grant is written
    WAIT = auto()  # once some of what is promised comes back
    NEVER = auto()


class Budget:
    """What was spent of a ceiling, and what is promised. Amounts are USD, at least 0."""

    def __init__(
        self,
        ceiling_usd: Decimal,
        state: BudgetState | None = None,
        *,
        flight_share: Decimal = FLIGHT_SHARE,
    ) -> None:
        """flight_share: of the ceiling, that may be promised to requests in flight."""
        self.ceiling_usd, self._flight_share = ceiling_usd, flight_share
        before = state or BudgetState()
        # After a kill: what was granted and is not accounted for may have been spent.
        missing = max(ZERO, before.granted_usd - before.bound_usd)
        self.paid_usd, self.lost_usd = before.paid_usd, before.lost_usd + missing
        self.granted_usd = max(before.granted_usd, before.bound_usd)
        self.held = dict(before.held)
        self.reserved_usd = ZERO
        self._writing: list[Decimal] = []  # grants on their way to the disk
        # Of batches that are settled here and held there: what came back of each. It may be
        # promised to others once that is written, else a kill leaves it for both.
        self._held_there = {*before.held}
        self._came_back: dict[str, Decimal] = {}

    @property
    def used_usd(self) -> Decimal:
        """All that is gone or promised."""
        held = sum(self.held.values(), ZERO)
        return self.paid_usd + self.lost_usd + held + self.reserved_usd

    def judge(self, worst_usd: Decimal) -> Grant:
        """Whether this much may be promised now."""
        used = self.used_usd
        if used + worst_usd <= min(self.granted_usd, self.ceiling_usd):
            return Grant.YES
        if used + worst_usd <= self.ceiling_usd:
            return Grant.GRANT
        return Grant.WAIT if self.reserved_usd or self.held else Grant.NEVER

    def is_crowded(self, worst_usd: Decimal) -> bool:
        """Whether with this, too much of the ceiling would be in flight: a kill loses all of it."""
        in_flight = self.reserved_usd + worst_usd
        return bool(self.reserved_usd) and in_flight > self.ceiling_usd * self._flight_share

    def reserve(self, worst_usd: Decimal) -> None:
        """Promise an amount that was judged YES."""
        self.reserved_usd += worst_usd

    def settle(self, worst_usd: Decimal, paid_usd: Decimal, lost_usd: Decimal = ZERO) -> None:
        """What was promised is settled for what it cost, and what it may have cost beside that."""
        self.reserved_usd -= worst_usd
        self.paid_usd += paid_usd
        self.lost_usd += lost_usd

    def lose(self, worst_usd: Decimal) -> None:
        """What was promised may have been paid for nothing."""
        self.settle(worst_usd, ZERO, worst_usd)

    def hold(self, name: str, worst_usd: Decimal) -> None:
        """Promise an amount that was judged YES to a batch."""
        self.held[name] = worst_usd
        self.granted_usd += self._came_back.pop(name, ZERO)

    def settle_held(self, name: str, *, paid_usd: Decimal = ZERO, lost_usd: Decimal = ZERO) -> None:
        """A batch has ended, or was never sent: nothing is promised to it any more."""
        worst_usd = self.held.pop(name, None)
        if worst_usd is None:
            return
        self.paid_usd += paid_usd
        self.lost_usd += lost_usd
        if name in self._held_there:
            self._came_back[name] = worst_usd - paid_usd - lost_usd
            self.granted_usd -= self._came_back[name]

    def state(self, headroom_usd: Decimal) -> BudgetState:
        """What to write down so that this much more may be promised; `granted` says it is."""
        wanted = min(self.used_usd + headroom_usd, self.ceiling_usd)
        # It grants no less than before: what was judged YES meanwhile stays below it.
        granted = max(wanted, self.used_usd, self.granted_usd, *self._writing)
        self._writing.append(granted)
        return self._state(granted)

    def batch_state(self) -> BudgetState:
        """What to write down once a batch is held or settled."""
        # Batches are known by name after a kill. So where nothing goes online, no more is granted
        # than is used: else what settled batches did not cost would be written off.
        is_asking = self.reserved_usd or self._writing
        return self.state(ZERO) if is_asking else self.final_state()

    def final_state(self) -> BudgetState:
        """What to write down when nothing is in flight any more: it grants what is used."""
        return self._state(self.used_usd)

    def granted(self, state: BudgetState) -> None:
        """This state is on the disk."""
        self._held_there = {*state.held}
        back = self._came_back.items()
        self._came_back = {name: usd for name, usd in back if name in self._held_there}
        self.granted_usd = state.granted_usd - sum(self._came_back.values(), ZERO)
        if state.granted_usd in self._writing:
            self._writing.remove(state.granted_usd)

    def _state(self, granted_usd: Decimal) -> BudgetState:
        return BudgetState(
            paid_usd=self.paid_usd,
            lost_usd=self.lost_usd,
            granted_usd=granted_usd,
            held=dict(self.held),
        )
