"""Runs of the batch teacher against a live simulator; each is a process of its own, so to speak."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.provider.profile import BatchProtocol, Provider
from stepdistill.annotator.provider.profiles import UNKNOWN, load_providers
from stepdistill.annotator.settings.teacher import BatchSettings
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.context import BatchContext, BatchReporter
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.online.engine import FailurePolicy
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec
from tests.annotator.teacher.asking import QUICK, a_spec, each

AT_ONCE = BatchTimes(validating_s=0, running_s=0, finalizing_s=0, cancelling_s=0)
SLOW = BatchPlan(times=BatchTimes(validating_s=0, running_s=3600, finalizing_s=0, cancelling_s=0))
STEP_S = 0.02


@dataclass(slots=True, kw_only=True)
class Clock:
    """Seconds since 1970, as far as the ledger is told; a test sets it forward."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRun:
    """One run: its teacher, what it works with, and what it told people."""

    teacher: BatchTeacher
    context: BatchContext
    told: list[str]

    @property
    def store(self) -> ResponseStore:
        return self.context.store

    @property
    def ledger(self) -> Ledger:
        return self.context.ledger

    @property
    def progress(self) -> Progress:
        return self.context.progress

    async def ask(self, requests: Iterable[Request]) -> None:
        await asyncio.wait_for(self.teacher.ask_all(each(requests)), 30)

    async def make_way(self, requests: Iterable[Request]) -> None:
        await asyncio.wait_for(self.teacher.make_way(each(requests)), 30)

    def outcome(self, request: Request) -> Answer | Failure | None:
        with self.store.reading() as stored:
            return stored.answer(request.key) or stored.failure(request.key)

    def answered(self, requests: Iterable[Request]) -> int:
        return sum(self.store.has([request.key for request in requests]))

    def has_told(self, words: str) -> bool:
        return any(words in line for line in self.told)

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
    protocol: BatchProtocol = "openai",
    **batches: Any,
) -> Simulator:
    """A simulator whose batches follow a plan, the first ones a script; as quick as can be."""
    settings = SimulatorSettings(
        dialect="gemini" if protocol == "gemini" else "openai",
        batch=SimulatedBatchSettings(
            protocol=protocol, plan=plan or BatchPlan(times=AT_ONCE), script=script, **batches
        ),
    )
    how = {} if clock is None else {"clock": clock}
    return Simulator(SimulatedTeacher(), settings, **how)


def a_batch_context(
    store: ResponseStore,
    spec: TeacherSpec | None = None,
    *,
    clock: Callable[[], float] = time.time,
    say: Callable[[str], None] = lambda line: None,
    group_commit: GroupCommit | None = None,
    **settings: Any,
) -> BatchContext:
    """What a run asks in batches with. settings: what differs from the usual BatchSettings."""
    return BatchContext(
        teacher=spec or a_spec("http://localhost/v1"),
        store=store,
        group_commit=group_commit or GroupCommit(store),
        progress=Progress(),
        events=EventLog(None),
        run="run-1",
        task="demo",
        settings=BatchSettings(**settings),
        ledger=Ledger(store, clock),
        report=BatchReporter(EventLog(None), say),
    )


def provider_of(protocol: BatchProtocol) -> Provider:
    """Who takes batches so."""
    return UNKNOWN if protocol == "openai" else load_providers()[protocol]


@asynccontextmanager
async def a_batch_run(
    folder: Path,
    base_url: str,
    *,
    run: str = "run-1",
    key: str | None = "sk-test",
    clock: Callable[[], float] = time.time,
    is_embedded: bool = False,
    **settings: Any,
) -> AsyncGenerator[BatchRun]:
    """settings: what differs from the usual BatchSettings, and the protocol."""
    provider = provider_of(settings.pop("protocol", "openai"))
    spec = a_spec(base_url, key, concurrency=4, is_embedded=is_embedded, provider=provider)
    told: list[str] = []
    with ResponseStore.open(folder / "store", write=True, map_bytes=1 << 25) as store:
        async with GroupCommit(store) as group_commit:
            how: dict[str, Any] = {"clock": clock, "say": told.append, **settings}
            context = a_batch_context(store, spec, group_commit=group_commit, **how)
            context = replace(context, run=run)
            teacher = BatchTeacher(context, online_failures=FailurePolicy(retry=QUICK))
            yield BatchRun(teacher=teacher, context=context, told=told)
