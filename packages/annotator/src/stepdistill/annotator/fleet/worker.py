"""A worker: asks what it is given, under its part of the limits, and tells what came of it.

It has a store of its own, so that what was paid for outlives it: what it has not told is found
there. Between two calls it goes on by itself; where nobody calls any more it stops, as the run is
gone, and its part of the limits with it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

from stepdistill.annotator.events import EventLog
from stepdistill.annotator.fleet.lease import Lease
from stepdistill.annotator.fleet.messages import (
    Call,
    Outcome,
    PackedError,
    Reply,
    WorkerLost,
    WorkerSpec,
)
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit, Landed
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.progress import Progress

# A call is answered once there is so much to tell, or nothing left to do, and after this time at
# latest: who has just begun is given little.
_ENOUGH, _SOON_S = 256, 0.25
_MOST_TOLD = 2_000  # outcomes in one reply
# Nobody has called for so long: the run is gone, and another may ask with this part of the limits.
_ABANDONED_S = 20.0
_LOOK_S = 0.1  # how often the teacher looks whether more was given, or a wait is over


class _Told(EventLog):
    """Events that go into the run's log."""

    def __init__(self) -> None:
        super().__init__(None)
        self.events: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


class _Commit(GroupCommit):
    """Notes what has landed in the worker's store: that is to be told."""

    def __init__(self, store: ResponseStore, backlog: int) -> None:
        super().__init__(store, backlog)
        self.landed: list[Outcome] = []
        self.n_told = 0  # of those that have arrived and are not in `landed` any more
        self.n_given = 0  # requests, of which something is to land
        self.enough = asyncio.Event()

    async def submit(self, key: bytes, outcome: Answer | Failure, landed: Landed) -> None:
        def noted(error: BaseException | None) -> None:
            if error is None:
                self.landed.append((key, outcome))
                if len(self.landed) >= _ENOUGH or self.is_all_known:
                    self.enough.set()
            landed(error)

        await super().submit(key, outcome, noted)

    @property
    def is_all_known(self) -> bool:
        """Whether something has come of all that was given."""
        return self.n_told + len(self.landed) == self.n_given

    def arrived(self, n: int) -> None:
        """So many outcomes, from the start on, are on the run's disk."""
        del self.landed[: n - self.n_told]
        self.n_told = max(n, self.n_told)


class FleetWorker:
    """Make it where it is to work; `call` may be called as soon as it is open."""

    def __init__(self, spec: WorkerSpec, store: Path) -> None:
        self._spec, self._path = spec, store
        self._stack = AsyncExitStack()
        self._given: asyncio.Queue[list[Request]] = asyncio.Queue()
        self._ends = False
        self._error: BaseException | None = None
        self._events, self._warnings = _Told(), list[str]()
        self._progress = Progress()
        self._called = asyncio.Event()
        self._share = 0.0
        self._lease: Lease | None = None

    async def open(self) -> None:
        """Open its store, and get ready to ask. Raises StoreError, ConfigError."""
        spec, stack = self._spec, self._stack
        os.environ.update(spec.environment)
        store = stack.enter_context(ResponseStore.open(self._path, write=True))
        backlog = spec.teacher.concurrency * (1 + len(spec.teacher.others))
        self._commit = await stack.enter_async_context(_Commit(store, backlog))
        if spec.tariff is not None:
            self._lease = Lease(spec.teacher, spec.tariff, store)
        self._teacher = await stack.enter_async_context(
            OnlineTeacher(
                AskContext(
                    teacher=spec.teacher,
                    store=store,
                    group_commit=self._commit,
                    progress=self._progress,
                    events=self._events,
                    reservations=self._lease,
                    warn=self._warnings.append,
                    answered_before=lambda: spec.answered_before,
                )
            )
        )
        self._task = asyncio.create_task(self._ask())
        self._watch = asyncio.create_task(self._until_abandoned())

    async def call(self, call: Call) -> Reply:
        """Take what the run says, and answer soon."""
        self._called.set()
        self._commit.arrived(call.arrived)
        if call.share != self._share:
            self._share = call.share
            self._teacher.take_share(self._spec.teacher.rate_limits.share * call.share)
        if self._lease is not None and call.ceiling_usd is not None:
            self._lease.take(call.ceiling_usd)
        if call.requests:
            self._commit.n_given += len(call.requests)
            self._given.put_nowait(call.requests)
        if call.stops:
            self._stop()
        await self._until_enough()
        return self._reply()

    async def close(self) -> None:
        """End what is under way, once it has landed, and close the store."""
        self._stop()
        self._watch.cancel()
        await asyncio.wait([self._task])
        if self._lease is not None:
            self._lease.close()
        await self._stack.aclose()

    async def _ask(self) -> None:
        try:
            await self._teacher.ask_all(self._groups())
        except Exception as error:  # noqa: BLE001  # told to the run, whatever it is
            self._error = error

    async def _groups(self) -> AsyncIterator[list[Request]]:
        """What is given, as it comes; the teacher is let go on with what it has meanwhile."""
        while not self._ends:
            given: list[Request] = []
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    given = await self._given.get()
            yield given

    async def _until_abandoned(self) -> None:
        with suppress(TimeoutError):
            while True:
                self._called.clear()
                async with asyncio.timeout(_ABANDONED_S):
                    await self._called.wait()
        self._error = WorkerLost("the run that this worker asks for is gone")
        self._stop()

    def _stop(self) -> None:
        self._ends = True
        self._teacher.stop()
        if self._lease is not None:
            self._lease.give_up()

    @property
    def _is_done(self) -> bool:
        if self._task.done():
            return True
        return self._commit.is_all_known and not self._ends

    async def _until_enough(self) -> None:
        commit = self._commit
        is_waiting = self._lease is not None and self._lease.is_wanting
        if self._is_done or is_waiting or len(commit.landed) >= _ENOUGH:
            await asyncio.sleep(0.02)  # who has nothing to do is not asked for ever
            return
        commit.enough.clear()
        waits = [asyncio.create_task(commit.enough.wait()), self._task]
        await asyncio.wait(waits, timeout=_SOON_S, return_when=asyncio.FIRST_COMPLETED)
        waits[0].cancel()

    def _reply(self) -> Reply:
        events, self._events.events = self._events.events, []
        warnings, self._warnings[:] = [*self._warnings], []
        outcomes = self._commit.landed[:_MOST_TOLD]
        is_all = len(outcomes) == len(self._commit.landed)
        return Reply(
            outcomes=outcomes,
            events=events,
            warnings=warnings,
            progress=replace(self._progress),
            spent=self._lease.spent if self._lease is not None else None,
            is_done=self._is_done and is_all,
            error=PackedError.of(self._error) if self._error is not None else None,
        )
