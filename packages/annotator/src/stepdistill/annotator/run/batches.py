"""Batches without a run: the teachers that they are at, looked up in the ledger, and asked."""

from collections.abc import Awaitable, Callable
from itertools import groupby

from stepdistill.annotator.console.screen import Screen
from stepdistill.annotator.errors import NotFound
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.run.planning import api_key
from stepdistill.annotator.settings.run import OPENAI_BASE_URL, BatchSettings
from stepdistill.annotator.store.group_commit import Committer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.api import BatchApi
from stepdistill.annotator.teacher.batch.collect import Desk
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import Part
from stepdistill.annotator.teacher.batch.part_files import Addressee
from stepdistill.annotator.teacher.batch.report import Reporter
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import Door
from stepdistill.common.errors import ConfigError

_TIMEOUT_S = 120.0
Act = Callable[[BatchTeacher, list[Part]], Awaitable[None]]


async def look_at(parts: list[Part], base_url: str | None, screen: Screen) -> list[Part]:
    """The parts as the teacher sees them now; the ledger stays as it is. Raises TeacherError."""
    seen: list[Part] = []
    for at_one in _by_teacher(parts):
        async with BatchApi(_door(at_one[-1], base_url)) as api:
            seen += [await _look(api, part, screen) for part in at_one]
    return seen


async def with_each_teacher(
    store: ResponseStore, parts: list[Part], base_url: str | None, screen: Screen, act: Act
) -> None:
    """Do something with each teacher that these parts are at. Raises TeacherError, StoreError."""
    async with Committer(store) as committer:
        report = Reporter(EventLog(None), screen.say)
        desk = Desk(store=store, committer=committer, progress=Progress(), report=report)
        for at_one in _by_teacher(parts):
            await act(_teacher(_door(at_one[-1], base_url), at_one[-1], desk), at_one)


async def _look(api: BatchApi, part: Part, screen: Screen) -> Part:
    if part.batch_id is None:
        return part
    try:
        return part.seen(await api.batch(part.batch_id), part.history[-1].at)
    except NotFound:
        screen.say(f"this key does not see {part.batch_id} at {part.base_url}")
        return part


def _by_teacher(parts: list[Part]) -> list[list[Part]]:
    """One server may have had several addresses: the last is the one to go to."""

    def teacher(part: Part) -> tuple[str, str]:
        return part.endpoint, part.model

    return [list(group) for _, group in groupby(sorted(parts, key=teacher), key=teacher)]


def _teacher(door: Door, part: Part, desk: Desk) -> BatchTeacher:
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


def _door(part: Part, base_url: str | None) -> Door:
    key = api_key()
    url = (base_url or part.base_url).rstrip("/")
    if url == OPENAI_BASE_URL and not key:
        raise ConfigError("no teacher can be reached: set OPENAI_API_KEY (environment or .env)")
    if base_url is not None:
        said = endpoint_of(base_url)
        if said.name + said.path != part.endpoint:
            raise ConfigError(f"--base-url {base_url}: part {part.number} is at {part.endpoint}")
    return Door(
        base_url=url,
        key=key,
        concurrency=1,
        timeout_s=_TIMEOUT_S,
        max_tokens=part.limit,
        limit_name="max_tokens",
    )
