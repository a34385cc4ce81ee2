"""The server: it listens, keeps the log, and lets limits and faults have their say.

async with Simulator(SimulatedTeacher(book=book)) as simulator:
    ...  # ask simulator.base_url, then judge by simulator.log
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from aiohttp import web

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.desk import BatchDesk
from stepdistill.annotator.simulator.batch.protocols.anthropic import SimulatedAnthropic
from stepdistill.annotator.simulator.batch.protocols.gemini import SimulatedGemini
from stepdistill.annotator.simulator.batch.protocols.mistral import SimulatedMistral
from stepdistill.annotator.simulator.batch.protocols.openrouter import SimulatedOpenRouter
from stepdistill.annotator.simulator.batch.protocols.together import SimulatedTogether
from stepdistill.annotator.simulator.batch.routes import SimulatedBatchApi
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.dialects.registry import OPENROUTER, OTHERS, SpokenName
from stepdistill.annotator.simulator.dialects.spoken import SpokenDialect, key_of
from stepdistill.annotator.simulator.faults import Fault, FaultPlan, Latency
from stepdistill.annotator.simulator.limits import Limiter, SimulatedLimits
from stepdistill.annotator.simulator.log import LogEntry, RequestLog, RequestOutcome
from stepdistill.annotator.simulator.reply import (
    NO_KEY,
    NO_SUCH_URL,
    AnswerSource,
    SimulatedReply,
    deliver,
    fail,
    json_reply,
    model_gone,
    over_limit,
    refuse,
    reply_with_answer,
    wait_until_gone,
)
from stepdistill.annotator.simulator.wire import (
    CREATED_S,
    ChatRequest,
    RefusedRequest,
    body_digest,
    read_chat,
    read_object,
)

_BATCHES: Mapping[BatchProtocol, type[BatchDesk]] = {
    "openai": SimulatedBatchApi,
    "anthropic": SimulatedAnthropic,
    "gemini": SimulatedGemini,
    "openrouter": SimulatedOpenRouter,
    "together": SimulatedTogether,
    "mistral": SimulatedMistral,
}
_LARGEST_BODY = 16 * 2**20  # bytes
_BACKLOG = 4096  # connections that may wait to be accepted: hundreds are opened at once
_CLOSING_S = 0.5  # how long answers on their way may take once the simulator closes


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """A model that is served."""

    id: str
    shutdown_date: str | None = None  # as in GET /models: "2027-01-14"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the simulator behaves."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 takes a free one
    prefix: str = "/v1"
    dialect: SpokenName = "openai"  # whose chat it is, and which address it names
    allow_anonymous: bool = True
    models: tuple[SimulatedModel, ...] = ()  # empty serves any; else others get 404
    faults: FaultPlan = field(default_factory=FaultPlan)
    limits: SimulatedLimits = field(default_factory=SimulatedLimits)
    latency: Latency = field(default_factory=Latency)
    drip_s: float = 0.2  # what a DRIP takes
    batch: SimulatedBatchSettings = field(default_factory=SimulatedBatchSettings)
    log_file: Path | None = None  # every request is appended to it, as a JSON line


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
        self._batch_api = _BATCHES[self.settings.batch.protocol](
            teacher=teacher,
            settings=self.settings.batch,
            models=self._served_models,
            log=self.log,
            closing=self._closing,
            allow_anonymous=self.settings.allow_anonymous,
        )
        self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=_CLOSING_S
        )

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`, or as the dialect's own clients have it; raises RuntimeError
        unless the simulator is running."""
        if not self._runner.addresses:
            raise RuntimeError("the simulator is not running: use it in `async with`")
        host, port, *_ = self._runner.addresses[0]
        version = "/v1beta" if self.settings.dialect == "gemini" else self.settings.prefix
        return f"http://{host}:{port}{version}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.settings.host, self.settings.port, backlog=_BACKLOG)
        await site.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()
        # Only now: until the runner is cleaned up, handlers write to the files and the log.
        await self._batch_api.close()
        self.log.close()

    def _application(self) -> web.Application:
        prefix = self.settings.prefix
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.add_routes(
            [
                web.post(f"{prefix}/chat/completions", self._chat),
                *(web.post(each.path(prefix), partial(self._speak, each)) for each in OTHERS),
                web.get(f"{prefix}/models", self._list_models),
                web.get("/v1beta/models", self._list_geminis),
                web.get(f"{prefix}/models/{{id:.+}}", self._get_model),
                *self._batch_api.routes(prefix),
                web.route("*", "/{rest:.*}", _no_such_url),
            ]
        )
        return application

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._speak(
            OPENROUTER if self.settings.dialect == "openrouter" else None, request
        )

    async def _speak(
        self, spoken: SpokenDialect | None, request: web.Request
    ) -> web.StreamResponse:
        """Answer a request. spoken: how, None for OpenAI's chat."""
        arrival_s = self.log.now()
        raw = await request.read()
        entry = self.log.arrive(body_digest(raw), key_of(request), arrival_s)
        outcome = RequestOutcome()
        try:
            reply = self._spoken_reply(spoken, entry, raw, request)
            if reply.outcome.fault is Fault.NEVER:
                await wait_until_gone(request, self._closing)
            elif delay_s := self.settings.latency.seconds(entry.digest, entry.attempt):
                await asyncio.sleep(delay_s)
            outcome = reply.outcome
        finally:
            self.log.leave(entry, outcome)
        return await deliver(request, reply, outcome.fault, self.settings.drip_s)

    def _spoken_reply(
        self, spoken: SpokenDialect | None, entry: LogEntry, raw: bytes, request: web.Request
    ) -> SimulatedReply:
        body: dict[str, object] = {}
        try:
            body = read_object(raw)
            body = body if spoken is None else spoken.as_chat(body, request)
            reply = self._reply(entry, body)
        except RefusedRequest as refused:
            reply = refuse(refused.error)
        reply.headers["x-request-id"] = f"req_{entry.ordinal:016x}"
        return reply if spoken is None else spoken.said(reply, body)

    def _reply(self, entry: LogEntry, body: dict[str, object]) -> SimulatedReply:
        if not entry.key and not self.settings.allow_anonymous:
            return refuse(NO_KEY)
        try:
            chat = read_chat(body)
            if self._served_models and chat.model not in self._served_models:
                raise model_gone(chat.model)
        except RefusedRequest as refused:
            return refuse(refused.error)
        # What the limits count is what a request may cost, as far as can be known beforehand.
        tokens = max(chat.max_tokens or 0, chat.prompt_tokens)
        admission = self._limiter.admit(tokens)
        if admission.over:
            wait_s = admission.retry_after_s
            reply = refuse(over_limit(admission.over, wait_s), round(wait_s, 3))
        else:
            # Faults come after the limits: what is refused here meets none.
            plan = self.settings.faults
            fault = plan.fault(entry.ordinal, entry.digest, entry.attempt)
            failed = fail(fault, plan.retry_after_s) if fault else None
            reply = failed or self._answer(chat, entry, fault)
        outcome = replace(reply.outcome, limit_tokens=tokens)
        return replace(reply, outcome=outcome, headers={**reply.headers, **admission.headers})

    def _answer(self, chat: ChatRequest, entry: LogEntry, fault: Fault | None) -> SimulatedReply:
        try:
            return reply_with_answer(chat, self._teacher, entry.digest.hex(), fault)
        except RefusedRequest as refused:
            return refuse(refused.error)

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        models = self.settings.models or (SimulatedModel(id="simulated-teacher"),)
        listed = {"object": "list", "data": [_model_object(model) for model in models]}
        return await deliver(request, json_reply(listed))

    async def _list_geminis(self, request: web.Request) -> web.StreamResponse:
        models = self.settings.models or (SimulatedModel(id="simulated-teacher"),)
        speaks = {"supportedGenerationMethods": ["generateContent"]}
        listed = [{"name": f"models/{model.id}", **speaks} for model in models]
        return await deliver(request, json_reply({"models": listed}))

    async def _get_model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["id"]
        models = self.settings.models or (SimulatedModel(id=name),)
        found = next((model for model in models if model.id == name), None)
        reply = json_reply(_model_object(found)) if found else refuse(model_gone(name).error)
        return await deliver(request, reply)


def _model_object(model: SimulatedModel) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": CREATED_S,
        "owned_by": "simulator",
        "shutdown_date": model.shutdown_date,
    }


async def _no_such_url(request: web.Request) -> web.StreamResponse:
    return await deliver(request, refuse(NO_SUCH_URL))
