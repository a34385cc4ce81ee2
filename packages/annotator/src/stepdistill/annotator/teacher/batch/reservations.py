"""What can be afforded of batches; who knows prices is further up, in `cost`."""

from collections.abc import Iterable
from typing import Protocol

from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.batch.part import BatchPart


class BatchReservations(Protocol):
    """Of a run with a ceiling. What it says of a part is on the disk when it returns."""

    def fits(self, requests: int, n_bytes: int) -> bool:
        """Whether a part of this size is small enough for the ceiling to be used up closely."""
        ...

    def hold(self, part: BatchPart) -> bool:
        """Promise a part its worst case, before it is sent; False where that cannot be."""
        ...

    def settle(self, part: BatchPart, answers: Iterable[Answer], unheard: int) -> None:
        """A part has ended with these answers. unheard: requests that may be billed without one."""
        ...

    def exhausted(self) -> CeilingReached:
        """Why nothing more can be sent."""
        ...

    def release(self, part: BatchPart) -> None:
        """A part was given back unasked."""
        ...
