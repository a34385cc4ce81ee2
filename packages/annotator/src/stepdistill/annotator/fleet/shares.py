"""What each worker may ask and spend: parts of one limit and of one ceiling, and never more."""

import time
from decimal import Decimal

from stepdistill.annotator.fleet.messages import LeaseUse
from stepdistill.annotator.money.prices import ZERO
from stepdistill.annotator.money.reservations import BudgetReservations

# What a worker is promised ahead: so much of what it spends in a second. A kill loses it, and what
# is promised is written to the disk each time.
_AHEAD_S = 20.0
_FIRST = 64  # requests, of a worker that has not spent anything yet
_ENOUGH = Decimal("0.6")  # of what it should have: below it more is promised


class RateShares:
    """Parts of all limits, by worker. What one is told counts from then on, and what it had until
    it has heard of the next: so all parts together are never more than the whole."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def of(self, worker: str, n_workers: int) -> float:
        """The part that a worker may be told now; 0 while the others have all of it."""
        others = sum(share for name, share in self._told.items() if name != worker)
        # Parts are shrunk before others grow: a hair less than the rest, for the float's own error.
        return max(0.0, min(1 / n_workers, 1.0 - others))

    def told(self, worker: str, share: float) -> None:
        """A worker has heard of its part."""
        self._told[worker] = share

    def telling(self, worker: str, share: float) -> None:
        """A worker is about to hear of its part: a larger one counts already."""
        self._told[worker] = max(share, self._told.get(worker, 0.0))

    def gone(self, worker: str) -> None:
        """A worker is no more."""
        self._told.pop(worker, None)


class Leases:
    """What workers may spend: held on the disk before they hear of it."""

    def __init__(self, reservations: BudgetReservations) -> None:
        self._reservations = reservations
        self._given: dict[str, Decimal] = {}  # from the worker's start on
        self._spent: dict[str, LeaseUse] = {}
        self._since_s: dict[str, float] = {}

    @staticmethod
    def name(worker: str) -> str:
        """What is held for a worker is called so."""
        return f"worker {worker}"

    def of(self, worker: str) -> Decimal:
        """All that a worker may spend from its start on."""
        return self._given.get(worker, ZERO)

    def heard(self, worker: str, spent: LeaseUse, n_workers: int) -> None:
        """A worker has said how it stands: it is given more, or is to give back, as it should."""
        self._spent[worker] = spent
        given, gone = self.of(worker), spent.paid_usd + spent.lost_usd
        most = self._reservations.in_flight_usd / n_workers
        elapsed_s = time.monotonic() - self._since_s.setdefault(worker, time.monotonic())
        a_second = gone / Decimal(max(1.0, elapsed_s))
        ahead = min(most, max(a_second * Decimal(_AHEAD_S), _FIRST * spent.wanted_usd))
        wanted = max(ahead, spent.wanted_usd + spent.reserved_usd)
        if not spent.wanted_usd and self._others_want:
            given = gone + spent.reserved_usd  # what it has no use for, however little that is
        elif given - gone < wanted * _ENOUGH or spent.wanted_usd:
            given = max(given, self._as_far_as_there_is(worker, gone + wanted, spent))
        # What it is to give back is held until it says that it has.
        if self._reservations.lease(self.name(worker), max(given, spent.ceiling_usd)):
            self._given[worker] = given

    def _as_far_as_there_is(self, worker: str, ceiling_usd: Decimal, spent: LeaseUse) -> Decimal:
        """No more than is left; nothing where that is not enough for the next request."""
        given = self.of(worker)
        most = given + self._reservations.left_usd
        least = spent.paid_usd + spent.lost_usd + spent.reserved_usd + spent.wanted_usd
        return min(ceiling_usd, most) if least <= most else given

    @property
    def _others_want(self) -> bool:
        """Whether somebody waits for more than is left."""
        left = self._reservations.left_usd
        return any(each.wanted_usd > left for each in self._spent.values() if each.wanted_usd)

    @property
    def is_exhausted(self) -> bool:
        """Whether somebody waits for more, and nobody has anything to give back."""
        waits = any(each.wanted_usd for each in self._spent.values())
        in_flight = any(each.reserved_usd for each in self._spent.values())
        return waits and not in_flight and not any(map(self._spare, self._spent))

    def _spare(self, worker: str) -> bool:
        """Whether a worker has more than it uses, or has not said that it has heard of it."""
        spent, given = self._spent[worker], self.of(worker)
        gone = spent.paid_usd + spent.lost_usd + spent.reserved_usd
        if spent.wanted_usd:
            return given >= gone + spent.wanted_usd
        return given > gone or spent.ceiling_usd != given

    def ended(self, worker: str, spent: LeaseUse | None) -> None:
        """A worker is no more. spent: None where nobody knows."""
        known = None if spent is None else (spent.paid_usd, spent.lost_usd)
        self._reservations.settle_lease(self.name(worker), known)
        self._given.pop(worker, None)
        self._spent.pop(worker, None)
