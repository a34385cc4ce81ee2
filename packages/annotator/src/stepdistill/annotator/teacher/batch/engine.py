"""The batch teacher: a plan's requests through the Batch API, until every one is settled.

    part_files   what the store lacks, on the disk, once
    ledger       what is meant, before it is done
    capacity     how much may lie at the teacher's
    sending      a part up, a batch created; or found again after a kill
    collect      what an ended batch holds, into the store
    online       asks what a slow batch was taken back from

One loop does one thing after the other: resolve what is in doubt, send what there is room for, look
at what is running, take in what has ended. It may be killed anywhere and started again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial

from stepdistill.annotator.errors import BatchesRunning, BatchLost
from stepdistill.annotator.settings.batch import BatchSettings
from stepdistill.annotator.teacher.batch.api import BatchApi
from stepdistill.annotator.teacher.batch.collect import BatchContext
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.lifecycle import PartLifecycle
from stepdistill.annotator.teacher.batch.model_guard import ModelGuard
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import Addressee, remove_strays
from stepdistill.annotator.teacher.batch.planner import BatchPlanner
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.online.queue import Groups
from stepdistill.annotator.teacher.spec import TeacherSpec

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGER = 0.25, 60.0, 1.5

Online = Callable[[], OnlineTeacher]


class BatchTeacher:
    """`ask_all` settles every request, as the online teacher does; `stop` ends it early.

    online: makes the teacher that is asked when batches are too slow.
    """

    def __init__(
        self,
        door: TeacherSpec,
        to: Addressee,
        settings: BatchSettings,
        ledger: Ledger,
        desk: BatchContext,
        online: Online,
    ) -> None:
        self._door, self._to, self._settings = door, to, settings
        self._ledger, self._desk, self._online = ledger, desk, online
        self._intake = BatchPlanner(ledger, settings, to, desk.report, desk.purse)
        self._task: asyncio.Task[object] | None = None
        self._asked_online: OnlineTeacher | None = None
        self._stopped = False

    def stop(self) -> None:
        """Leave; batches go on at the teacher's, and what is on its way lands or is found again."""
        self._stopped = True
        if self._asked_online is not None:
            self._asked_online.stop()
        elif self._task is not None:
            self._task.cancel()

    @property
    def parts(self) -> list[BatchPart]:
        """The parts that this run waits for, or has waited for."""
        return [part for part in self._ledger.parts() if part.number in self._intake.mine]

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ...

        With `wait` off it returns once all is sent; progress.waiting counts what is on its way.
        """
        if self._stopped:
            return
        async with self._at_work() as steps:
            if not self._to.is_passing:
                await steps.persistence.insist(steps.resolve_doubts)
            self._intake.drop_unusable()
            remove_strays(self._ledger)
            await self._intake.take(groups, partial(steps.persistence.insist, steps.guard.check))
            await self._go_round(steps)
            await self._ask_online()
            remove_strays(self._ledger)

    async def make_way(self, groups: Groups) -> None:
        """Before these are asked online: take in what has ended, take back what was never sent.

        Raises BatchesRunning when some are in batches that still run: they would be paid twice.
        """
        self._intake.goes_online = True
        self._intake.drop_unusable()
        asked_by = await self._intake.recognise(groups)
        if not asked_by:
            return
        async with self._at_work() as steps:
            await steps.persistence.insist(steps.resolve_doubts)
            await steps.persistence.insist(steps.look_at_all)
            await steps.persistence.insist(steps.take_back_unsent)
            remove_strays(self._ledger)
        running = [part for part in self.parts if part.is_open]
        if running:
            n = sum(asked_by[part.number] for part in running)
            raise BatchesRunning(
                f"{n:,} of these requests are in {_batches(len(running))} that still run, and "
                "would be paid for twice: add --batch-api to wait for them, or --batch-api "
                "--fallback-online-after 0s to cancel them and ask online what they leave"
            )

    async def collect(self) -> None:
        """Take in what has ended, of whatever run, and leave."""
        async with self._at_work() as steps:
            await steps.persistence.insist(steps.resolve_doubts)
            await steps.persistence.insist(steps.look_at_all)
            remove_strays(self._ledger)

    async def cancel(self, numbers: Collection[int], *, forget: bool) -> None:
        """Ask for an end of these parts, or, to forget them, give their requests free at once."""
        async with self._at_work() as steps:
            await steps.persistence.insist(steps.resolve_doubts)
            for number in numbers:
                await steps.persistence.insist(partial(steps.cancel, number, forget=forget))
            await steps.persistence.insist(steps.look_at_all)
            remove_strays(self._ledger)

    @asynccontextmanager
    async def _at_work(self) -> AsyncGenerator[PartLifecycle]:
        self._task = asyncio.current_task()
        try:
            async with BatchApi(self._door) as api:
                guard = ModelGuard(api, self._to.model, self._ledger.now)
                yield PartLifecycle(api, self._ledger, self._desk, self._intake, guard)
        except asyncio.CancelledError:
            if not self._stopped or self._task is None:
                raise
            self._task.uncancel()
        finally:
            self._task = None

    async def _go_round(self, steps: PartLifecycle) -> None:
        """Rounds with growing pauses, until nothing is left to wait for."""
        pause_s, purse = _FIRST_PAUSE_S, self._desk.purse
        while True:
            steps.unaffordable.clear()
            has_moved = await steps.round()
            waited_for = [part for part in self.parts if part.is_open]
            self._desk.progress.in_flight = sum(part.requests for part in waited_for)
            lost = [part for part in waited_for if part.number in steps.lost]
            if len(lost) == len(waited_for):
                break
            if purse and steps.unaffordable and not any(part.may_be_paid for part in waited_for):
                await steps.take_back_unsent()
                raise purse.exhausted()
            if not self._settings.wait and not steps.can_send(waited_for):
                self._desk.progress.waiting = self._desk.progress.in_flight
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
        if not self._intake.for_online:
            return
        self._desk.report.tell(f"{self._intake.n_for_online:,} requests are asked online now")
        async with self._online() as self._asked_online:
            await self._asked_online.ask_all(self._intake.online_requests())


def _batches(n: int) -> str:
    return "1 batch" if n == 1 else f"{n} batches"
