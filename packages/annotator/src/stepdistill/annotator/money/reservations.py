"""Reservations under a ceiling: worst cases at today's price, a budget, and its entry in the store.

Online, a request's worst case is promised before it is sent, and settled from the usage that the
teacher reports: what it does not say, or not believably, counts at its worst. A request that may
have been billed without an answer is written off at its worst. A batch's worst case is promised, on
the disk, before it is created.
"""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from stepdistill.annotator.errors import CeilingReached, TeacherError
from stepdistill.annotator.money.budget import FLIGHT_SHARE, Budget, BudgetState, Grant
from stepdistill.annotator.money.ceiling import Ceiling, budget_key
from stepdistill.annotator.money.prices import ZERO, Tariff
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.billing import why_unbounded
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import ConfigError

if TYPE_CHECKING:
    from lmdb import Transaction

# A token has a byte at least; a chat adds a few of its own.
_FRAME_TOKENS = 16
# Granted ahead: the worst of this many requests, but no more than this share of the ceiling. A kill
# loses what was granted, and each grant costs a write.
_GRANT_REQUESTS = 64
_GRANT_SHARE = Decimal("0.02")
# What is left of a ceiling in the end is less than a part: small ones use it up.
_PART_SHARE = Decimal("0.04")
# What a tier that nobody knows the price of counts as: no provider asks more for a faster one.
_UNKNOWN_TIER = Decimal("2.5")


class _Promise(NamedTuple):
    """What one request may cost at worst."""

    usd: Decimal
    prompt: int  # tokens
    completion: int  # likewise


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
        self._tariff, self._today, usual = tariff, today, tariff.known_price(today)
        # A tier that is full, or not served, is billed as the usual one.
        self._online = usual.or_more(tariff.known_price(today, tier=teacher.tier))
        self._batch = tariff.known_price(today, mode="batch")
        self._budget, self._teacher = budget, teacher
        self._entries, self._name, self._key = entries, name, budget_key(name)
        self._promised: dict[bytes, _Promise] = {}  # to requests in flight, by key
        self._excess = Decimal(1)  # how often its worst an answer has cost, >= 1

    def reserve(self, request: Request) -> bool:
        """Promise a request its worst case; False where that cannot be, or not yet."""
        promise = self._promise(request)
        if self._budget.judge(promise.usd) is not Grant.YES or self._budget.is_crowded(promise.usd):
            return False
        self._budget.reserve(promise.usd)
        self._promised[request.key] = promise
        return True

    async def make_room(self, request: Request) -> bool:
        """Try to make that possible; False where something in flight has to come back first. Raises
        CeilingReached where nothing can."""
        budget, worst = self._budget, self._promise(request).usd
        grant = budget.judge(worst)
        # Batches hold what they may cost, and nobody collects them while requests go online.
        if grant is Grant.NEVER or (grant is Grant.WAIT and not budget.reserved_usd):
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
        """What was promised is settled; tokens that were not counted cost their worst."""
        promise, paid = self._promised.pop(request.key), self._paid_usd(answer)
        lost = ZERO
        if not answer.is_counted:
            of_prompt, of_completion = answer.unknown
            prompt, completion = promise.prompt * of_prompt, promise.completion * of_completion
            lost = self._online.worst_usd(prompt, completion)
        self._budget.settle(promise.usd, paid, lost)
        worst = self._online.worst_usd(promise.prompt, promise.completion)
        if worst and paid > worst:
            # The teacher does not heed the limit, or adds to the prompt: the next may cost as much.
            self._excess = max(self._excess, paid / worst)

    def failed(self, request: Request, error: TeacherError) -> None:
        """What was promised comes back, unless it may be billed all the same."""
        promise, lost = self._promised.pop(request.key), ZERO
        if error.may_be_paid:
            lost = promise.usd
        elif error.prompt_may_be_paid:
            lost = self._online.worst_usd(promise.prompt, 0)
        self._budget.settle(promise.usd, ZERO, lost)

    def _paid_usd(self, answer: Answer) -> Decimal:
        """What an answer cost at the tier that its reply names; no less than the provider says."""
        price = self._tariff.price(self._today, tier=answer.tier)
        if price is None:
            usual = self._tariff.known_price(self._today)
            price = usual.times(_UNKNOWN_TIER, f"{answer.tier}, at most")
        return max(price.cost_usd(answer.usage), _reported(answer))

    def fits(self, requests: int, n_bytes: int, longest: int) -> bool:
        """Whether a part of this size is small enough for the ceiling to be used up closely.
        longest: of its answers, in tokens."""
        worst = self._batch_worst_usd(requests, n_bytes, longest)
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

    def settle(
        self, part: BatchPart, answers: Iterable[Answer], unheard: int, refused: int = 0
    ) -> None:
        """A part has ended with these answers. unheard: requests that may be billed without one;
        refused: those whose prompt may be."""
        paid, prompts, completions = ZERO, unheard + refused, unheard
        for answer in answers:
            paid += max(self._batch.cost_usd(answer.usage), _reported(answer))
            of_prompt, of_completion = answer.unknown
            prompts += of_prompt
            completions += of_completion
        # Which of the part's prompts these are nobody knows: they may be as long as all together.
        n_bytes = part.bytes + prompts * _FRAME_TOKENS if prompts else 0
        lost = self._batch.worst_usd(n_bytes, completions * part.longest)
        self._budget.settle_held(
            str(part.number), paid_usd=paid, lost_usd=min(lost, self._worst_of(part))
        )
        self._write()

    def release(self, part: BatchPart) -> None:
        """A part was given back unasked."""
        self._budget.settle_held(str(part.number))
        self._write()

    @property
    def name(self) -> str:
        """Of the budget."""
        return self._name

    @property
    def left_usd(self) -> Decimal:
        """What may still be promised."""
        return max(ZERO, self._budget.ceiling_usd - self._budget.used_usd)

    @property
    def in_flight_usd(self) -> Decimal:
        """What all that is in flight may be worth: a kill loses it."""
        return self._budget.ceiling_usd * FLIGHT_SHARE

    def lease(self, worker: str, usd: Decimal) -> bool:
        """Promise a worker so much, in all that it is given; False where that cannot be."""
        before = self._budget.held.get(worker, ZERO)
        if usd - before > self.left_usd:
            return False
        if usd != before:
            self._budget.hold(worker, usd)
            self._write()
        return True

    def settle_lease(self, worker: str, spent: tuple[Decimal, Decimal] | None) -> None:
        """A worker has ended. spent: what it has paid, and what it has lost; None: nobody knows,
        and all that it was promised may be gone."""
        paid, lost = spent or (ZERO, self._budget.held.get(worker, ZERO))
        self._budget.settle_held(worker, paid_usd=paid, lost_usd=lost)
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
        budget, held = self._budget, sum(self._budget.held.values(), ZERO)
        lost, cure = "", "raise it and run this again, lower --max-tokens, or name another --budget"
        if budget.lost_usd:
            lost = (
                f", {budget.lost_usd:.4f} USD are written off for what may be billed without an "
                "answer or a count (500, 504, time-outs, replies without usage, kills)"
            )
        if budget.lost_usd > budget.paid_usd:
            cure = f"see first why so much is lost (--log FILE has each failure), then {cure}"
        promised = f", {held:.4f} USD are promised to batches that still run" if held else ""
        return CeilingReached(
            f"--max-cost {budget.ceiling_usd:f} USD: {budget.paid_usd:.4f} USD are paid{lost}"
            f"{promised}, and the next request might cost more than is left of budget "
            f"{self._name}, which all its runs on this store share: {cure}"
        )

    def _write(self) -> None:
        state = self._budget.batch_state()
        self._entries.write(self._key, state.body)
        self._budget.granted(state)

    def _promise(self, request: Request) -> "_Promise":
        prompt = len(self._teacher.body(request)) + _FRAME_TOKENS
        completion = self._teacher.longest(request)
        usd = self._online.worst_usd(prompt, completion) * self._excess
        return _Promise(usd=usd, prompt=prompt, completion=completion)

    def _batch_worst_usd(self, requests: int, n_bytes: int, longest: int) -> Decimal:
        return self._batch.worst_usd(n_bytes + requests * _FRAME_TOKENS, requests * longest)

    def _worst_of(self, part: BatchPart) -> Decimal:
        return self._batch_worst_usd(part.requests, part.bytes, part.longest)


