"""The Files and Batches endpoints put together: shelf, desk and door behind one router."""

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from stepdistill.annotator.simulator.batch.books import BatchBooks
from stepdistill.annotator.simulator.batch.calls import BatchCalls
from stepdistill.annotator.simulator.batch.desk import BatchJobs
from stepdistill.annotator.simulator.batch.door import BatchRoutes
from stepdistill.annotator.simulator.batch.file_calls import FileCalls
from stepdistill.annotator.simulator.batch.file_shelf import FileStore
from stepdistill.annotator.simulator.batch.plan import SimulatedBatchSettings
from stepdistill.annotator.simulator.reply import AnswerSource


class SimulatedBatchApi:
    """Files and batches of one simulator; they live as long as it does."""

    def __init__(
        self,
        *,
        teacher: AnswerSource,
        settings: SimulatedBatchSettings,
        models: frozenset[str],
        books: BatchBooks,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._books = books
        self._clock = clock
        self._shelf = FileStore(settings.folder, clock)
        self._epoch_s = time.time() - clock()
        self._desk = BatchJobs(
            teacher=teacher,
            settings=settings,
            models=models,
            shelf=self._shelf,
            books=books,
            clock=clock,
        )

    def add_routes(
        self,
        router: web.UrlDispatcher,
        prefix: str,
        *,
        closing: asyncio.Event,
        allow_anonymous: bool,
    ) -> None:
        """Serve `files` and `batches` below this prefix."""
        door = BatchRoutes(
            settings=self._settings,
            books=self._books,
            clock=self._clock,
            closing=closing,
            allow_anonymous=allow_anonymous,
        )
        files = FileCalls(
            settings=self._settings,
            shelf=self._shelf,
            books=self._books,
            clock=self._clock,
            unix=self._unix,
        )
        batches = BatchCalls(
            settings=self._settings,
            shelf=self._shelf,
            desk=self._desk,
            clock=self._clock,
            unix=self._unix,
        )
        files.add_routes(router, prefix, door)
        batches.add_routes(router, prefix, door)

    async def settle(self) -> None:
        """Do everything that is due by now, for the books."""
        await self._desk.settle()

    def close(self) -> None:
        """Throw the files away."""
        self._shelf.close()

    def _unix(self, at: float) -> int:
        """Seconds of the simulator's clock as those of the calendar."""
        return int(self._epoch_s + at)
