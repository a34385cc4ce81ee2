"""Runs of the batch teacher against a live simulator; each is a process of its own, so to speak."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.settings.batch import BatchSettings
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.batch.settings import (
    BatchPace,
    BatchPlan,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.collect import BatchContext
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import Addressee
from stepdistill.annotator.teacher.batch.report import BatchReporter
from stepdistill.annotator.teacher.online.engine import FailurePolicy, OnlineTeacher
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec
from tests.annotator.made import ENDPOINT
from tests.annotator.teacher.asking import QUICK, each

AT_ONCE = BatchPace(validating_s=0, running_s=0, finalizing_s=0, cancelling_s=0)
SLOW = BatchPlan(pace=BatchPace(validating_s=0, running_s=3600, finalizing_s=0, cancelling_s=0))
STEP_S = 0.02


@dataclass(slots=True, kw_only=True)
class Clock:
    """Seconds since 1970, as far as the ledger is told; a test sets it forward."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRun:
    """One run: its teacher, what it knows, and what it said."""

    teacher: BatchTeacher
    store: ResponseStore
    ledger: Ledger
    desk: BatchContext
    progress: Progress
    said: list[str] = field(default_factory=list[str])

    async def ask(self, requests: Iterable[Request]) -> None:
        await asyncio.wait_for(self.teacher.ask_all(each(requests)), 30)

    async def make_way(self, requests: Iterable[Request]) -> None:
        await asyncio.wait_for(self.teacher.make_way(each(requests)), 30)

    def outcome(self, request: Request) -> Answer | Failure | None:
        with self.store.reading() as stored:
            return stored.answer(request.key) or stored.failure(request.key)

    def answered(self, requests: Iterable[Request]) -> int:
        return sum(self.store.has([request.key for request in requests]))

    def has_said(self, words: str) -> bool:
        return any(words in line for line in self.said)

    @property
    def part(self) -> BatchPart:
        """The only part of the ledger."""
        (part,) = self.ledger.parts()
        return part


def missing(store: ResponseStore, requests: Iterable[Request]) -> list[Request]:
    """What a run would ask."""
    return [request for request in requests if request.key not in store]


def serving(
    plan: BatchPlan | None = None,
    *script: BatchPlan | None,
    clock: Callable[[], float] | None = None,
    **batches: Any,
) -> Simulator:
    """A simulator whose batches follow a plan, the first ones a script; as quick as can be."""
    settings = SimulatorSettings(
        batch=SimulatedBatchSettings(plan=plan or BatchPlan(pace=AT_ONCE), script=script, **batches)
    )
    how = {} if clock is None else {"clock": clock}
    return Simulator(SimulatedTeacher(), settings, **how)


def a_door(base_url: str, key: str | None = "sk-test") -> TeacherSpec:
    """A teacher at this address."""
    return TeacherSpec(
        base_url=base_url,
        key=key,
        concurrency=4,
        timeout_s=5.0,
        max_tokens=512,
        limit_name="max_tokens",
    )


def an_addressee(
    base_url: str = "http://localhost/v1", run: str = "run-1", *, is_passing: bool = False
) -> Addressee:
    """Whom the requests of these tests are for."""
    return Addressee(
        run=run,
        task="demo",
        model="any-model",
        endpoint=ENDPOINT.name + ENDPOINT.path,
        base_url=base_url,
        limit=512,
        limit_name="max_tokens",
        is_passing=is_passing,
    )


@asynccontextmanager
async def a_batch_run(
    folder: Path,
    base_url: str,
    *,
    run: str = "run-1",
    key: str | None = "sk-test",
    clock: Clock | None = None,
    is_passing: bool = False,
    **settings: Any,
) -> AsyncGenerator[BatchRun]:
    """settings: what differs from the usual BatchSettings."""
    door, to = a_door(base_url, key), an_addressee(base_url, run, is_passing=is_passing)
    said: list[str] = []
    progress = Progress()
    with ResponseStore.open(folder / "store", write=True, map_bytes=1 << 25) as store:
        async with GroupCommit(store) as committer:
            ledger = Ledger(store, clock) if clock else Ledger(store)
            desk = BatchContext(
                store=store,
                committer=committer,
                progress=progress,
                report=BatchReporter(EventLog(None), said.append),
            )
            quick = FailurePolicy(retry=QUICK)
            online = lambda: OnlineTeacher(door, committer, progress, patience=quick)  # noqa: E731
            teacher = BatchTeacher(door, to, BatchSettings(**settings), ledger, desk, online)
            yield BatchRun(
                teacher=teacher,
                store=store,
                ledger=ledger,
                desk=desk,
                progress=progress,
                said=said,
            )
