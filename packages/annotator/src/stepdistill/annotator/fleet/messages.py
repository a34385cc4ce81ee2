"""What a run and its workers tell each other: what a worker is made of, and what each call carries.

Every call is the run's, and every reply the worker's. A worker keeps what it has to say until the
next call says that it has arrived: so either may die between any two of them.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Protocol

from stepdistill.annotator.errors import RunStopped
from stepdistill.annotator.money.prices import ZERO, Tariff
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec

Outcome = tuple[bytes, Answer | Failure]  # of the request with this key


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """What a worker is made of."""

    name: str  # no other worker of any run has it
    teacher: TeacherSpec  # as this worker may ask it: with its part of --concurrency
    tariff: Tariff | None  # None where no ceiling is set
    local_store: Path  # the folder for its own, where it works on the machine of the run's store
    answered_before: bool  # whether the teacher has answered such requests
    environment: Mapping[str, str]  # certificates and proxies of the run's own environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where a worker is at work."""

    name: str  # the worker's
    machine: str  # as the engine names it
    host: str  # the same for people
    store: Path  # the folder of its own store, there


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the run tells a worker. Each of these holds until the next call, however often it is
    said: a call that is lost does no harm."""

    requests: list[Request] = field(default_factory=list[Request])  # to ask beside the others
    share: float  # 0..1, of all limits
    ceiling_usd: Decimal | None  # all that it may spend, from its start on
    arrived: int  # outcomes that are on the run's disk, from its start on
    stops: bool = False  # start nothing else


class LeaseUse(NamedTuple):
    """A worker's money, in USD, from its start on."""

    paid_usd: Decimal = ZERO
    lost_usd: Decimal = ZERO
    ceiling_usd: Decimal = ZERO  # as it holds it: it never gives back what it has promised
    reserved_usd: Decimal = ZERO  # promised to requests in flight
    wanted_usd: Decimal = ZERO  # what the next request may cost, where that is not there


Found = list[tuple[bytes, Answer]] | LeaseUse
"""Of a worker that is gone: answers, and last of all what it has spent."""


class PackedError(NamedTuple):
    """An error on its way: those with arguments of their own do not unpickle by themselves."""

    kind: type[BaseException]
    words: tuple[object, ...]
    fields: dict[str, object]

    @classmethod
    def of(cls, error: BaseException) -> "PackedError":
        """Of any error."""
        return cls(type(error), error.args, dict(vars(error)))

    def unpacked(self) -> BaseException:
        """The same error."""
        error = self.kind.__new__(self.kind)
        error.args = self.words
        vars(error).update(self.fields)
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a worker tells the run."""

    outcomes: list[Outcome]  # that have not arrived, the oldest first
    events: list[tuple[str, dict[str, object]]]  # for the log, since the last reply
    warnings: list[str]  # likewise
    progress: Progress  # its own
    spent: LeaseUse | None  # None where no ceiling is set
    is_done: bool  # nothing is in flight, nor waits to be asked or told
    error: PackedError | None  # why it asks no more


class WorkerLost(RunStopped):
    """A worker is gone, with whatever it had not told."""

    exit_code = 3


class Hand(Protocol):
    """A worker as the run reaches it."""

    place: Workplace

    async def call(self, call: Call) -> Reply:
        """Tell it something, and hear what it has to say: soon, or when there is enough. Raises
        WorkerLost: it is gone."""
        ...

    async def end(self) -> None:
        """Let it close its store, and go; whether it can be reached or not."""
        ...


class WorkerEngine(Protocol):
    """What starts workers, and reaches into their machines."""

    n_workers: int

    async def start(self, spec: WorkerSpec) -> Hand:
        """Start a worker. Raises WorkerLost: it cannot be; ConfigError: its machine has another
        version of this program."""
        ...

    def fetch(self, place: Workplace, keys: Collection[bytes] | None) -> AsyncIterator[Found]:
        """What the store of a worker that is gone holds. keys: of these requests alone. Raises
        WorkerLost: nobody gets at it."""
        ...

    async def close(self) -> None:
        """Let go of what it holds; workers that are left are ended."""
        ...
