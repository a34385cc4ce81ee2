"""What the batches of a simulator rest on, whatever protocol they are spoken to in."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.batch.calls import CallHandler, IncomingCall
from stepdistill.annotator.simulator.batch.files import FileStore, StoredFile
from stepdistill.annotator.simulator.batch.jobs import (
    BatchJobs,
    BatchOrder,
    SimulatedBatch,
)
from stepdistill.annotator.simulator.batch.rows import ENDPOINT
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.log import RequestLog
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.wire import ErrorReply, RefusedRequest, invalid, read_object

_NOBODY = "-"


class BatchDesk(ABC):
    """Files and batches of one simulator; they live as long as it does. Below it, requests are
    OpenAI's lines: other protocols translate what comes, and what goes."""

    def __init__(
        self,
        *,
        teacher: AnswerSource,
        settings: SimulatedBatchSettings,
        models: frozenset[str],
        log: RequestLog,
        closing: asyncio.Event,
        allow_anonymous: bool,
    ) -> None:
        self._settings = settings
        self._log = log
        self._epoch_s = time.time() - log.now()  # the calendar's time when the clock was at 0
        self._files = FileStore(settings.folder, log.now)
        self._jobs = BatchJobs(
            teacher=teacher, settings=settings, models=models, files=self._files, log=log
        )
        self._calls = CallHandler(
            settings=settings, log=log, closing=closing, allow_anonymous=allow_anonymous
        )

    @abstractmethod
    def routes(self, prefix: str) -> list[web.RouteDef]:
        """What is served below this prefix."""

    async def close(self) -> None:
        """Do everything that is due by now, for the log, and throw the files away."""
        await self._jobs.settle()
        self._files.close()

    def _find_file(self, call: IncomingCall) -> StoredFile:
        file = self._files.find(call.target, call.owner)
        if file is None:
            raise invalid(f"No such File object: {call.target}", "id", status=404)
        return file

    def _find_batch(self, call: IncomingCall) -> SimulatedBatch:
        batch = self._jobs.find(call.target, call.owner)
        if batch is None:
            raise invalid(f"No batch found with id '{call.target}'.", status=404)
        return batch

    def _input(self, file_id: str, owner: str) -> tuple[StoredFile, bool]:
        """A batch's file, and whether it can be found by now; where not, it will fail."""
        file = self._files.find(file_id, owner)
        if file is not None and file.purpose != "batch":
            message = f"Invalid purpose of the input file: '{file.purpose}', expected 'batch'."
            raise invalid(message, "input_file_id")
        found = file is not None and self._log.now() >= file.created_s + self._settings.hidden_s
        if file is None or not (found or self._settings.hidden_fails):
            raise invalid(f"Cannot find file {file_id}.", "input_file_id")
        return file, found

    async def _order(self, order: BatchOrder, call: IncomingCall) -> SimulatedBatch:
        """A batch of an order, if there is room for one more."""
        if wait_s := self._jobs.wait_to_create_s(call.owner):
            message = "Too many batches were created; please try again later."
            error = ErrorReply(429, "requests", message, "rate_limit_exceeded")
            raise RefusedRequest(error, round(wait_s, 3))
        if self._settings.limits.enqueued_refused:
            over = await self._jobs.over_tokens(order, call.owner)
            if over:
                raise RefusedRequest(ErrorReply(429, "requests", over.message, over.code))
        batch = self._jobs.create(order, call.owner, call.key)
        call.target = batch.id
        return batch

    def _translated(
        self, lines: Iterable[Mapping[str, object]], file: StoredFile | None = None
    ) -> StoredFile:
        """Requests as OpenAI's lines, in a file that no call finds. file: that they came in, by
        which the log knows them."""
        writer = self._files.writer()
        for line in lines:
            row = {"method": "POST", "url": ENDPOINT, **line}
            writer.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        made = self._files.keep(
            writer,
            owner=_NOBODY,
            purpose="batch",
            filename="translated.jsonl",
            created_s=self._log.now(),
            kept_s=self._settings.kept_s,
        )
        return replace(made, id=file.id, sha256=file.sha256) if file else made

    def _results(self, batch: SimulatedBatch, call: IncomingCall) -> StoredFile | None:
        """The results of a batch, None where it has none; whoever asks is taken to read them.
        Raises RefusedRequest: they are gone."""
        if batch.output is None:
            return None
        call.target = batch.output.id
        return self._find_file(call)

    def _time(self, at_s: float) -> str:
        """A time of the simulator's clock as RFC 3339 has it."""
        return datetime.fromtimestamp(self._epoch_s + at_s, UTC).isoformat()


def lines_in(file: StoredFile) -> Iterator[dict[str, Any]]:
    """The lines of a file, as objects; raises RefusedRequest."""
    with file.path.open("rb") as content:
        for line in content:
            yield read_object(line)
