"""What a teacher works with: who it is, the store and its writer, who is told, what is spent."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from stepdistill.annotator.errors import CeilingReached, TeacherError
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec


class Reservations(Protocol):
    """What can be afforded under a ceiling. `money/reservations.py`, further up, has the one class
    that knows prices, and says what each method does."""

    def reserve(self, request: Request) -> bool: ...
    async def make_room(self, request: Request) -> bool: ...
    def answered(self, request: Request, answer: Answer) -> None: ...
    def failed(self, request: Request, error: TeacherError) -> None: ...
    def fits(self, requests: int, n_bytes: int, longest: int) -> bool: ...
    def hold(self, part: BatchPart) -> bool: ...
    def settle(
        self, part: BatchPart, answers: Iterable[Answer], unheard: int, refused: int = 0
    ) -> None: ...
    def release(self, part: BatchPart) -> None: ...
    def exhausted(self) -> CeilingReached: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AskContext:
    """What one run asks one teacher with."""

    teacher: TeacherSpec
    store: ResponseStore
    group_commit: GroupCommit  # of this store
    progress: Progress  # is told, and never asked
    events: EventLog
    reservations: Reservations | None = None  # None where no ceiling is set
    say: Callable[[str], None] = lambda line: None  # is told what a person may want to know
    warn: Callable[[str], None] = lambda line: None  # is told what a person should know meanwhile
    heard: Callable[[Request, Answer], None] | None = None  # is told every answer as it comes
    # Whether the store has answers to what is asked: so the teacher takes such requests.
    answered_before: Callable[[], bool] = lambda: False
