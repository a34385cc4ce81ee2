"""Ask: what the store cannot answer goes to the teacher, and what comes back is stored.

The teacher is asked online or through the Batch API, over the same plans and store. Ctrl-C and
SIGTERM end it early, without loss.
"""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import asdict, replace
from itertools import chain, islice
from typing import Protocol

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import batch_line, batch_table
from stepdistill.annotator.errors import (
    BatchesLeft,
    FormatRefused,
    Interrupted,
    ParameterRefused,
    RunStopped,
)
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.fleet.register import Register
from stepdistill.annotator.fleet.teacher import FleetTeacher
from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.money.ceiling import ceiling_of
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.money.reservations import check_bodies, reservations_under
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, RequestSource
from stepdistill.annotator.run.first_answers import FirstAnswers
from stepdistill.annotator.run.limit_name import recall_limit_name, with_other_limit_name
from stepdistill.annotator.run.planning import PreparedRun
from stepdistill.annotator.run.run_notes import plans_of
from stepdistill.annotator.run.structured import (
    FormatWatch,
    recall_formats,
    refused_in_batch,
    remember_refusal,
)
from stepdistill.annotator.run.teacher import unsaid_remarks
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.context import BatchContext, BatchReporter
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.credentials import credential_remarks
from stepdistill.annotator.teacher.http.route import route_remarks
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.online.queue import Groups
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec

