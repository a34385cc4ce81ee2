"""A fleet: workers ask in place of this process, which gives them requests and keeps what they say.

    queue    what to ask next, as for one process: nothing is given to two workers
    shares   which part of the limits and of the ceiling each worker has
    engine   starts workers and reaches them, on this machine or others
    commit   what they say goes into the run's store; only then it counts, and they may forget it

What a worker that is gone had not said is fetched from its own store, where that can be reached;
what it was to ask and nobody has answered goes to another.
"""

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import replace
from typing import Self

from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.fleet.messages import (
    Call,
    Hand,
    LeaseUse,
    Outcome,
    Reply,
    WorkerEngine,
    WorkerLost,
    WorkerSpec,
)
from stepdistill.annotator.fleet.register import Register
from stepdistill.annotator.fleet.shares import Leases, RateShares
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.money.reservations import BudgetReservations
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.http.route import route_variables
from stepdistill.annotator.teacher.online.queue import Groups, PendingRequest, RequestQueue
from stepdistill.annotator.teacher.progress import AddressProgress, Progress

# A worker has so many seconds of work at hand; when it goes, that goes to the others.
_AT_HAND_S, _FIRST, _MOST = 2.0, 64, 8_192
_DEATHS = 3  # of workers one after the other, in each place, and no answer between them
_IDLE_S = 0.1


class Member:
    """One of a fleet. told: what people see of it, also of who was there before it."""

    def __init__(self, hand: Hand, told: AddressProgress) -> None:
        self.hand, self.told, self.name = hand, told, hand.place.name
        self.given: dict[bytes, PendingRequest] = {}  # by key: what nothing has come of yet
        self.arrived = 0  # outcomes that are on the disk
        self._progress = Progress()  # its own, when it was heard of the last time
        self._since_s = time.monotonic()

    @property
    def room(self) -> int:
        """How many more requests it should have at hand."""
        a_second = self.arrived / max(1.0, time.monotonic() - self._since_s)
        wanted = max(_FIRST, int(a_second * _AT_HAND_S), 2 * self._progress.in_flight)
        return min(wanted, _MOST) - len(self.given)

    def count(self, now: Progress, run: Progress, members: "list[Member]") -> None:
        """Count what it has done since to the run's progress; its outcomes count when they are on
        the run's disk."""
        before, self._progress = self._progress, now
        run.sent += now.sent - before.sent
        run.sent_tokens += now.sent_tokens - before.sent_tokens
        for cause, n in now.retries.items():
            more = n - before.retries.get(cause, 0)
            run.retries[cause] = run.retries.get(cause, 0) + more
            self.told.refused += more if cause in ("RateLimited", "Overloaded") else 0
        each = [member._progress for member in members]
        run.in_flight = sum(one.in_flight for one in each)
        pauses = [one.pause for one in each]
        run.pause = None if None in pauses else now.pause
        for limit in ("requests_limit", "tokens_limit"):
            limits = [getattr(one, limit) for one in each]
            setattr(run, limit, None if None in limits else sum(limits))


