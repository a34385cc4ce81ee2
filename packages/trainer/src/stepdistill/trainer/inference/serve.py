"""`stepdistill serve MODEL`: the student behind HTTP, its answers as JSON."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.inference.predictor import (
    Line,
    Predictor,
    abstained,
    answer_lines,
    check_explains,
)
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.settings.inference import ServeSettings

# As many batches wait; who comes then waits at the door.
_BATCHES_WAITING = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row that waits."""

    row: AskedRow
    explain: bool  # whether it wants reasons, too
    answer: asyncio.Future[Line]  # where its answer goes


class Batcher:
    """One student and those who wait for it. batch_size: rows at once at most."""

    def __init__(self, predictor: Predictor, batch_size: int) -> None:
        self._predictor, self._batch_size = predictor, batch_size
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
            lines = await asyncio.to_thread(answer_lines, self._predictor, rows, explain=explain)
        except RuntimeError as error:  # torch: out of memory, a device that is lost
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        for each, line in zip(batch, lines, strict=True):
            if not each.answer.done():
                each.answer.set_result(line)


_LONGEST_BODY = 1 << 24  # bytes


class ServeCall(BaseModel):
    """The body of a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: list[dict[str, object]] = Field(min_length=1, max_length=10_000)  # as those of `predict`
    explain: bool = False
    abstain_below: float = 0.0


def serve(settings: ServeSettings) -> None:
    """The command; ends with Ctrl-C or SIGTERM. Raises DistillError."""
    application = PredictHandler(Predictor(settings.model), settings.batch_size).application()
    asyncio.run(_listen(application, settings.host, settings.port))


class PredictHandler:
    """What callers can ask of one student."""

    def __init__(self, predictor: Predictor, batch_size: int) -> None:
        self._predictor, self._batcher = predictor, Batcher(predictor, batch_size)
        self._reader = RowReader(predictor.settings)

    def application(self) -> web.Application:
        """The routes, and the batcher at work behind them."""
        application = web.Application(client_max_size=_LONGEST_BODY)
        application.add_routes([web.get("/", self._about), web.post("/predict", self._predict)])
        application.cleanup_ctx.append(self._working)
        return application

    async def _working(self, _: web.Application) -> AsyncIterator[None]:
        work = asyncio.create_task(self._batcher.work())
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    async def _about(self, _: web.Request) -> web.Response:
        settings = self._predictor.settings
        return _json(
            {
                "task": settings.task,
                "labels": list(settings.label.classes) or None,
                "input": settings.student.input,
                "explains": self._predictor.explains,
            }
        )

    async def _predict(self, request: web.Request) -> web.Response:
        try:
            call = ServeCall.model_validate_json(await request.read())
            rows = self._rows(call)
        except ValidationError as error:
            return _refusal(first_problem(error, "body"))
        except (ConfigError, DatasetError) as error:
            return _refusal(str(error))
        try:
            lines = await self._batcher.answers(rows, explain=call.explain)
        except RuntimeError as error:
            return _refusal(f"the student failed: {str(error).splitlines()[0]}", status=500)
        return _json({"answers": [abstained(line, call.abstain_below) for line in lines]})

    def _rows(self, call: ServeCall) -> list[AskedRow]:
        if call.explain:
            check_explains(self._predictor, "explain")
        return [
            self._reader.asked(row, f"rows[{place}]", str(place))
            for place, row in enumerate(call.rows)
        ]


async def _listen(application: web.Application, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        with refused(f"--port {port}", "listened on"):
            await web.TCPSite(runner, host, port).start()
        bound_port = runner.addresses[0][1]
        sys.stderr.write(f"serving http://{host}:{bound_port}/predict; Ctrl-C ends it\n")
        await stop.wait()
    finally:
        await runner.cleanup()


def _refusal(reason: str, status: int = 400) -> web.Response:
    return _json({"error": reason}, status)


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
