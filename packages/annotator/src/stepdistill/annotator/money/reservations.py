"""Reservations under a ceiling: worst cases at today's price, a budget, and its entry in the store.

Online, a request's worst case is promised before it is sent, and settled from the usage that the
teacher reports. A request that may have been billed without an answer is written off at its worst.
A batch's worst case is promised, on the disk, before it is created.
"""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

from stepdistill.annotator.errors import CeilingReached, TeacherError
from stepdistill.annotator.money.budget import Budget, BudgetState, Grant
from stepdistill.annotator.money.prices import ZERO, Price, Tariff
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.spec import TeacherSpec

# A token has a byte at least; a chat adds a few of its own.
_FRAME_TOKENS = 16
# Granted ahead: the worst of this many requests, but no more than this share of the ceiling. A kill
# loses what was granted, and each grant costs a write.
_GRANT_REQUESTS = 64
_GRANT_SHARE = Decimal("0.02")
# What is left of a ceiling in the end is less than a part: small ones use it up.
_PART_SHARE = Decimal("0.04")


class BudgetReservations:
    """The only one who reserves and settles: teachers are handed it as `Reservations`. What it says
    of a batch is on the disk when it returns. entries: where the budget is, as `budget-NAME`."""

    def __init__(
        self,
        budget: Budget,
        name: str,
        teacher: TeacherSpec,
        tariff: Tariff,
        entries: SealedEntries,
    ) -> None:
        """Raises ConfigError: no price is known."""
        today = datetime.now(UTC).date()
        self._online = tariff.known_price(today)
        self._batch = tariff.known_price(today, mode="batch")
        self._budget, self._teacher = budget, teacher
        self._entries, self._key = entries, budget_key(name)
        self._reserved: dict[bytes, Decimal] = {}  # of requests in flight, by key

    def reserve(self, request: Request) -> bool:
        """Promise a request its worst case; False where that cannot be, or not yet."""
        worst = self._worst_usd(request)
        if self._budget.judge(worst) is not Grant.YES or self._budget.is_crowded(worst):
            return False
        self._budget.reserve(worst)
        self._reserved[request.key] = worst
        return True

    async def make_room(self, request: Request) -> bool:
        """Try to make that possible; False where something in flight has to come back first. Raises
        CeilingReached where nothing can."""
        budget, worst = self._budget, self._worst_usd(request)
        grant = budget.judge(worst)
        if grant is Grant.NEVER:
            raise self.exhausted()
        if budget.is_crowded(worst):
            return False
        if grant is Grant.GRANT:
            share = budget.ceiling_usd * _GRANT_SHARE
            state = budget.state(max(worst, min(_GRANT_REQUESTS * worst, share)))
            await asyncio.to_thread(self._entries.write, self._key, state.body)
            budget.granted(state)
        return grant is not Grant.WAIT

    def answered(self, request: Request, answer: Answer) -> None:
        """What was promised is settled; an answer without a count costs its worst."""
        worst, paid = self._reserved.pop(request.key), _cost(answer, self._online)
        if paid is None:
            self._budget.lose(worst)
        else:
            self._budget.settle(worst, paid)

    def failed(self, request: Request, error: TeacherError) -> None:
        """What was promised comes back, unless it may be billed all the same."""
        worst = self._reserved.pop(request.key)
        if error.may_be_paid:
            self._budget.lose(worst)
        else:
            self._budget.settle(worst, ZERO)

    def fits(self, requests: int, n_bytes: int) -> bool:
        """Whether a part of this size is small enough for the ceiling to be used up closely."""
        worst = self._batch_worst_usd(requests, n_bytes, self._teacher.max_tokens)
        return worst <= self._budget.ceiling_usd * _PART_SHARE

    def hold(self, part: BatchPart) -> bool:
        """Promise a part its worst case, before it is sent; False where that cannot be."""
        if str(part.number) in self._budget.held:
            return True
        worst = self._worst_of(part)
        if self._budget.judge(worst) not in (Grant.YES, Grant.GRANT):
            return False
        self._budget.hold(str(part.number), worst)
        self._write()
        return True

    def settle(self, part: BatchPart, answers: Iterable[Answer], unheard: int) -> None:
        """A part has ended with these answers. unheard: requests that may be billed without one."""
        paid, lost = ZERO, self._unheard_usd(part, unheard)
        for answer in answers:
            cost = _cost(answer, self._batch)
            if cost is None:
                lost += self._unheard_usd(part, 1)
            else:
                paid += cost
        self._budget.settle_held(
            str(part.number), paid_usd=paid, lost_usd=min(lost, self._worst_of(part))
        )
        self._write()

    def release(self, part: BatchPart) -> None:
        """A part was given back unasked."""
        self._budget.settle_held(str(part.number))
        self._write()

    def forget_all_but(self, open_parts: Iterable[BatchPart]) -> None:
        """What is held for parts that nobody waits for any more was settled elsewhere: at worst."""
        still = {str(part.number) for part in open_parts}
        for name, worst in list(self._budget.held.items()):
            if name not in still:
                self._budget.settle_held(name, lost_usd=worst)

    def close(self) -> None:
        """Nothing is in flight any more: write down what is left."""
        self._entries.write(self._key, self._budget.final_state().body)

    def exhausted(self) -> CeilingReached:
        """Why nothing more can be sent."""
        budget = self._budget
        lost = f", {budget.lost_usd:.4f} USD may be paid for nothing" if budget.lost_usd else ""
        return CeilingReached(
            f"--max-cost {budget.ceiling_usd:f} USD: {budget.paid_usd:.4f} USD are paid{lost}, and "
            "the next request might cost more than is left: raise it and run this again, or lower "
            "--max-tokens"
        )

    def _write(self) -> None:
        state = self._budget.batch_state()
        self._entries.write(self._key, state.body)
        self._budget.granted(state)

    def _worst_usd(self, request: Request) -> Decimal:
        prompt = len(self._teacher.body(request)) + _FRAME_TOKENS
        return self._online.worst_usd(prompt, self._teacher.max_tokens)

    def _batch_worst_usd(self, requests: int, n_bytes: int, limit: int) -> Decimal:
        return self._batch.worst_usd(n_bytes + requests * _FRAME_TOKENS, requests * limit)

    def _worst_of(self, part: BatchPart) -> Decimal:
        return self._batch_worst_usd(part.requests, part.bytes, part.limit)

    def _unheard_usd(self, part: BatchPart, n: int) -> Decimal:
        # Which of the part's requests these are nobody knows: each may be as long as all.
        return self._batch_worst_usd(n, part.bytes, part.limit) if n > 0 else ZERO


@contextmanager
def reservations_under(
    ceiling_usd: Decimal | None,
    name: str,
    teacher: TeacherSpec,
    tariff: Tariff,
    store: ResponseStore,
) -> Generator[BudgetReservations | None]:
    """Reservations under a ceiling in USD; None where there is none. Raises ConfigError: no price.
    Opened and closed while nothing is in flight. A kill in between leaves what was granted."""
    if ceiling_usd is None:
        yield None
        return
    entries = SealedEntries(store, "accounts")
    budget = Budget(ceiling_usd, BudgetState.of(entries.get(budget_key(name))))
    reservations = BudgetReservations(budget, name, teacher, tariff, entries)
    reservations.forget_all_but(Ledger(store).open_parts())
    try:
        yield reservations
    finally:
        reservations.close()


def budget_key(name: str) -> bytes:
    """The key of a budget's entry in `accounts`."""
    return b"budget-" + name.encode()


def _cost(answer: Answer, price: Price) -> Decimal | None:
    usage = answer.usage
    return price.cost_usd(usage) if usage.prompt or usage.completion else None
