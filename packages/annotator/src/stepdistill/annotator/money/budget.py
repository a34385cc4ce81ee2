"""A ceiling for money: what may still be promised, and what is left of it after any crash. Pure.

    paid      settled from the tokens that the teacher reported
    lost      written off: may have been paid, at its worst, and nobody will ever say
    held      promised to batches that are on their way, by name
    reserved  promised to requests in flight, at their worst
    granted   how far all of these may go before somebody writes down a larger grant

Before a request goes, its worst case is reserved. The record on the disk says how far reservations
may reach, so a process that is killed has spent at most what the record granted: whoever opens it
again writes off the difference. What was really spent is never above the ceiling, whatever happens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto

ZERO = Decimal(0)
# What a kill may write off at most, but for a little headroom and for a single request's worst.
_FLIGHT_SHARE = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What is written down. held: by the batch's name."""

    paid_usd: Decimal = ZERO
    lost_usd: Decimal = ZERO
    granted_usd: Decimal = ZERO
    held: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    @property
    def bound_usd(self) -> Decimal:
        """What is gone, and what is promised to batches."""
        return self.paid_usd + self.lost_usd + sum(self.held.values(), ZERO)

    def recovered(self) -> "BudgetState":
        """After a kill: what was granted and is not accounted for may have been spent."""
        missing = max(ZERO, self.granted_usd - self.bound_usd)
        return BudgetState(
            paid_usd=self.paid_usd,
            lost_usd=self.lost_usd + missing,
            granted_usd=max(self.granted_usd, self.bound_usd),
            held=dict(self.held),
        )


class Grant(Enum):
    """Whether an amount may be promised: yes; once a larger grant is written; once some of what is
    promised comes back; never."""

    YES = auto()
    GRANT = auto()
    WAIT = auto()
    NEVER = auto()


class Budget:
    """What was spent of a ceiling, and what is promised. Amounts are USD, at least 0."""

    def __init__(self, ceiling_usd: Decimal, record: BudgetState | None = None) -> None:
        self.ceiling_usd = ceiling_usd
        before = (record or BudgetState()).recovered()
        self.paid_usd, self.lost_usd = before.paid_usd, before.lost_usd
        self.granted_usd = before.granted_usd
        self.held = dict(before.held)
        self.reserved_usd = ZERO
        self._writing: list[Decimal] = []  # grants on their way to the disk

    @property
    def used_usd(self) -> Decimal:
        """All that is gone or promised."""
        held = sum(self.held.values(), ZERO)
        return self.paid_usd + self.lost_usd + held + self.reserved_usd

    @property
    def left_usd(self) -> Decimal:
        """What may still be promised."""
        return self.ceiling_usd - self.used_usd

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
        return bool(self.reserved_usd) and in_flight > self.ceiling_usd * _FLIGHT_SHARE

    def reserve(self, worst_usd: Decimal) -> None:
        """Promise an amount that was judged YES."""
        self.reserved_usd += worst_usd

    def settle(self, worst_usd: Decimal, paid_usd: Decimal) -> None:
        """What was promised is settled for what it cost."""
        self.reserved_usd -= worst_usd
        self.paid_usd += paid_usd

    def lose(self, worst_usd: Decimal) -> None:
        """What was promised may have been paid for nothing."""
        self.reserved_usd -= worst_usd
        self.lost_usd += worst_usd

    def hold(self, name: str, worst_usd: Decimal) -> None:
        """Promise an amount that was judged YES to a batch."""
        self.held[name] = worst_usd

    def settle_held(self, name: str, *, paid_usd: Decimal = ZERO, lost_usd: Decimal = ZERO) -> None:
        """A batch has ended, or was never sent: nothing is promised to it any more."""
        if self.held.pop(name, None) is not None:
            self.paid_usd += paid_usd
            self.lost_usd += lost_usd

    def record(self, headroom_usd: Decimal) -> BudgetState:
        """What to write down so that this much more may be promised; `granted` says it is.

        It grants no less than before: what was judged YES meanwhile stays below it.
        """
        wanted = min(self.used_usd + headroom_usd, self.ceiling_usd)
        granted = max(wanted, self.used_usd, self.granted_usd, *self._writing)
        self._writing.append(granted)
        return self._record(granted)

    def batch_record(self) -> BudgetState:
        """What to write down once a batch is held or settled.

        Batches are known by name after a kill. So where nothing goes online, no more is granted
        than is used: else what settled batches did not cost would be written off.
        """
        is_asking = self.reserved_usd or self._writing
        return self.record(ZERO) if is_asking else self.final_record()

    def final_record(self) -> BudgetState:
        """What to write down when nothing is in flight any more: it grants what is used."""
        return self._record(self.used_usd)

    def _record(self, granted_usd: Decimal) -> BudgetState:
        return BudgetState(
            paid_usd=self.paid_usd,
            lost_usd=self.lost_usd,
            granted_usd=granted_usd,
            held=dict(self.held),
        )

    def granted(self, record: BudgetState) -> None:
        """This record is on the disk."""
        self.granted_usd = record.granted_usd
        if record.granted_usd in self._writing:
            self._writing.remove(record.granted_usd)
