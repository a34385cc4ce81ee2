"""The student and those who wait for it: rows of many callers, answered a batch at a time."""

import asyncio
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stepdistill.trainer.errors import first_line
from stepdistill.trainer.inference.predictor import Line, Predictor, answer_lines
from stepdistill.trainer.inference.rows import AskedRow

# As many batches wait; who comes then waits at the door.
_BATCHES_WAITING = 64


class RowFailed(Exception):
    """The student failed at a row; the others have their answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row that waits."""

    row: AskedRow
    explain: bool  # whether it wants reasons, too
    answer: asyncio.Future[Line]  # where its answer goes


class Batcher:
    """batch_size: rows at once at most. temperature: of the student's confidence, where it has
    one (`answer_lines`)."""

    def __init__(
        self, predictor: Predictor, batch_size: int, temperature: float | None = None
    ) -> None:
        self._predictor, self._batch_size = predictor, batch_size
        self._temperature = temperature
        # Its own, or it would wait until others' rows are read.
        self._thread = ThreadPoolExecutor(1, "student")
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue(batch_size * _BATCHES_WAITING)

    @property
    def waiting(self) -> int:
        """Rows that nobody has begun with."""
        return self._waiting.qsize()

    async def answers(self, rows: Sequence[AskedRow], *, explain: bool) -> list[Line]:
        """The lines of these rows, in their order. Raises RowFailed."""
        loop = asyncio.get_running_loop()
        wanted = [Waiting(row=r, explain=explain, answer=loop.create_future()) for r in rows]
        try:
            for each in wanted:
                await self._waiting.put(each)
            return await asyncio.gather(*(each.answer for each in wanted))
        finally:
            for each in wanted:  # of a caller who left, or of one whose row failed
                each.answer.cancel()

    async def work(self) -> None:
        """Answer what waits, batch after batch, until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self._batch_size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            # A caller who left has cancelled what waited.
            kept = [each for each in batch if not each.answer.done()]
            for explain in (False, True):
                await self._answer([each for each in kept if each.explain is explain], explain)

    async def _answer(self, batch: Sequence[Waiting], explain: bool) -> None:
        if not batch:
            return
        rows = [each.row for each in batch]
        try:
            ask = functools.partial(
                answer_lines, self._predictor, rows, explain=explain, temperature=self._temperature
            )
            lines = await asyncio.get_running_loop().run_in_executor(self._thread, ask)
        except Exception as error:  # noqa: BLE001  # a row may be odd in ways that nobody thought of
            await self._one_by_one(batch, explain, error)
            return
        for each, line in zip(batch, lines, strict=True):
            if not each.answer.done():
                each.answer.set_result(line)

    async def _one_by_one(self, batch: Sequence[Waiting], explain: bool, error: Exception) -> None:
        """What fails together is asked alone: the fault is one row's, or out of memory."""
        if len(batch) > 1:
            for each in batch:
                await self._answer([each], explain)
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(RowFailed(first_line(error)))
