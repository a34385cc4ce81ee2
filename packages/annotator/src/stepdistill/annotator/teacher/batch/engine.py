"""The batch teacher: a plan's requests through the Batch API, until every one is settled.

    planner     which parts hold its requests, and what is asked again
    part_files  what the store lacks, on the disk, once
    ledger      what is meant, before it is done
    capacity    how much may be enqueued on the server
    upload      a part up, a batch created; or found again after a kill
    collect     what an ended batch holds, into the store
    lifecycle   one step of one part
    online      asks what a slow batch was taken back from

One loop does one thing after the other: resolve what is uncertain, send what there is room for,
look at what is running, take in what has ended. It may be killed anywhere and started again.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from functools import partial

from stepdistill.annotator.errors import BatchesRunning, BatchLost
from stepdistill.annotator.teacher.batch.context import BatchContext
from stepdistill.annotator.teacher.batch.lifecycle import PartLifecycle
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import remove_strays
from stepdistill.annotator.teacher.batch.planner import BatchPlanner
from stepdistill.annotator.teacher.batch.protocols.registry import batch_api
from stepdistill.annotator.teacher.online.engine import FailurePolicy, OnlineTeacher
from stepdistill.annotator.teacher.online.queue import Groups

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGER = 0.25, 60.0, 1.5


class BatchTeacher:
    """The teacher through the Batch API: `ask_all` settles every request, as the online teacher
    does; `stop` ends it early.

    online_failures: for what is asked online when batches are too slow.
    """

    def __init__(
        self, context: BatchContext, *, online_failures: FailurePolicy | None = None
    ) -> None:
        self._context, self._ledger = context, context.ledger
        self._online_failures = online_failures
        self._planner = BatchPlanner(context)
        self._task: asyncio.Task[object] | None = None
        self._online: OnlineTeacher | None = None
        self._stopped = False
        self.waiting = 0  # requests in batches that a run without `wait` leaves behind

    def stop(self) -> None:
        """Leave; batches go on without us, and what is on its way lands or is found again."""
        self._stopped = True
        if self._online is not None:
            self._online.stop()
        elif self._task is not None:
            self._task.cancel()

    @property
    def parts(self) -> list[BatchPart]:
        """The parts that this run waits for, or has waited for."""
        return [part for part in self._ledger.parts() if part.number in self._planner.mine]

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ... With
        `wait` off it returns once all is sent; `waiting` counts what is on its way."""
        if self._stopped:
            return
        async with self._at_work() as lifecycle:
            if not self._context.teacher.is_embedded:
                await lifecycle.persistence.insist(lifecycle.resolve_doubts)
            self._planner.drop_unusable()
            remove_strays(self._ledger)
            check = partial(lifecycle.persistence.insist, lifecycle.uploader.check_model)
            await self._planner.take(groups, check)
            await self._go_round(lifecycle)
            await self._ask_online()
            remove_strays(self._ledger)

    async def make_way(self, groups: Groups) -> None:
        """Before these are asked online: take in what has ended, take back what was never sent.
        Raises BatchesRunning when some are in batches that still run: they would be paid twice."""
        self._planner.goes_online = True
        self._planner.drop_unusable()
        asked_by = await self._planner.recognise(groups)
        if not asked_by:
            return
        async with self._at_work() as lifecycle:
            for step in (
                lifecycle.resolve_doubts,
                lifecycle.look_at_all,
                lifecycle.take_back_unsent,
            ):
                await lifecycle.persistence.insist(step)
            remove_strays(self._ledger)
        running = [part for part in self.parts if part.is_open]
        if running:
            n = sum(asked_by[part.number] for part in running)
            batches = "1 batch" if len(running) == 1 else f"{len(running)} batches"
            raise BatchesRunning(
                f"{n:,} of these requests are in {batches} that still run, and would be paid for "
                "twice: add --batch-api to wait for them, or --batch-api --fallback-online-after "
                "0s to cancel them and ask online what they leave"
            )

    async def collect(self) -> None:
        """Take in what has ended, of whatever run, and leave."""
        await self.cancel((), forget=False)

    async def cancel(self, numbers: Collection[int], *, forget: bool) -> None:
        """Ask for an end of these parts, or, to forget them, give their requests free at once;
        then take in what has ended."""
        async with self._at_work() as lifecycle:
            await lifecycle.persistence.insist(lifecycle.resolve_doubts)
            for number in numbers:
                await lifecycle.persistence.insist(partial(lifecycle.cancel, number, forget=forget))
            await lifecycle.persistence.insist(lifecycle.look_at_all)
            remove_strays(self._ledger)

    @asynccontextmanager
    async def _at_work(self) -> AsyncGenerator[PartLifecycle]:
        self._task = asyncio.current_task()
        try:
            async with batch_api(self._context.teacher) as api:
                yield PartLifecycle(api, self._context, self._planner)
        except asyncio.CancelledError:
            if not self._stopped or self._task is None:
                raise
            self._task.uncancel()  # by `stop`: this is not the end of the task
        finally:
            self._task = None

    async def _go_round(self, lifecycle: PartLifecycle) -> None:
        """Rounds with growing pauses, until nothing is left to wait for."""
        pause_s, reservations = _FIRST_PAUSE_S, self._context.reservations
        while True:
            has_moved = await lifecycle.round()
            await self._planner.reject_unfit()
            waited_for = [part for part in self.parts if part.is_open]
            in_flight = sum(part.requests for part in waited_for)
            self._context.progress.in_flight = in_flight
            lost = [part for part in waited_for if part.number in lifecycle.lost]
            if len(lost) == len(waited_for):
                break
            is_broke = lifecycle.unaffordable and not any(part.may_be_paid for part in waited_for)
            if reservations is not None and is_broke:
                await lifecycle.take_back_unsent()
                raise reservations.exhausted()
            if not self._context.settings.wait and not lifecycle.can_send(waited_for):
                self.waiting = self._context.progress.waiting = in_flight
                return
            pause_s = _FIRST_PAUSE_S if has_moved else min(_LONGEST_PAUSE_S, _LONGER * pause_s)
            await asyncio.sleep(pause_s)
        if lost:
            raise BatchLost(
                f"this key does not see {', '.join(part.batch_id or '' for part in lost)}: was it "
                "created with the key of another project? Use that one, or give it up with "
                "`annotate batch cancel --forget`: then its requests are asked again"
            )

    async def _ask_online(self) -> None:
        if not self._planner.n_for_online:
            return
        self._context.report.tell(f"{self._planner.n_for_online:,} requests are asked online now")
        online = OnlineTeacher(self._context, failures=self._online_failures)
        async with online as self._online:
            await online.ask_all(self._planner.online_requests())
