"""The server: it listens, keeps the books, and lets limits and faults have their say.

async with Simulator(SimulatedTeacher(book=book)) as simulator:
    ...  # ask simulator.base_url, then judge by simulator.log
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.batch.api import SimulatedBatchApi
from stepdistill.annotator.simulator.batch.plan import SimulatedBatchSettings
from stepdistill.annotator.simulator.delivery import deliver, wait_until_gone
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.latency import Latency
from stepdistill.annotator.simulator.limits import Limiter, SimulatedLimits
from stepdistill.annotator.simulator.log import RequestLog, RequestOutcome, Visit, fingerprint
from stepdistill.annotator.simulator.refusals import NO_KEY, NO_SUCH_URL, model_gone, over_limit
from stepdistill.annotator.simulator.reply import (
    JSON,
    AnswerSource,
    SimulatedReply,
    fail,
    refuse,
    reply_with_answer,
)
from stepdistill.annotator.simulator.wire import (
    CREATED_S,
    ChatRequest,
    ErrorReply,
    body_digest,
    read_chat,
)

_LARGEST_BODY = 16 * 2**20
_BACKLOG = 4096
_CLOSING_S = 0.5  # how long answers on their way may take once the simulator closes


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """A model that is served; shutdown_date as in GET /models, e.g. `2027-01-14`."""

    id: str
    shutdown_date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the simulator behaves.

    port: 0 takes a free one. models: empty serves whatever is asked for; else others get 404.
    drip_s: seconds that a DRIP takes. batch: the Files and Batches endpoints.
    log_file: where every request is appended as a JSON line.
    """

    host: str = "127.0.0.1"
    port: int = 0
    prefix: str = "/v1"
    allow_anonymous: bool = True
    models: tuple[SimulatedModel, ...] = ()
    faults: FaultPlan = field(default_factory=FaultPlan)
    limits: SimulatedLimits = field(default_factory=SimulatedLimits)
    latency: Latency = field(default_factory=Latency)
    drip_s: float = 0.2
    batch: SimulatedBatchSettings = field(default_factory=SimulatedBatchSettings)
    log_file: Path | None = None


class Simulator:
    """A teacher behind a real socket; an async context manager."""

    def __init__(
        self,
        teacher: AnswerSource,
        settings: SimulatorSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OSError when the log file cannot be written."""
        self.settings = settings or SimulatorSettings()
        self.log = RequestLog(clock, self.settings.log_file)
        self._teacher = teacher
        self._limiter = Limiter(self.settings.limits, clock)
        self._closing = asyncio.Event()
        self._served_models = frozenset(model.id for model in self.settings.models)
        self.batches = SimulatedBatchApi(
            teacher=teacher,
            settings=self.settings.batch,
            models=self._served_models,
            books=self.log.batch,
            clock=clock,
        )
        self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=_CLOSING_S
        )

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`; raises RuntimeError unless the simulator is running."""
        if not self._runner.addresses:
            raise RuntimeError("the simulator is not running: use it in `async with`")
        host, port, *_ = self._runner.addresses[0]
        return f"http://{host}:{port}{self.settings.prefix}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        # A long queue: whoever opens hundreds of connections at once is not made to knock twice.
        site = web.TCPSite(self._runner, self.settings.host, self.settings.port, backlog=_BACKLOG)
        await site.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()
        await self.batches.settle()
        self.batches.close()
        self.log.close()

    def _application(self) -> web.Application:
        prefix = self.settings.prefix
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_post(f"{prefix}/chat/completions", self._chat)
        application.router.add_get(f"{prefix}/models", self._list_models)
        application.router.add_get(f"{prefix}/models/{{id:.+}}", self._get_model)
        self.batches.add_routes(
            application.router,
            prefix,
            closing=self._closing,
            allow_anonymous=self.settings.allow_anonymous,
        )
        application.router.add_route("*", "/{rest:.*}", _no_such_url)
        return application

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        arrival_s = self.log.now()
        raw = await request.read()
        key = fingerprint(request.headers.get("Authorization", ""))
        visit = self.log.arrive(body_digest(raw), key, arrival_s)
        outcome = RequestOutcome()
        try:
            reply = self._reply(visit, raw)
            await self._pass_time(request, visit, reply)
            outcome = reply.outcome
        finally:
            self.log.leave(visit, outcome)
        reply.headers["x-request-id"] = f"req_{visit.ordinal:016x}"
        return await deliver(request, reply, self.settings.drip_s)

    def _reply(self, visit: Visit, raw: bytes) -> SimulatedReply:
        if not visit.key and not self.settings.allow_anonymous:
            return refuse(NO_KEY)
        asked = read_chat(raw)
        if isinstance(asked, ErrorReply):
            return refuse(asked)
        if self._served_models and asked.model not in self._served_models:
            return refuse(model_gone(asked.model))
        # What the limits count is what a request may cost, as far as can be known beforehand.
        tokens = max(asked.max_tokens or 0, asked.prompt_tokens)
        admission = self._limiter.admit(tokens)
        if admission.over:
            error = over_limit(admission.over, admission.retry_after_s)
            reply = refuse(error, retry_after_s=round(admission.retry_after_s, 3))
        else:
            reply = self._admitted(visit, asked)
        return reply.counting(tokens, admission.headers)

    def _admitted(self, visit: Visit, asked: ChatRequest) -> SimulatedReply:
        plan = self.settings.faults
        fault = plan.fault(visit.ordinal, visit.digest, visit.attempt)
        failed = fail(fault, plan.retry_after_s) if fault else None
        return failed or reply_with_answer(asked, self._teacher, visit.digest.hex(), fault)

    async def _pass_time(self, request: web.Request, visit: Visit, reply: SimulatedReply) -> None:
        if reply.outcome.fault is Fault.NEVER:
            await wait_until_gone(request, self._closing)
        elif delay := self.settings.latency.seconds(visit.digest, visit.attempt):
            await asyncio.sleep(delay)

    async def _list_models(self, _request: web.Request) -> web.StreamResponse:
        cards = self.settings.models or (SimulatedModel(id="simulated-teacher"),)
        return _json({"object": "list", "data": [_model(card) for card in cards]})

    async def _get_model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["id"]
        cards = self.settings.models or (SimulatedModel(id=name),)
        found = next((card for card in cards if card.id == name), None)
        if found is None:
            error = model_gone(name)
            return web.Response(status=error.status, body=error.body(), content_type=JSON)
        return _json(_model(found))


def _model(card: SimulatedModel) -> dict[str, object]:
    return {
        "id": card.id,
        "object": "model",
        "created": CREATED_S,
        "owned_by": "simulator",
        "shutdown_date": card.shutdown_date,
    }


def _json(body: dict[str, object]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type=JSON)


async def _no_such_url(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=NO_SUCH_URL.status, body=NO_SUCH_URL.body(), content_type=JSON)
