"""`stepdistill serve MODEL`: the student behind HTTP, its answers as JSON."""

import asyncio
import contextlib
import logging
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.common.page import rendered
from stepdistill.trainer.errors import TrainingError, first_problem, refused
from stepdistill.trainer.inference.batcher import Batcher, RowFailed
from stepdistill.trainer.inference.predictor import Predictor, abstained, check_explains
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.inference.served_cascade import ServedCascade
from stepdistill.trainer.inference.teacher_run import Fields
from stepdistill.trainer.settings.cascade import DeferringServeSettings

_LONGEST_BODY = 1 << 24  # bytes
# Seconds: for a whole body, for a connection without a whole request, at the end; between looks.
_BODY_S, _IDLE_S, _LAST_S, _LOOK_S = 30.0, 30.0, 5.0, 5.0
_PAGE = Path(__file__).parent / "templates" / "serve.html.jinja"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServeCall(BaseModel):
    """The body of a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: list[dict[str, object]] = Field(min_length=1, max_length=10_000)  # as those of `predict`
    explain: bool = False
    abstain_below: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)


def serve(settings: DeferringServeSettings) -> None:
    """The command; ends with Ctrl-C or SIGTERM. Raises DistillError."""
    cascade = ServedCascade(settings) if settings.defer else None
    handler = PredictHandler(Predictor(settings.model), settings.batch_size, cascade)
    asyncio.run(_listen(handler, settings.host, settings.port))


class ServeMetrics:
    """Of one server. waiting: rows that nobody has begun with."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        self.calls = Counter("stepdistill_calls", "Calls.", ["path", "status"], registry=registry)
        self.rows = Counter("stepdistill_rows", "Rows answered.", registry=registry)
        self.failed = Counter(
            "stepdistill_rows_failed", "Rows that the student failed at.", registry=registry
        )
        self.seconds = Histogram(
            "stepdistill_call_seconds",
            "Of a call of /predict.",
            buckets=_SECONDS,
            registry=registry,
        )
        held = Gauge("stepdistill_rows_waiting", "Rows that wait.", registry=registry)
        held.set_function(waiting)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class PredictHandler:
    """What callers can ask of one student, with its teacher behind it where there is a cascade.
    failed: set where nobody answers any more."""

    def __init__(
        self, predictor: Predictor, batch_size: int, cascade: ServedCascade | None = None
    ) -> None:
        self._predictor, self._cascade = predictor, cascade
        temperature = None if cascade is None else cascade.rule.temperature
        self._batcher = Batcher(predictor, batch_size, temperature)
        self._metrics = ServeMetrics(lambda: self._batcher.waiting)
        if cascade is not None:
            cascade.register(self._metrics.registry)
        self._reader = RowReader(predictor.settings)
        self.failed = asyncio.Event()
        self.idlers = Idlers()

    def application(self) -> web.Application:
        """The routes, and the batcher at work behind them."""
        application = web.Application(
            client_max_size=_LONGEST_BODY, middlewares=[self._counted, self._in_words]
        )
        application.add_routes(
            [
                web.get("/", self._about),
                web.get("/health", self._health),
                web.get("/metrics", self._show_metrics),
                web.post("/predict", self._predict),
            ]
        )
        application.cleanup_ctx.append(self._working)
        return application

    async def _working(self, _: web.Application) -> AsyncIterator[None]:
        works = [asyncio.create_task(self._batcher.work())]
        if self._cascade is not None:
            works.append(asyncio.create_task(self._cascade.queue.work()))
        for work in works:
            # They answer every fault; should one end all the same, nobody is left waiting for it.
            work.add_done_callback(lambda _: self.failed.set())
        yield
        for work in works:
            work.cancel()
        for work in works:
            with contextlib.suppress(asyncio.CancelledError):
                await work

    @web.middleware
    async def _counted(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self.idlers.busy(request.protocol)
        began = time.perf_counter()
        try:
            response = await handler(request)
        finally:
            self.idlers.idle(request.protocol)
        known = request.match_info.route.resource
        path = known.canonical if known is not None else "other"
        self._metrics.calls.labels(path, str(response.status)).inc()
        if path == "/predict":
            self._metrics.seconds.observe(time.perf_counter() - began)
        return response

    @web.middleware
    async def _in_words(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Every error in the one form."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _refusal(error.reason, error.status)
        except TimeoutError:
            return _refusal(f"the body did not come within {_BODY_S:g} s", 408)
        except Exception as error:  # noqa: BLE001  # never a page, nor a traceback, to a caller
            sys.stderr.write(f"error: {request.method} {request.path}: {error!r}\n")
            return _refusal(f"the server failed: {type(error).__name__}", 500)

    async def _about(self, request: web.Request) -> web.Response:
        settings = self._predictor.settings
        about: dict[str, Any] = {
            "task": settings.task,
            "labels": list(settings.label.classes) or None,
            "input": settings.student.input,
            "explains": self._predictor.explains,
        }
        if self._cascade is not None:
            about["cascade"] = self._cascade.facts()
        if "text/html" not in request.headers.get("accept", ""):
            return _json(about)
        page = rendered(_PAGE, fields=self._reader.needed, **about)
        return web.Response(text=page, content_type="text/html")

    async def _health(self, _: web.Request) -> web.Response:
        well = not self.failed.is_set()
        status = {"status": "ok" if well else "failed", "waiting": self._batcher.waiting}
        return _json(status, 200 if well else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _predict(self, request: web.Request) -> web.Response:
        if _is_from_elsewhere(request):
            return _refusal("a page of another site may not ask here", 403)
        try:
            async with asyncio.timeout(_BODY_S):
                body = await request.read()
            # Megabytes take seconds, in which others are answered.
            call, rows, fields = await asyncio.to_thread(self._read, body)
        except ValidationError as error:
            return _refusal(first_problem(error, "body"))
        except (ConfigError, DatasetError) as error:
            return _refusal(str(error))
        try:
            lines = await self._batcher.answers(rows, explain=call.explain)
        except RowFailed as error:
            self._metrics.failed.inc()
            return _refusal(f"the student failed: {error}", 500)
        self._metrics.rows.inc(len(lines))
        if self._cascade is not None:
            return _json({"answers": await self._cascade.finished(lines, fields)})
        return _json({"answers": [abstained(line, call.abstain_below) for line in lines]})

    def _read(self, body: bytes) -> tuple[ServeCall, list[AskedRow], list[Fields]]:
        """(the call, its rows as the student is asked, and as its teacher is)."""
        call = ServeCall.model_validate_json(body)
        if call.explain:
            check_explains(self._predictor, "explain")
        if call.abstain_below and self._cascade is not None:
            raise ConfigError("abstain_below: this server defers what the student is unsure of")
        rows = [
            self._reader.asked(row, f"rows[{place}]", str(place))
            for place, row in enumerate(call.rows)
        ]
        for place, row in enumerate(rows):
            self._predictor.check_options(row, f"rows[{place}]")
        asked = call.rows if self._cascade is not None else ()
        fields = [self._reader.fields(row, f"rows[{place}]") for place, row in enumerate(asked)]
        return call, rows, fields


def _is_from_elsewhere(request: web.Request) -> bool:
    """Whether a browser says that another site's page sends this."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.host


class Idlers:
    """Connections over which nothing whole comes: they are closed, or a few clients that send a
    letter a second would hold every connection that there may be."""

    def __init__(self) -> None:
        self._quiet_since: dict[object, float] = {}  # by connection; infinite while it is answered

    def busy(self, connection: object) -> None:
        """A request has come over it."""
        self._quiet_since[connection] = math.inf

    def idle(self, connection: object) -> None:
        """It has its answer."""
        self._quiet_since[connection] = time.monotonic()

    async def close_them(self, server: web.Server) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now, there = time.monotonic(), server.connections
            self._quiet_since = {each: self._quiet_since.get(each, now) for each in there}
            for connection in there:
                if now - self._quiet_since[connection] > _IDLE_S:
                    connection.force_close()


async def _listen(handler: PredictHandler, host: str, port: int) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def leave() -> None:
        if stop.is_set():  # a second signal: whoever sends it does not want to wait
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
    logger = logging.getLogger("stepdistill.serve")
    logger.addHandler(logging.NullHandler())  # what is no HTTP is told to who sent it, not here
    logger.propagate = False
    runner = web.AppRunner(
        handler.application(),
        # Cancelled with its caller: else the work of those who left goes on, for nobody.
        handler_cancellation=True,
        shutdown_timeout=_LAST_S,
        access_log=None,
        logger=logger,
    )
    await runner.setup()
    assert runner.server is not None
    tasks = [asyncio.create_task(handler.idlers.close_them(runner.server))]
    try:
        with refused(f"--port {port}", "listened on"):
            await web.TCPSite(runner, host, port).start()
        bound_port = runner.addresses[0][1]
        sys.stderr.write(f"serving http://{host}:{bound_port}/predict; Ctrl-C ends it\n")
        tasks += [asyncio.create_task(each.wait()) for each in (stop, handler.failed)]
        await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise TrainingError("the student answers no more: start it again")
    finally:
        for task in tasks:
            task.cancel()
        await runner.cleanup()


def _refusal(reason: str, status: int = 400) -> web.Response:
    return _json({"error": reason}, status)


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