def _reported(answer: Answer) -> Decimal:
    return ZERO if answer.cost_usd is None else Decimal(str(answer.cost_usd))


@contextmanager
def reservations_under(
    ceiling: Ceiling, teacher: TeacherSpec, tariff: Tariff, store: ResponseStore
) -> Generator[BudgetReservations | None]:
    """Reservations under a ceiling; None where there is none. Raises ConfigError: no price.
    Opened and closed while nothing is in flight. A kill in between leaves what was granted."""
    if ceiling.usd is None:
        yield None
        return
    name, entries = ceiling.name, SealedEntries(store, "accounts")
    _take_over(store, entries, budget_key(name), [budget_key(each) for each in ceiling.earlier])
    budget = Budget(ceiling.usd, BudgetState.of(entries.get(budget_key(name))))
    reservations = BudgetReservations(budget, name, teacher, tariff, entries)
    reservations.forget_all_but(Ledger(store).open_parts())
    try:
        yield reservations
    finally:
        reservations.close()


def _take_over(
    store: ResponseStore, entries: SealedEntries, own: bytes, others: Iterable[bytes]
) -> None:
    found = {key: body for key in others if key != own and (body := entries.get(key)) is not None}
    if not found:
        return
    state = BudgetState.of(entries.get(own))
    for body in found.values():
        state = state.with_all_of(BudgetState.of(body))

    def work(txn: "Transaction") -> None:
        entries.put(txn, own, state.body)
        for key in found:
            entries.delete(txn, key)

    store.write(work)


def check_bodies(plans: Iterable[Plan], tariff: Tariff) -> None:
    """Raises ConfigError: a field of their bodies lifts the bill by what nobody can tell."""
    price = tariff.known_price(datetime.now(UTC).date())
    if not price.worst_usd(1, 1):
        return
    for plan in plans:
        for name, template in plan.templates.items():
            why = why_unbounded(plan.options.apply({**template.options}), plan.model)
            if why is not None:
                raise ConfigError(
                    f"--max-cost cannot be kept, {why}: take it out of template {name} (or "
                    "models.yaml), or run without --max-cost"
                )
