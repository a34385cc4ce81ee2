"""A lease: what a worker may spend of the run's ceiling, under reservations of its own.

The run holds all of it, on its disk, before the worker hears of it, and the worker writes down that
it is granted before it promises any of it: whoever finds the store of a worker that is gone knows
what it has spent at most.
"""

import asyncio
from decimal import Decimal

from stepdistill.annotator.errors import TeacherError
from stepdistill.annotator.fleet.messages import LeaseUse
from stepdistill.annotator.money.budget import Budget, BudgetState, Grant
from stepdistill.annotator.money.ceiling import budget_key
from stepdistill.annotator.money.prices import ZERO, Tariff
from stepdistill.annotator.money.reservations import BudgetReservations
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.spec import TeacherSpec

_NAME = "lease"


class Lease(BudgetReservations):
    """A worker's reservations. Where the lease is used up the worker waits for more of it, until it
    is told that there will be none."""

    def __init__(self, teacher: TeacherSpec, tariff: Tariff, store: ResponseStore) -> None:
        # All of it may be in flight: the run lets no more than it would lose to a kill.
        budget = Budget(ZERO, flight_share=Decimal(1))
        super().__init__(budget, _NAME, teacher, tariff, SealedEntries(store, "accounts"))
        self._more, self._is_last = asyncio.Event(), False
        self._wanted = ZERO

    @property
    def is_wanting(self) -> bool:
        """Whether the next request waits for more of it."""
        return bool(self._wanted)

    @property
    def spent(self) -> LeaseUse:
        """How it stands."""
        budget = self._budget
        return LeaseUse(
            paid_usd=budget.paid_usd,
            lost_usd=budget.lost_usd,
            ceiling_usd=budget.ceiling_usd,
            reserved_usd=budget.reserved_usd,
            wanted_usd=self._wanted,
        )

    def take(self, ceiling_usd: Decimal) -> None:
        """Have another ceiling from now on; what is promised is never given back. Raises
        StoreError."""
        budget = self._budget
        ceiling_usd = max(ceiling_usd, budget.used_usd)
        if ceiling_usd == budget.ceiling_usd:
            return
        budget.ceiling_usd = ceiling_usd
        budget.granted_usd = min(budget.granted_usd, ceiling_usd)
        state = budget.state(ceiling_usd - budget.used_usd)
        self._entries.write(self._key, state.body)
        budget.granted(state)
        self._more.set()

    def give_up(self) -> None:
        """No more of it will come: who waits for it goes."""
        self._is_last = True
        self._more.set()

    def answered(self, request: Request, answer: Answer) -> None:
        """As for any reservations; who waits may have what comes back."""
        super().answered(request, answer)
        self._more.set()

    def failed(self, request: Request, error: TeacherError) -> None:
        """Likewise."""
        super().failed(request, error)
        self._more.set()

    async def make_room(self, request: Request) -> bool:
        """Wait for more of the lease where it is used up, or for some of it to come back. Raises
        CeilingReached: no more will come."""
        worst = self._promise(request).usd
        grant = self._budget.judge(worst)
        if grant in (Grant.YES, Grant.GRANT):
            return True
        if self._is_last:
            raise self.exhausted()
        self._wanted = worst
        self._more.clear()
        await self._more.wait()
        self._wanted = ZERO
        return self._budget.judge(worst) is Grant.YES


def spent_in(store: ResponseStore) -> LeaseUse:
    """What a worker that is gone has spent at most, by its store. Raises StoreError."""
    state = BudgetState.of(SealedEntries(store, "accounts").get(budget_key(_NAME)))
    missing = max(ZERO, state.granted_usd - state.bound_usd)
    return LeaseUse(paid_usd=state.paid_usd, lost_usd=state.lost_usd + missing)