class FleetTeacher:
    """Asks as OnlineTeacher does, by workers; an async context manager."""

    def __init__(self, context: AskContext, engine: WorkerEngine, tariff: Tariff) -> None:
        self._context, self._engine, self._teacher = context, engine, context.teacher
        self._progress, self._register = context.progress, Register(context.store)
        self._rates = RateShares()
        held = context.reservations
        self._held = held if isinstance(held, BudgetReservations) else None
        self._leases = None if self._held is None else Leases(self._held)
        self._tariff = None if self._held is None else tariff
        self._members: list[Member] = []
        self._deaths = 0
        self._stopped = self._is_dry = False  # is_dry: no request is left that nobody has
        self._is_spent = False  # somebody waits for money that nobody has
        self._error: BaseException | None = None
        self._turn = asyncio.Lock()  # one draws requests at a time

    async def __aenter__(self) -> Self:
        for place in self._register.left():  # on machines that only the engine gets at
            with suppress(WorkerLost):
                async for found in self._engine.fetch(place, None):
                    if not isinstance(found, LeaseUse):
                        await asyncio.to_thread(self._context.store.add, found)
            self._register.remove(place.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.close()

    def stop(self) -> None:
        """Start no other request; those in flight still land in the store."""
        self._stopped = True

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request by some worker, and store what comes of it. Raises RunStopped,
        StoreError, ..."""
        self._queue = RequestQueue(groups, self._teacher.weigh, time.monotonic)
        started_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._engine.n_workers):
                tasks.create_task(self._keep_one_at_work(number))
        for told in self._progress.addresses:
            told.asked_s += time.monotonic() - started_s
        await self._context.group_commit.flush()
        if self._error is not None:
            raise self._error
        if self._is_spent and self._held is not None:  # now it knows what was paid
            raise self._held.exhausted()

    async def _keep_one_at_work(self, number: int) -> None:
        """A worker, and another in its place where it goes, until nothing is left to do."""
        told = self._told(number)
        while not self._is_over:
            try:
                await self._attend(await self._start(number, told))
            except WorkerLost as error:
                told.outages += 1
                told.last_error = str(error)
                self._deaths += 1
                self._context.warn(f"{told.address} is gone, another takes its place ({error})")
                if self._deaths >= _DEATHS * self._engine.n_workers:
                    self._fail(error)
            except Exception as error:  # noqa: BLE001  # raised by ask_all, once all has landed
                self._fail(error)

    def _told(self, number: int) -> AddressProgress:
        """What people see of the worker in this place, also of when a run asked before."""
        addresses = self._progress.addresses
        if number >= len(addresses):
            addresses.append(AddressProgress(address=f"worker {number}"))
        return addresses[number]

    @property
    def _is_over(self) -> bool:
        """Whether no worker has anything to do any more."""
        if self._stopped:
            return True
        waits = any(each.given for each in self._members) or self._queue.next_in_s is not None
        return self._is_dry and not waits

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._stopped = True

    async def _start(self, number: int, told: AddressProgress) -> Member:
        spec, n = self._teacher, self._engine.n_workers
        if spec.first_concurrency is not None:  # as many as were named, however they divide
            own = max(1, spec.concurrency // n + (number < spec.concurrency % n))
            spec = replace(spec, concurrency=own, first_concurrency=-(-own // 2))
        name = f"{number}-{secrets.token_hex(4)}"
        hand = await self._engine.start(
            WorkerSpec(
                name=name,
                teacher=spec,
                tariff=self._tariff,
                local_store=self._register.folder / name,
                answered_before=self._progress.asked > 0 or self._context.answered_before(),
                environment=route_variables(),
            )
        )
        told.address = f"worker {number} on {hand.place.host}"
        # Before it has anything to spend: whoever comes after a kill finds it.
        self._register.add(hand.place, None if self._held is None else self._held.name)
        member = Member(hand, told)
        self._members.append(member)
        return member

    async def _attend(self, member: Member) -> None:
        """Give a worker what to ask, and keep what it says, until nothing is left to do."""
        spent: LeaseUse | None = None
        try:
            while True:
                reply = await self._call(member)
                if reply is None:
                    await asyncio.sleep(_IDLE_S)
                    continue
                spent = reply.spent
                await self._hear(member, reply)
                if reply.is_done and self._is_over and not reply.outcomes:
                    break
                if reply.is_done and not reply.outcomes:
                    await asyncio.sleep(_IDLE_S)
            await member.hand.end()
            self._gone(member, spent)
            self._register.remove(member.name)
        except WorkerLost:
            await member.hand.end()
            try:
                self._gone(member, await self._take_over(member))
                self._register.remove(member.name)
            except WorkerLost:  # what it has is out of reach for now: a later run may get at it
                self._gone(member, None)
            raise
        finally:
            if member in self._members:
                self._members.remove(member)

    async def _call(self, member: Member) -> Reply | None:
        """What a worker says; None while there is no part of the limits for it."""
        share = self._rates.of(member.name, len(self._members))
        if not share and not self._stopped:
            return None
        ceiling = None if self._leases is None else self._leases.of(member.name)
        requests = [] if self._stopped else await self._draw(member)
        self._rates.telling(member.name, share)
        reply = await member.hand.call(
            Call(
                requests=requests,
                share=share or 1.0,
                ceiling_usd=ceiling,
                arrived=member.arrived,
                stops=self._stopped,
            )
        )
        self._rates.told(member.name, share)
        return reply

    async def _draw(self, member: Member) -> list[Request]:
        """The next requests for a worker: it has them from here on."""
        drawn: list[PendingRequest] = []
        room = member.room
        async with self._turn:
            while len(drawn) < room:
                pending = self._queue.draw()
                if pending is not None:
                    drawn.append(pending)
                elif not await self._queue.refill():
                    self._is_dry = True
                    break
        member.given |= {each.request.key: each for each in drawn}
        return [each.request for each in drawn]

    async def _hear(self, member: Member, reply: Reply) -> None:
        for event, fields in reply.events:
            self._context.events.emit(event, worker=member.name, **fields)
        for line in reply.warnings:
            self._context.warn(line)
        member.count(reply.progress, self._progress, self._members)
        await self._keep(member, reply.outcomes)
        member.arrived += len(reply.outcomes)
        if self._leases is not None and self._held is not None and reply.spent is not None:
            self._leases.heard(member.name, reply.spent, len(self._members))
            self._is_spent = self._is_spent or self._leases.is_exhausted
            self._stopped = self._stopped or self._is_spent
        if reply.error is not None:
            error = reply.error.unpacked()
            if isinstance(error, WorkerLost):
                raise error
            if not isinstance(error, CeilingReached):  # of its lease: what is left the run knows
                self._fail(error)

    async def _keep(self, member: Member, outcomes: list[Outcome]) -> None:
        """Put what a worker says on the disk; return once it is there."""
        landing = [self._landing(member, key, outcome) for key, outcome in outcomes]
        for error in await asyncio.gather(*[await each for each in landing]):
            if error is not None:
                raise error

    async def _landing(
        self, member: Member, key: bytes, outcome: Answer | Failure
    ) -> asyncio.Future[BaseException | None]:
        on_disk = asyncio.get_running_loop().create_future()
        pending = member.given.get(key)
        if pending is None:  # it was said before
            on_disk.set_result(None)
            return on_disk
        if isinstance(outcome, Answer) and self._context.heard is not None:
            self._context.heard(pending.request, outcome)

        def landed(error: BaseException | None) -> None:
            if error is None:
                self._settle(member, pending, outcome)
            on_disk.set_result(error)

        await self._context.group_commit.submit(key, outcome, landed)
        return on_disk

    def _settle(self, member: Member, pending: PendingRequest, outcome: Answer | Failure) -> None:
        key = pending.request.key
        member.given.pop(key, None)
        self._queue.settle(pending)
        self._progress.count(outcome)
        self._deaths = 0
        if isinstance(outcome, Failure):
            member.told.failed += 1
            detail = outcome.detail
            self._context.events.emit("failed", key=key.hex(), reason=outcome.reason, detail=detail)
        else:
            member.told.answers += 1

    async def _take_over(self, member: Member) -> LeaseUse | None:
        """Of a worker that is gone: what it has not said, and what is left to ask. What it has
        spent. Raises WorkerLost: nobody knows."""
        spent: LeaseUse | None = None
        try:
            async for found in self._engine.fetch(member.hand.place, {*member.given}):
                if isinstance(found, LeaseUse):
                    spent = found
                else:
                    await self._keep(member, [*found])
        finally:
            for pending in member.given.values():
                self._queue.put_off(pending, 0.0)
        return spent

    def _gone(self, member: Member, spent: LeaseUse | None) -> None:
        """A worker has ended. spent: None where nobody knows what."""
        self._members.remove(member)
        self._rates.gone(member.name)
        if self._leases is not None:
            self._leases.ended(member.name, spent)