_GROUP = 256  # requests that are looked up in the store together
_NOTE_EVERY_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Teacher(Protocol):
    """Either teacher: it settles all requests, and `stop` ends it early, without loss."""

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ..."""
        ...

    def stop(self) -> None:
        """Start nothing else."""
        ...


async def ask(
    run: PreparedRun,
    unanswered: Sequence[RequestSource],
    store: ResponseStore,
    console: ConsoleOutput,
    progress: Progress,
    rehearsed: Callable[[list[Plan]], AnswerSource] = rehearse,
) -> None:
    """Settle every request. Raises RunStopped, StoreError, Interrupted; answers are stored.

    rehearsed: who answers where the teacher is the embedded simulator. A teacher that refuses the
    format of structured answers is asked anew without it, and one that refuses the name of the
    limit with the other name.
    """
    plans, cached = [each.plan for each in unanswered], progress.cached
    if run.settings.max_cost_usd is not None:
        check_bodies(plans, run.tariff)
    recall_formats(store, plans)
    first = teacher = recall_limit_name(store, run.teacher)
    while True:
        run = replace(run, teacher=teacher)
        try:
            await _ask(run, unanswered, store, console, progress, rehearsed)
            refused = refused_in_batch(store, plans) if run.settings.batch_api else None
            if refused is None:
                return
            line = remember_refusal(store, plans, refused)
        except FormatRefused as error:
            line = remember_refusal(store, plans, error)
        except ParameterRefused as error:
            teacher, line = with_other_limit_name(store, teacher, first, error)
        console.warn(line)
        progress.cached = cached  # all requests are looked up anew


async def _ask(
    run: PreparedRun,
    unanswered: Sequence[RequestSource],
    store: ResponseStore,
    console: ConsoleOutput,
    progress: Progress,
    rehearsed: Callable[[list[Plan]], AnswerSource],
) -> None:
    if run.first_answers is not None:
        run.first_answers.begin(store)
    progress.total = _n_requests(unanswered, progress.cached)
    settings, plans = run.settings, [each.plan for each in unanswered]
    async with AsyncExitStack() as stack:
        events = stack.enter_context(EventLog(settings.log))
        events.emit("asking", task=settings.task, splits=settings.splits, teacher=settings.teacher)
        simulator_url = None
        if run.teacher.is_embedded:
            answers = rehearsed(plans)
            simulator_url = (await stack.enter_async_context(Simulator(answers))).base_url
        spec = run.teacher.ready_to_ask(simulator_url)
        for line in _remarks(spec, plans, is_batch=settings.batch_api):
            console.warn(line)
        context = await stack.enter_async_context(
            _context(run, spec, store, console, progress, events)
        )

        def missing(progress: Progress) -> Groups:
            return _missing(unanswered, store, settings.max_tokens, progress)

        teacher = await stack.enter_async_context(
            _teacher(run, context, lambda: missing(Progress()))
        )
        await stack.enter_async_context(_shown(teacher, console, progress, run.tariff))
        await stack.enter_async_context(_noted(events, progress))
        if run.first_answers is not None:
            _listen(run.first_answers, context.group_commit, teacher.stop)
        groups = missing(progress)
        await _settle(teacher, groups, progress, run.first_answers, console)


def _remarks(teacher: TeacherSpec, plans: list[Plan], *, is_batch: bool) -> list[str]:
    """What a person should know of who is asked, and how, a line each."""
    each = teacher.each_address
    told = [(*credential_remarks(one), *route_remarks(one)) for one in each]
    lines = [*chain.from_iterable(told), *unsaid_remarks(teacher, plans)]
    if teacher.kept_as is not None:
        lines.append(f"answers are kept under {teacher.endpoint.name}, as earlier ones are")
    if teacher.others and is_batch:
        lines.append(f"batches go to the first --base-url alone: {each[0].address}")
    return list(dict.fromkeys(lines))


@asynccontextmanager
async def _context(
    run: PreparedRun,
    teacher: TeacherSpec,
    store: ResponseStore,
    console: ConsoleOutput,
    progress: Progress,
    events: EventLog,
) -> AsyncGenerator[BatchContext]:
    """What either teacher works with: an online one looks after earlier batches, too."""
    settings = run.settings
    Register(store).recover(console.say)
    ceiling = ceiling_of(settings, store, plans_of(store, settings.task))
    # What is on its way to the disk is lost by a kill, as what is in flight is: no more than that.
    async with GroupCommit(
        store, backlog=teacher.concurrency * (1 + len(teacher.others))
    ) as group_commit:
        with reservations_under(ceiling, teacher, run.tariff, store) as reservations:
            yield BatchContext(
                teacher=teacher,
                store=store,
                group_commit=group_commit,
                progress=progress,
                events=events,
                reservations=reservations,
                run=secrets.token_hex(8),
                task=settings.task,
                settings=settings.batch,
                ledger=Ledger(store),
                report=BatchReporter(events, console.say),
                say=console.say,
                warn=console.warn,
                heard=FormatWatch(say=console.warn).heard,
                answered_before=lambda: progress.cached > 0,
            )


@asynccontextmanager
async def _teacher(
    run: PreparedRun, context: BatchContext, missing: Callable[[], Groups]
) -> AsyncGenerator[Teacher]:
    """The teacher that the settings name. missing: a fresh pass over what the store lacks."""
    if run.settings.batch_api:
        yield BatchTeacher(context)
        return
    async with _online(run, context) as online:
        if context.ledger.open_parts():
            yield _AroundBatches(BatchTeacher(context), online, missing)
        else:
            yield online


def _online(
    run: PreparedRun, context: BatchContext
) -> AbstractAsyncContextManager[OnlineTeacher | FleetTeacher]:
    """Who asks online: this process, or workers of an engine."""
    settings = run.settings
    if settings.engine is None:
        return OnlineTeacher(context)
    from stepdistill.annotator.fleet.ray_engine import RayEngine

    is_here = context.teacher.is_embedded  # the simulated teacher serves this machine alone
    return FleetTeacher(context, RayEngine(settings, context.say, is_here), run.tariff)


class _AroundBatches:
    """Asks online, but nothing that a batch of an earlier run already asks."""

    def __init__(
        self, batches: BatchTeacher, online: Teacher, missing: Callable[[], Groups]
    ) -> None:
        self._batches, self._online, self._missing = batches, online, missing
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        self._batches.stop()
        self._online.stop()

    async def ask_all(self, groups: Groups) -> None:
        await self._batches.make_way(self._missing())
        if not self._stopped:
            await self._online.ask_all(groups)


def _listen(first: FirstAnswers, group_commit: GroupCommit, stop: Callable[[], None]) -> None:
    """Read the first answers as they land, and ask no more where none can be read."""

    def heard(key: bytes, answer: Answer) -> None:
        first.heard(key, answer)
        if first.is_over:
            group_commit.heard = None
        if first.error is not None:
            stop()

    if not first.is_over:
        group_commit.heard = heard


async def _settle(
    teacher: Teacher,
    missing: Groups,
    progress: Progress,
    first: FirstAnswers | None,
    console: ConsoleOutput,
) -> None:
    batches = teacher if isinstance(teacher, BatchTeacher) else None

    def stop() -> None:
        console.say(_stopping(0 if batches else progress.in_flight))
        teacher.stop()

    with _stopped_by_signals(stop) as received:
        try:
            await teacher.ask_all(missing)
            # Where nothing is left to ask the run goes on to its end, which says the same.
            if first and first.error and not received and progress.settled != progress.total:
                raise first.error
        except RunStopped as error:
            left = _left_behind(batches.parts) if batches else ""
            error.args = (f"{error}; {progress.asked} answers were stored by this run{left}",)
            raise
    if received:
        raise Interrupted(
            f"stopped by {received[0].name}: {progress.asked} answers were stored by this run"
            f"{_left_behind(batches.parts) if batches else ''}; the same command goes on from there"
        )
    if batches and batches.waiting:
        raise BatchesLeft(f"{batches.waiting:,} requests are in batches that still run")


def _stopping(in_flight: int) -> str:
    if not in_flight:
        return "stopping: what has come in is being stored; Ctrl-C again leaves at once"
    answers = "1 answer that is" if in_flight == 1 else f"{in_flight:,} answers that are"
    return f"stopping: waiting for {answers} on the way; Ctrl-C again leaves without them"


def _left_behind(parts: list[BatchPart]) -> str:
    n = sum(part.may_be_paid for part in parts if part.is_open)
    return f", {n} batch{'' if n == 1 else 'es'} go on at the teacher's" if n else ""


def _shown(
    teacher: Teacher, console: ConsoleOutput, progress: Progress, tariff: Tariff
) -> AbstractAsyncContextManager[None]:
    """What a person sees meanwhile: of batches their table, else how far the requests are."""
    if isinstance(teacher, BatchTeacher):
        return console.waiting(
            lambda: batch_line(teacher.parts), lambda: batch_table(teacher.parts)
        )
    return console.asking(progress, lambda told: spent_usd(tariff, told))


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
    unanswered: Sequence[RequestSource],
    store: ResponseStore,
    max_tokens: int,
    progress: Progress,
) -> AsyncIterator[list[Request]]:
    """What the store does not have, or cut off below max_tokens, by groups. Between them the loop
    gets to its sockets."""
    requests = chain.from_iterable(each.requests() for each in unanswered)
    while group := list(islice(requests, _GROUP)):
        stored = store.has([each.key for each in group], max_tokens)
        missing = [each for each, is_stored in zip(group, stored, strict=True) if not is_stored]
        progress.cached += len(group) - len(missing)
        yield missing
        await asyncio.sleep(0)


def _n_requests(unanswered: Sequence[RequestSource], settled: int) -> int | None:
    """How many requests this run settles, those that are settled already among them."""
    counts = [each.count() for each in unanswered]
    return None if None in counts else settled + sum(count or 0 for count in counts)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Generator[list[signal.Signals]]:
    """The first signal stops gently, the second at once; yields the signals that came."""
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if received:
            os.write(2, b"annotate: left at once; the same command goes on from what is stored\n")
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
