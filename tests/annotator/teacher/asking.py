"""A run of the online teacher against a live simulator, with waits short enough for tests."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.http.transport import OpenTransport, open_transport
from stepdistill.annotator.teacher.online.circuit_breaker import CircuitBreakerPolicy
from stepdistill.annotator.teacher.online.engine import FailurePolicy, OnlineTeacher
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec
from tests.annotator.made import a_request

QUICK = RetryPolicy(attempts=4, first_s=0.01, cap_s=0.05, longest_s=2)
BRIEF = CircuitBreakerPolicy(
    opens_after_s=0, first_s=0.01, cap_s=0.05, early_longest_s=1, early_refused_longest_s=3
)
ONCE = RetryPolicy(attempts=1)


class Echo:
    """A teacher that says what it was asked."""

    def answer(self, body: Mapping[str, object]) -> str:
        return orjson.dumps(body).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A teacher ready to be asked, and the store behind it."""

    teacher: OnlineTeacher
    store: ResponseStore
    progress: Progress
    warned: list[str]

    async def ask(self, requests: Iterable[Request]) -> None:
        await self.teacher.ask_all(each(requests))

    def outcome(self, request: Request) -> Answer | Failure | None:
        with self.store.reading() as stored:
            return stored.answer(request.key) or stored.failure(request.key)

    def answer(self, request: Request) -> Answer:
        found = self.outcome(request)
        assert isinstance(found, Answer)
        return found


def simulator(*script: Fault | None, retry_after_s: float = 0.01, **settings: Any) -> Simulator:
    """One that serves these faults to its first requests."""
    plan = FaultPlan(script=script, retry_after_s=retry_after_s)
    return Simulator(SimulatedTeacher(), SimulatorSettings(faults=plan, **settings))


Asking = Callable[..., AbstractAsyncContextManager[Run]]


def a_spec(base_url: str, key: str | None = None, **changes: Any) -> TeacherSpec:
    """A teacher that is asked one request at a time, but for what is changed."""
    parts: dict[str, Any] = {
        "model": "any-model",
        "base_url": base_url,
        "api_key": SecretStr(key) if key else None,
        "timeout_s": 5.0,
    }
    return TeacherSpec(**{**parts, **changes})


def a_context(
    spec: TeacherSpec,
    store: ResponseStore,
    group_commit: GroupCommit,
    warn: Callable[[str], None] = print,
) -> AskContext:
    """What a run without a log and without a ceiling asks with."""
    return AskContext(
        warn=warn,
        teacher=spec,
        store=store,
        group_commit=group_commit,
        progress=Progress(),
        events=EventLog(None),
    )


@asynccontextmanager
async def a_run(
    folder: Path,
    base_url: str,
    *,
    transport: OpenTransport = open_transport,
    retry: RetryPolicy = QUICK,
    breaker: CircuitBreakerPolicy = BRIEF,
    **spec: Any,
) -> AsyncGenerator[Run]:
    """spec: what differs from a teacher that is asked one request at a time."""
    failures = FailurePolicy(retry=retry, breaker=breaker)
    with ResponseStore.open(folder / "store", write=True, map_bytes=1 << 24) as store:
        async with GroupCommit(store) as group_commit:
            warned: list[str] = []
            context = a_context(a_spec(base_url, **spec), store, group_commit, warned.append)
            async with OnlineTeacher(context, failures=failures, transport=transport) as teacher:
                yield Run(teacher=teacher, store=store, progress=context.progress, warned=warned)


async def each(requests: Iterable[Request]) -> AsyncIterator[list[Request]]:
    for request in requests:
        yield [request]


def several(n: int) -> list[Request]:
    return [a_request(f"question {number}") for number in range(n)]


async def until(it_is_so: Callable[[], object]) -> None:
    """Wait for something that will be so in a moment."""
    async with asyncio.timeout(10):
        while not it_is_so():  # noqa: ASYNC110  # nobody tells: it is seen from outside
            await asyncio.sleep(0.002)
