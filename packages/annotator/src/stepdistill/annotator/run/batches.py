"""Batches without a run: the teachers that they are at, looked up in the ledger, and asked."""

from collections.abc import Awaitable, Callable
from itertools import groupby

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import NotFound
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.run.planning import api_key
from stepdistill.annotator.settings.batch import BatchSettings
from stepdistill.annotator.settings.teacher import OPENAI_BASE_URL
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.api import BatchApi
from stepdistill.annotator.teacher.batch.collect import BatchContext
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import Addressee
from stepdistill.annotator.teacher.batch.report import BatchReporter
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import ConfigError

_TIMEOUT_S = 120.0
Act = Callable[[BatchTeacher, list[BatchPart]], Awaitable[None]]


async def look_at(
    parts: list[BatchPart], base_url: str | None, screen: ConsoleOutput
) -> list[BatchPart]:
    """The parts as the teacher sees them now; the ledger stays as it is. Raises TeacherError."""
    seen: list[BatchPart] = []
    for at_one in _by_teacher(parts):
        async with BatchApi(_door(at_one[-1], base_url)) as api:
            seen += [await _look(api, part, screen) for part in at_one]
    return seen


async def with_each_teacher(
    store: ResponseStore,
    parts: list[BatchPart],
    base_url: str | None,
    screen: ConsoleOutput,
    act: Act,
) -> None:
    """Do something with each teacher that these parts are at. Raises TeacherError, StoreError."""
    async with GroupCommit(store) as committer:
        report = BatchReporter(EventLog(None), screen.say)
        desk = BatchContext(store=store, committer=committer, progress=Progress(), report=report)
        for at_one in _by_teacher(parts):
            await act(_teacher(_door(at_one[-1], base_url), at_one[-1], desk), at_one)


async def _look(api: BatchApi, part: BatchPart, screen: ConsoleOutput) -> BatchPart:
    if part.batch_id is None:
        return part
    try:
        return part.seen(await api.batch(part.batch_id), part.history[-1].at)
    except NotFound:
        screen.say(f"this key does not see {part.batch_id} at {part.base_url}")
        return part


def _by_teacher(parts: list[BatchPart]) -> list[list[BatchPart]]:
    """One server may have had several addresses: the last is the one to go to."""

    def teacher(part: BatchPart) -> tuple[str, str]:
        return part.endpoint, part.model

    return [list(group) for _, group in groupby(sorted(parts, key=teacher), key=teacher)]


def _teacher(door: TeacherSpec, part: BatchPart, desk: BatchContext) -> BatchTeacher:
    to = Addressee(
        run=part.run,
        task=part.task,
        model=part.model,
        endpoint=part.endpoint,
        base_url=part.base_url,
        limit=part.limit,
        limit_name=door.limit_name,
    )
    ledger = Ledger(desk.store)

    def online() -> OnlineTeacher:
        return OnlineTeacher(door, desk.committer, desk.progress)

    return BatchTeacher(door, to, BatchSettings(), ledger, desk, online)


def _door(part: BatchPart, base_url: str | None) -> TeacherSpec:
    key = api_key()
    url = (base_url or part.base_url).rstrip("/")
    if url == OPENAI_BASE_URL and not key:
        raise ConfigError("no teacher can be reached: set OPENAI_API_KEY (environment or .env)")
    if base_url is not None:
        said = endpoint_of(base_url)
        if said.name + said.path != part.endpoint:
            raise ConfigError(f"--base-url {base_url}: part {part.number} is at {part.endpoint}")
    return TeacherSpec(
        base_url=url,
        key=key,
        concurrency=1,
        timeout_s=_TIMEOUT_S,
        max_tokens=part.limit,
        limit_name="max_tokens",
    )
