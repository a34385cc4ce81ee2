"""How long a teacher may be silent: networks fail at night, laptops sleep, nothing is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stepdistill.annotator.errors import TeacherDown, Transient
from stepdistill.annotator.teacher.batch.report import BatchReporter
from stepdistill.annotator.teacher.online.retry import RetryPolicy

_LONGEST_SILENCE_S = 6 * 3600.0
_T = TypeVar("_T")


class Persistence:
    """clock: seconds, monotonic: while a machine sleeps, no time passes."""

    def __init__(
        self,
        report: BatchReporter,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._retry, self._clock = report, retry or RetryPolicy(), clock
        self._silent_since: float | None = None

    async def insist(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do it now, with a few tries. Raises TeacherDown when they are used up."""
        attempt, waited_s = 1, 0.0
        while True:
            try:
                return await work()
            except Transient as error:
                wait_s = self._retry.wait_s(attempt, waited_s, error)
                if wait_s is None:
                    raise TeacherDown(
                        f"the teacher keeps failing ({error}): run this again later"
                    ) from None
                self._report.once("retry", f"trying again: {error}")
                attempt, waited_s = attempt + 1, waited_s + wait_s
                await asyncio.sleep(wait_s)

    def heard(self) -> None:
        """The teacher has answered."""
        self._silent_since = None
        self._report.over("silence")

    def failed(self, error: Transient) -> None:
        """It has not: say so once, and go on for hours. Raises TeacherDown in the end."""
        self._silent_since = self._silent_since or self._clock()
        if self._clock() - self._silent_since > _LONGEST_SILENCE_S:
            raise TeacherDown(f"the teacher keeps failing ({error}): run this again later")
        self._report.once("silence", f"the teacher falters, trying on: {error}")
