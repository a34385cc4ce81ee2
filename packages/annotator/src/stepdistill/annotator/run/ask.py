"""Ask: what the store cannot answer goes to the teacher, and what comes back is stored.

Ctrl-C and SIGTERM end it early, without loss.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain, islice

from stepdistill.annotator.console.batch_table import batch_line, batch_table
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.rates import CostMeter
from stepdistill.annotator.errors import BatchesLeft, Interrupted, RunStopped
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.money.book import AccountsBook
from stepdistill.annotator.money.budget import Budget
from stepdistill.annotator.money.reservations import RequestPrices, Reservations
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, RequestSource
from stepdistill.annotator.run.planning import make_door, make_tariff, uses_simulator
from stepdistill.annotator.run.teachers import Asking, Teacher, the_teacher
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.collect import BatchContext
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.report import BatchReporter
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec

_GROUP = 256
_NOTE_EVERY_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def ask(
    config: RunSettings,
    rests: Sequence[RequestSource],
    store: ResponseStore,
    screen: ConsoleOutput,
    progress: Progress,
    rehearsed: Callable[[list[Plan]], AnswerSource] = rehearse,
) -> None:
    """Settle every request. Raises RunStopped, StoreError, Interrupted; answers are stored.

    rehearsed: who answers where the teacher is the embedded simulator.
    """
    progress.total = _n_requests(rests, progress.cached)
    async with AsyncExitStack() as stack:
        events = stack.enter_context(EventLog(config.log))
        events.emit("asking", task=config.task, splits=config.splits, teacher=config.teacher)
        simulator_url = None
        if uses_simulator(config):
            answers = rehearsed([rest.plan for rest in rests])
            simulator_url = (await stack.enter_async_context(Simulator(answers))).base_url
        door = make_door(config, simulator_url)
        committer = await stack.enter_async_context(GroupCommit(store, backlog=door.concurrency))
        report = BatchReporter(events, screen.say)
        purse = stack.enter_context(_purse(config, door, store))
        desk = BatchContext(
            store=store, committer=committer, progress=progress, report=report, purse=purse
        )
        asking = Asking(
            config=config,
            plan=rests[0].plan,
            door=door,
            desk=desk,
            events=events,
            missing=lambda: _missing(rests, store, Progress()),
            purse=purse,
        )
        teacher = await stack.enter_async_context(the_teacher(asking))
        await stack.enter_async_context(_shown(teacher, screen, progress, _meter(config)))
        await stack.enter_async_context(_noted(events, progress))
        await _settle(teacher, rests, store, progress)


async def _settle(
    teacher: Teacher, rests: Sequence[RequestSource], store: ResponseStore, progress: Progress
) -> None:
    with _stopped_by_signals(teacher.stop) as received:
        try:
            await teacher.ask_all(_missing(rests, store, progress))
        except RunStopped as error:
            error.args = (f"{error}; {progress.asked} answers were stored by this run",)
            raise
    if received:
        raise Interrupted(
            f"stopped by {received[0].name}: {progress.asked} answers were stored by this run"
            f"{_left_behind(teacher)}; the same command goes on from there"
        )
    if progress.waiting:
        raise BatchesLeft(f"{progress.waiting:,} requests are in batches that still run")


@contextmanager
def _purse(
    config: RunSettings, door: TeacherSpec, store: ResponseStore
) -> Generator[Reservations | None]:
    """What may be spent, where there is a ceiling. Raises ConfigError: no price is known.

    It is opened and closed while nothing is in flight. A kill in between leaves what was granted.
    """
    if config.max_cost_usd is None:
        yield None
        return
    tariff, today = make_tariff(config), datetime.now(UTC).date()
    rates = RequestPrices(
        online=tariff.known_price(today),
        batch=tariff.known_price(today, mode="batch"),
        door=door,
    )
    book, name = AccountsBook(store), config.budget or config.task
    purse = Reservations(Budget(config.max_cost_usd, book.budget(name)), rates, book, name)
    purse.forget_but(part.number for part in Ledger(store).open_parts())
    try:
        yield purse
    finally:
        purse.close()


def _shown(
    teacher: Teacher, screen: ConsoleOutput, progress: Progress, meter: CostMeter
) -> AbstractAsyncContextManager[None]:
    """What a person sees meanwhile: of batches their table, else how far the requests are."""
    if isinstance(teacher, BatchTeacher):
        return screen.waiting(lambda: batch_line(teacher.parts), lambda: batch_table(teacher.parts))
    return screen.asking(progress, meter)


def _left_behind(teacher: Teacher) -> str:
    if not isinstance(teacher, BatchTeacher):
        return ""
    n = sum(part.may_be_paid for part in teacher.parts if part.is_open)
    return f", {n} batch{'' if n == 1 else 'es'} go on at the teacher's" if n else ""


def _meter(config: RunSettings) -> CostMeter:
    """What the requests of this run cost so far, in USD."""
    tariff = make_tariff(config)
    return lambda progress: spent_usd(tariff, progress)


@asynccontextmanager
async def _noted(events: EventLog, progress: Progress) -> AsyncGenerator[None]:
    """Note the progress in the log now and then, and at the end."""

    async def note() -> None:
        while True:
            await asyncio.sleep(_NOTE_EVERY_S)
            events.emit("progress", **asdict(progress))

    task = asyncio.create_task(note())
    try:
        yield
    finally:
        task.cancel()
        events.emit("asked", **asdict(progress))


async def _missing(
    rests: Sequence[RequestSource], store: ResponseStore, progress: Progress
) -> AsyncIterator[list[Request]]:
    """What the store does not have, by groups. Between them the loop gets to its sockets."""
    requests = chain.from_iterable(rest.requests() for rest in rests)
    while group := list(islice(requests, _GROUP)):
        stored = store.has([each.key for each in group])
        missing = [each for each, is_stored in zip(group, stored, strict=True) if not is_stored]
        progress.cached += len(group) - len(missing)
        yield missing
        await asyncio.sleep(0)


def _n_requests(rests: Sequence[RequestSource], settled: int) -> int | None:
    """How many requests this run settles, those that are settled already among them."""
    counts = [rest.count() for rest in rests]
    return None if None in counts else settled + sum(count or 0 for count in counts)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Generator[list[signal.Signals]]:
    """The first signal stops gently, the second at once; yields the signals that came."""
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if received:
            os._exit(130)
        received.append(number)
        stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield received
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
