"""What the batch teacher works with: the run, its ledger, who is told, how long failures last."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from stepdistill.annotator.errors import TeacherDown, Transient
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.settings.teacher import BatchSettings
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.context import AskContext
from stepdistill.annotator.teacher.online.retry import RetryPolicy

# Networks fail at night, laptops sleep: no part is lost by waiting.
_LONGEST_SILENCE_S = 6 * 3600.0
_T = TypeVar("_T")


class BatchReporter:
    """The reporter of what happens to batches, once each: in the log, and by `say` to people."""

    def __init__(self, events: EventLog, say: Callable[[str], None]) -> None:
        self._events, self._say = events, say
        self._lasting: set[str] = set()  # oddities that were told and are not over

    def event(self, state: str, part: BatchPart, **fields: object) -> None:
        """A part has come further."""
        self._events.emit("batch", state=state, part=part.number, requests=part.requests, **fields)

    def tell(self, line: str) -> None:
        """A line on what was reached."""
        self._events.emit("batch_note", message=line)
        self._say(line)

    def oddity(self, what: str, line: str) -> None:
        """Something that ought not to be, and what was made of it. what: its name in the log."""
        self._events.emit("batch_oddity", what=what, message=line)
        self._say(line)

    def once(self, what: str, line: str) -> None:
        """An oddity that lasts: told when it begins."""
        if what not in self._lasting:
            self._lasting.add(what)
            self.oddity(what, line)

    def over(self, what: str) -> None:
        """It has passed; the next time it is told anew."""
        self._lasting.discard(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext(AskContext):
    """What one run asks in batches with."""

    run: str  # a name of its own, for what it puts on the server
    task: str
    settings: BatchSettings
    ledger: Ledger  # of the context's store
    report: BatchReporter


class Persistence:
    """The bounds on how long a teacher may fail to reply, while a run waits for its batches."""

    def __init__(self, report: BatchReporter) -> None:
        self._report, self._retry = report, RetryPolicy()
        # Of the monotonic clock: while a machine sleeps, no time passes.
        self._silent_since_s: float | None = None

    async def insist(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do it now, with a few tries. Raises TeacherDown when they are used up."""
        attempt, waited_s = 1, 0.0
        while True:
            try:
                return await work()
            except Transient as error:
                wait_s = self._retry.wait_s(attempt, waited_s, error)
                if wait_s is None:
                    raise _down(error) from None
                self._report.once("retry", f"trying again: {error}")
                attempt, waited_s = attempt + 1, waited_s + wait_s
                await asyncio.sleep(wait_s)

    def heard(self) -> None:
        """The teacher has answered."""
        self._silent_since_s = None
        self._report.over("silence")

    def failed(self, error: Transient) -> None:
        """It has not: say so once, and go on for hours. Raises TeacherDown in the end."""
        now_s = time.monotonic()
        self._silent_since_s = self._silent_since_s or now_s
        if now_s - self._silent_since_s > _LONGEST_SILENCE_S:
            raise _down(error)
        self._report.once("silence", f"the teacher falters, trying on: {error}")


def _down(error: Transient) -> TeacherDown:
    return TeacherDown(f"the teacher keeps failing ({error}): run this again later")
