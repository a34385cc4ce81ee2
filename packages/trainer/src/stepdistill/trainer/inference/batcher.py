"""Where the rows of all callers wait for the student, who takes as many at once as there are.

No clock makes a row wait for others: while one batch is answered, the next one gathers.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from stepdistill.trainer.inference.answering import Line, answer_lines
from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.rows import AskedRow

# As many batches wait; who comes then waits at the door.
_BATCHES_WAITING = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row, whether it wants reasons, and where its answer goes."""

    row: AskedRow
    explain: bool
    answer: asyncio.Future[Line]


class Batcher:
    """One student and those who wait for it. batch_size: rows at once at most."""

    def __init__(self, pupil: Predictor, batch_size: int) -> None:
        self._pupil, self._batch_size = pupil, batch_size
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue(batch_size * _BATCHES_WAITING)

    async def answers(self, rows: Sequence[AskedRow], *, explain: bool) -> list[Line]:
        """The lines of these rows, in their order."""
        loop = asyncio.get_running_loop()
        wanted = [Waiting(row=r, explain=explain, answer=loop.create_future()) for r in rows]
        for each in wanted:
            await self._waiting.put(each)
        return await asyncio.gather(*(each.answer for each in wanted))

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
            lines = await asyncio.to_thread(answer_lines, self._pupil, rows, explain=explain)
        except RuntimeError as error:  # torch: out of memory, a device that is lost
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        for each, line in zip(batch, lines, strict=True):
            if not each.answer.done():
                each.answer.set_result(line)
