"""Open batches without a run: the teachers that they are at, looked up in the ledger, are asked."""

from collections.abc import Awaitable, Callable
from itertools import groupby

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import NotFound
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.settings.teacher import BatchSettings, Secrets
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.api import BatchApi
from stepdistill.annotator.teacher.batch.context import BatchContext, BatchReporter
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import ConfigError

Act = Callable[[BatchTeacher, list[BatchPart]], Awaitable[None]]


async def look_at(
    parts: list[BatchPart], base_url: str | None, console: ConsoleOutput
) -> list[BatchPart]:
    """The parts as the teacher sees them now; the ledger stays as it is. Raises TeacherError."""
    seen: list[BatchPart] = []
    for at_one in _by_teacher(parts):
        async with BatchApi(_teacher_of(at_one[-1], base_url)) as api:
            seen += [await _look(api, part, console) for part in at_one]
    return seen


async def with_each_teacher(
    store: ResponseStore,
    parts: list[BatchPart],
    base_url: str | None,
    console: ConsoleOutput,
    act: Act,
) -> None:
    """Do something with each teacher that these parts are at. Raises TeacherError, StoreError."""
    events = EventLog(None)
    async with GroupCommit(store) as group_commit:
        for at_one in _by_teacher(parts):
            last = at_one[-1]
            context = BatchContext(
                teacher=_teacher_of(last, base_url),
                store=store,
                group_commit=group_commit,
                progress=Progress(),
                events=events,
                run=last.run,
                task=last.task,
                settings=BatchSettings(),
                ledger=Ledger(store),
                report=BatchReporter(events, console.say),
            )
            await act(BatchTeacher(context), at_one)


async def _look(api: BatchApi, part: BatchPart, console: ConsoleOutput) -> BatchPart:
    if part.batch_id is None:
        return part
    try:
        return part.seen(await api.batch(part.batch_id), part.history[-1].at)
    except NotFound:
        console.say(f"this key does not see {part.batch_id} at {part.base_url}")
        return part


def _by_teacher(parts: list[BatchPart]) -> list[list[BatchPart]]:
    """One server may have had several addresses: the last is the one to go to."""

    def teacher(part: BatchPart) -> tuple[str, str]:
        return part.endpoint, part.model

    return [list(group) for _, group in groupby(sorted(parts, key=teacher), key=teacher)]


def _teacher_of(part: BatchPart, base_url: str | None) -> TeacherSpec:
    """The teacher that a part is at. Raises ConfigError: no key, or another address."""
    teacher = TeacherSpec(
        model=part.model,
        base_url=(base_url or part.base_url).rstrip("/"),
        api_key=Secrets().openai_api_key,
        max_tokens=part.limit,
    )
    if base_url is not None and teacher.endpoint_name != part.endpoint:
        raise ConfigError(f"--base-url {base_url}: part {part.number} is at {part.endpoint}")
    return teacher.ready_to_ask()
