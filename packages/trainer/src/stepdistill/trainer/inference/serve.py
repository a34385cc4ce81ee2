"""`stepdistill serve MODEL`: the student behind HTTP, its answers as JSON."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.trainer.inference.answering import abstained, can_explain, check_explains
from stepdistill.trainer.inference.batcher import Batcher
from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.rows import AskedRow, row_of
from stepdistill.trainer.settings.inference import ServeSettings

_LONGEST_BODY = 1 << 24


class ServeCall(BaseModel):
    """The body of a call. rows: as the lines of `predict`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: list[dict[str, object]] = Field(min_length=1, max_length=10_000)
    explain: bool = False
    abstain_below: float = 0.0


def serve(settings: ServeSettings) -> None:
    """The command; ends with Ctrl-C or SIGTERM. Raises DistillError."""
    application = PredictHandler(Predictor(settings.model), settings.batch_size).application()
    asyncio.run(_listen(application, settings.host, settings.port))


class PredictHandler:
    """What callers can ask of one student."""

    def __init__(self, pupil: Predictor, batch_size: int) -> None:
        self._pupil, self._desk = pupil, Batcher(pupil, batch_size)

    def application(self) -> web.Application:
        """The routes, and the desk at work behind them."""
        application = web.Application(client_max_size=_LONGEST_BODY)
        application.add_routes([web.get("/", self._about), web.post("/predict", self._predict)])
        application.cleanup_ctx.append(self._working)
        return application

    async def _working(self, _: web.Application) -> AsyncIterator[None]:
        work = asyncio.create_task(self._desk.work())
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    async def _about(self, _: web.Request) -> web.Response:
        use = self._pupil.use
        return _json(
            {
                "task": use.task,
                "labels": list(use.label.classes) or None,
                "input": use.student.input,
                "explains": can_explain(self._pupil),
            }
        )

    async def _predict(self, request: web.Request) -> web.Response:
        try:
            call = ServeCall.model_validate_json(await request.read())
            rows = self._rows(call)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            return _refusal(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
        except (ConfigError, DatasetError) as error:
            return _refusal(str(error))
        try:
            lines = await self._desk.answers(rows, explain=call.explain)
        except RuntimeError as error:
            return _refusal(f"the student failed: {str(error).splitlines()[0]}", status=500)
        return _json({"answers": [abstained(line, call.abstain_below) for line in lines]})

    def _rows(self, call: ServeCall) -> list[AskedRow]:
        if call.explain:
            check_explains(self._pupil, "explain")
        return [
            row_of(row, f"rows[{place}]", str(place), self._pupil.use)
            for place, row in enumerate(call.rows)
        ]


async def _listen(application: web.Application, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigError(f"--port {port}: cannot be listened on ({error.strerror})") from None
        heard = runner.addresses[0][1]
        sys.stderr.write(f"serving http://{host}:{heard}/predict; Ctrl-C ends it\n")
        await stop.wait()
    finally:
        await runner.cleanup()


def _refusal(reason: str, status: int = 400) -> web.Response:
    return _json({"error": reason}, status)


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
