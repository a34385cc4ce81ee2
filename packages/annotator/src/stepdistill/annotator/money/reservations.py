"""The purse of a run with a ceiling: worst cases at today's price, a budget, and its book.

Online, a request's worst case is promised before it is sent, and settled from the usage that the
teacher reports. A request that may have been billed without an answer is written off at its worst.
A batch's worst case is promised, in the book, before it is created.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from stepdistill.annotator.errors import CeilingReached, TeacherError
from stepdistill.annotator.money.book import AccountsBook
from stepdistill.annotator.money.budget import ZERO, Budget, Grant
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.http.transport import Transport
from stepdistill.annotator.teacher.spec import TeacherSpec

# A token has a byte at least; a chat adds a few of its own.
_FRAME_TOKENS = 16
_GRANT_SHARE = Decimal("0.02")
# What is left of a ceiling in the end is less than a part: small ones use it up.
_PART_SHARE = Decimal("0.04")
_GRANT_REQUESTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPrices:
    """Prices of one run's requests. door: what is sent, and how long answers may be."""

    online: Price
    batch: Price
    door: TeacherSpec

    def worst_usd(self, request: Request) -> Decimal:
        """The most that a request can cost online."""
        prompt = len(self.door.body(request)) + _FRAME_TOKENS
        return self.online.worst_usd(prompt, self.door.max_tokens)

    def batch_worst_usd(self, requests: int, n_bytes: int, limit: int) -> Decimal:
        """The most that a file of requests can cost. limit: of each answer, in tokens."""
        return self.batch.worst_usd(n_bytes + requests * _FRAME_TOKENS, requests * limit)


class Reservations:
    """See the protocols of the same name in `request` and `request/batch`."""

    def __init__(self, budget: Budget, rates: RequestPrices, book: AccountsBook, name: str) -> None:
        self.budget, self._rates, self._book, self._name = budget, rates, book, name
        self._reserved: dict[bytes, Decimal] = {}

    def reserve(self, request: Request) -> bool:
        worst = self._rates.worst_usd(request)
        if self.budget.judge(worst) is not Grant.YES or self.budget.is_crowded(worst):
            return False
        self.budget.reserve(worst)
        self._reserved[request.key] = worst
        return True

    async def make_room(self, request: Request) -> bool:
        worst = self._rates.worst_usd(request)
        verdict = self.budget.judge(worst)
        if verdict is Grant.NEVER:
            raise self.exhausted()
        if self.budget.is_crowded(worst):
            return False
        if verdict is Grant.GRANT:
            share = self.budget.ceiling_usd * _GRANT_SHARE
            record = self.budget.record(max(worst, min(_GRANT_REQUESTS * worst, share)))
            await asyncio.to_thread(self._book.write_budget, self._name, record)
            self.budget.granted(record)
        return verdict is not Grant.WAIT

    def answered(self, request: Request, answer: Answer) -> None:
        """What was promised is settled; an answer without a count costs its worst."""
        worst, paid = self._reserved.pop(request.key), self._cost(answer, self._rates.online)
        if paid is None:
            self.budget.lose(worst)
        else:
            self.budget.settle(worst, paid)

    def failed(self, request: Request, error: TeacherError) -> None:
        """What was promised comes back, unless it may be billed all the same."""
        worst = self._reserved.pop(request.key)
        if error.may_be_paid:
            self.budget.lose(worst)
        else:
            self.budget.settle(worst, ZERO)

    def fits(self, requests: int, n_bytes: int) -> bool:
        worst = self._rates.batch_worst_usd(requests, n_bytes, self._rates.door.max_tokens)
        return worst <= self.budget.ceiling_usd * _PART_SHARE

    def hold(self, part: BatchPart) -> bool:
        if str(part.number) in self.budget.held:
            return True
        worst = self._worst_of(part)
        if self.budget.judge(worst) not in (Grant.YES, Grant.GRANT):
            return False
        self.budget.hold(str(part.number), worst)
        self._write()
        return True

    def settle(self, part: BatchPart, answers: Iterable[Answer], unheard: int) -> None:
        paid, lost = ZERO, self._unheard_usd(part, unheard)
        for answer in answers:
            cost = self._cost(answer, self._rates.batch)
            if cost is None:
                lost += self._unheard_usd(part, 1)
            else:
                paid += cost
        self.budget.settle_held(
            str(part.number), paid_usd=paid, lost_usd=min(lost, self._worst_of(part))
        )
        self._write()

    def release(self, part: BatchPart) -> None:
        self.budget.settle_held(str(part.number))
        self._write()

    def forget_but(self, open_parts: Iterable[int]) -> None:
        """What is held for parts that nobody waits for any more was settled elsewhere: at worst."""
        still = {str(number) for number in open_parts}
        for name, worst in list(self.budget.held.items()):
            if name not in still:
                self.budget.settle_held(name, lost_usd=worst)

    def close(self) -> None:
        """Nothing is in flight any more: write down what is left."""
        self._book.write_budget(self._name, self.budget.final_record())

    def exhausted(self) -> CeilingReached:
        """Why nothing more can be sent."""
        budget = self.budget
        lost = f", {budget.lost_usd:.4f} USD may be paid for nothing" if budget.lost_usd else ""
        return CeilingReached(
            f"--max-cost {budget.ceiling_usd:f} USD: {budget.paid_usd:.4f} USD are paid{lost}, and "
            "the next request might cost more than is left: raise it and run this again, or lower "
            "--max-tokens"
        )

    def _write(self) -> None:
        record = self.budget.batch_record()
        self._book.write_budget(self._name, record)
        self.budget.granted(record)

    def _worst_of(self, part: BatchPart) -> Decimal:
        return self._rates.batch_worst_usd(part.requests, part.bytes, part.limit)

    def _unheard_usd(self, part: BatchPart, n: int) -> Decimal:
        """The most that n of a part's requests can cost, whichever they are."""
        return self._rates.batch_worst_usd(n, part.bytes, part.limit) if n > 0 else ZERO

    def _cost(self, answer: Answer, price: Price) -> Decimal | None:
        usage = answer.usage
        return price.cost_usd(usage) if usage.prompt or usage.completion else None


Open = Callable[[TeacherSpec], AbstractAsyncContextManager[Transport]]


def paying(purse: Reservations, opened: Open) -> Open:
    """A transport that tells the purse what becomes of each request."""

    @asynccontextmanager
    async def paid(door: TeacherSpec) -> AsyncGenerator[Transport]:
        async with opened(door) as transport:
            yield _Paying(purse, transport.ask)

    return paid


class _Paying:
    def __init__(
        self,
        purse: Reservations,
        ask: Callable[[Request], Awaitable[tuple[Answer, Mapping[str, str]]]],
    ) -> None:
        self._purse, self._ask = purse, ask

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        try:
            answer, headers = await self._ask(request)
        except TeacherError as error:
            self._purse.failed(request, error)
            raise
        self._purse.answered(request, answer)
        return answer, headers
