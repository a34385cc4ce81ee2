"""Whom a run asks: the online teacher or the batch teacher, over the same plans and store."""

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from stepdistill.annotator.events import EventLog
from stepdistill.annotator.money.reservations import Reservations, paying
from stepdistill.annotator.plan.key import without_secrets
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.run.planning import uses_simulator
from stepdistill.annotator.settings.batch import BatchSettings
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.teacher.batch.collect import BatchContext
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part_files import Addressee
from stepdistill.annotator.teacher.http.transport import open_transport
from stepdistill.annotator.teacher.online.engine import OnlineTeacher
from stepdistill.annotator.teacher.online.queue import Groups
from stepdistill.annotator.teacher.spec import TeacherSpec

Requests = Callable[[], Groups]


class Teacher(Protocol):
    """Settles all requests; `stop` ends it early, without loss."""

    async def ask_all(self, groups: Groups) -> None:
        """Ask each request and store what comes of it. Raises RunStopped, StoreError, ..."""
        ...

    def stop(self) -> None:
        """Start nothing else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a run asks with. missing: a fresh pass over the requests that the store lacks."""

    config: RunSettings
    plan: Plan
    door: TeacherSpec
    desk: BatchContext
    events: EventLog
    missing: Requests
    purse: Reservations | None = None


@asynccontextmanager
async def the_teacher(asking: Asking) -> AsyncGenerator[Teacher]:
    """The teacher that the settings name, ready to be asked."""
    ledger = Ledger(asking.desk.store)
    if asking.config.batch_api:
        yield _batch_teacher(asking, ledger, asking.config.batch)
        return
    async with _online_teacher(asking) as online:
        if ledger.open_parts():
            batches = _batch_teacher(asking, ledger, BatchSettings())
            yield _AroundBatches(batches, online, asking.missing)
        else:
            yield online


def _online_teacher(asking: Asking) -> OnlineTeacher:
    desk, purse = asking.desk, asking.purse
    return OnlineTeacher(
        asking.door,
        desk.committer,
        desk.progress,
        events=asking.events,
        transport=open_transport if purse is None else paying(purse, open_transport),
        purse=purse,
    )


def _batch_teacher(asking: Asking, ledger: Ledger, settings: BatchSettings) -> BatchTeacher:
    plan, door = asking.plan, asking.door
    to = Addressee(
        run=secrets.token_hex(8),
        task=asking.config.task,
        model=plan.model,
        endpoint=plan.endpoint.name + plan.endpoint.path,
        base_url=without_secrets(door.base_url),
        limit=door.max_tokens,
        limit_name=door.limit_name,
        is_passing=uses_simulator(asking.config),
    )
    return BatchTeacher(door, to, settings, ledger, asking.desk, lambda: _online_teacher(asking))


class _AroundBatches:
    """Asks online, but nothing that a batch of an earlier run already asks."""

    def __init__(self, batches: BatchTeacher, online: OnlineTeacher, missing: Requests) -> None:
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
