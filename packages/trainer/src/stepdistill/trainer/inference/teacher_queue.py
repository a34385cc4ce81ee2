"""`serve --defer`: rows of many callers, put to the teacher some at a time.

A start of `annotate run` takes a second, so all rows that wait are asked about together, by one
process at a time; those that come meanwhile are the next. A caller waits for the one under way and
for its own, no longer than a limit, and then has the student's answer. What the teacher says later
is in the store all the same, and the row is answered from there when it comes again.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from stepdistill.common.errors import DistillError
from stepdistill.common.terminal import one_line
from stepdistill.trainer.errors import first_line, refused
from stepdistill.trainer.inference.teacher_run import (
    ROWS_NAME,
    Fields,
    TeacherAnswer,
    TeacherAnswers,
    TeacherRun,
)

_AT_ONCE = 512  # rows of one start
_MOST_WAITING = 4_096
_PAUSE_S = 2.0  # after a start that failed: its cause is seldom gone at once
LATE, BUSY = "late", "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    fields: Fields
    answer: asyncio.Future[TeacherAnswer]


class TeacherQueue:
    """folder: where rows that were put to the teacher are kept, each once. timeout_s: the longest
    that a caller waits."""

    def __init__(self, run: TeacherRun, folder: Path, timeout_s: float) -> None:
        """Raises ConfigError: the folder cannot be written to."""
        self.run, self.path, self._timeout_s = run, folder / ROWS_NAME, timeout_s
        self.usd: float | None = 0.0  # of all answers that were given; None: not known
        self.failure: str | None = None  # why the last start failed; None: it went well
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(_MOST_WAITING)
        self._known = set[int]()  # hashes of rows that are kept already
        with refused(f"--deferred-to {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                file.seek(0)
                self._known.update(hash(line) for line in file)

    @property
    def waiting(self) -> int:
        """Rows that nobody has begun with."""
        return self._waiting.qsize()

    def command(self) -> list[str]:
        """The words by which all rows that are kept become shards to learn from."""
        return self.run.command(self.path, "deferred", self.path.parent / "shards")

    async def answers(self, rows: Sequence[Fields]) -> list[TeacherAnswer]:
        """What the teacher says of these, in their order; of some nothing, and why."""
        if self.waiting + len(rows) > _MOST_WAITING:
            return [TeacherAnswer(label=None, why=BUSY)] * len(rows)
        loop = asyncio.get_running_loop()
        wanted = [_Waiting(fields=fields, answer=loop.create_future()) for fields in rows]
        for each in wanted:
            self._waiting.put_nowait(each)
        try:
            await asyncio.wait([each.answer for each in wanted], timeout=self._timeout_s)
            late = TeacherAnswer(label=None, why=LATE)
            return [each.answer.result() if each.answer.done() else late for each in wanted]
        finally:
            for each in wanted:
                each.answer.cancel()

    async def work(self) -> None:
        """Ask for what waits, until cancelled."""
        with tempfile.TemporaryDirectory(prefix="stepdistill-") as folder:
            while True:
                batch = [await self._waiting.get()]
                while len(batch) < _AT_ONCE and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                # Whoever left, or was late before it was begun, wants no answer any more.
                batch = [each for each in batch if not each.answer.done()]
                if batch:
                    await self._ask(batch, Path(folder) / "batch")

    async def _ask(self, batch: Sequence[_Waiting], folder: Path) -> None:
        rows = [each.fields for each in batch]
        try:
            self._keep(rows)
            found = await self.run.ask_beside(rows, folder)
            shutil.rmtree(folder)
        except (DistillError, OSError) as error:
            self._fail(first_line(error))
            found = None
        answers = (
            found.answers if found else [TeacherAnswer(label=None, why="no_answer")] * len(rows)
        )
        for each, answer in zip(batch, answers, strict=True):
            if not each.answer.done():
                each.answer.set_result(answer)
        if found is not None:
            self._count(found)
        if self.failure is not None:
            await asyncio.sleep(_PAUSE_S)

    def _count(self, found: TeacherAnswers) -> None:
        spent, before = found.spent_usd, self.usd
        self.usd = None if spent is None or before is None else before + spent
        if found.failure is None or not found.is_incomplete:
            self.failure = None
        else:
            self._fail(str(found.failure))

    def _fail(self, why: str) -> None:
        if why != self.failure:  # once, and not for every row
            sys.stderr.write(f"the teacher was not asked for all: {one_line(why)}\n")
            sys.stderr.flush()
        self.failure = why

    def _keep(self, rows: Sequence[Fields]) -> None:
        """Add what is new to the rows that may be learnt from."""
        lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows]
        new = [line for line in dict.fromkeys(lines) if hash(line) not in self._known]
        self._known.update(map(hash, new))
        with self.path.open("ab") as file:
            file.write(b"".join(new))
