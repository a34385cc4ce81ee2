"""Replies: what a request is answered with, and how that goes to the socket or fails to."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.told_tokens import (
    TellsTokens,
    alternatives_wanted,
    chat_logprobs,
)
from stepdistill.annotator.simulator.wire import (
    INVALID,
    ChatAnswer,
    ChatRequest,
    ErrorReply,
    RefusedRequest,
    completion,
    cut_answer,
    invalid,
    stopped_at,
)

_GONE_CHECK_S = 0.05  # how often it is looked whether a client has gone
_DRIP_PIECES = 8

NO_KEY = ErrorReply(
    401, INVALID, "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'."
)
NO_SUCH_URL = ErrorReply(404, INVALID, "Invalid URL.")
REFUSALS: dict[Fault, ErrorReply] = {
    Fault.RATE_LIMITED: ErrorReply(
        429,
        "requests",
        "Rate limit reached for requests. Please try again later.",
        "rate_limit_exceeded",
    ),
    Fault.RATE_LIMITED_BARE: ErrorReply(
        429,
        "tokens",
        "Rate limit reached for tokens. Please try again later.",
        "rate_limit_exceeded",
    ),
    Fault.SLOW_DOWN: ErrorReply(
        429, "requests", "Your request rate grew too fast. Please slow down.", "slow_down"
    ),
    Fault.QUOTA: ErrorReply(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    Fault.UNAUTHORIZED: ErrorReply(401, INVALID, "Incorrect API key provided.", "invalid_api_key"),
    Fault.BAD_REQUEST: ErrorReply(
        400, INVALID, "This request is not acceptable.", "invalid_value", "messages"
    ),
    Fault.CONTENT_POLICY: ErrorReply(
        400,
        INVALID,
        "Your request was rejected as a result of our safety system.",
        "content_policy_violation",
    ),
    Fault.SERVER_ERROR: ErrorReply(
        500,
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
    ),
    Fault.OVERLOADED: ErrorReply(
        503,
        "server_error",
        "The engine is currently overloaded, please try again later.",
        "server_is_overloaded",
    ),
}
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
# What a proxy sends: a status and a page where JSON is hoped for.
PAGES: dict[Fault, tuple[int, bytes]] = {
    Fault.BAD_GATEWAY: (502, _PAGE.format("502 Bad Gateway").encode()),
    Fault.GATEWAY_TIMEOUT: (504, _PAGE.format("504 Gateway Time-out").encode()),
    Fault.NOT_JSON: (200, _PAGE.format("Welcome").encode()),
}


class AnswerSource(Protocol):
    """Whoever answers."""

    def answer(self, body: Mapping[str, object]) -> str:
        """The text for a request's body."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReply:
    """What will be sent, and what the log says of it."""

    outcome: RequestOutcome = field(default_factory=RequestOutcome)
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def status(self) -> int:
        """The HTTP status, 0 where nothing will be sent."""
        return self.outcome.status


def model_gone(model: str) -> RefusedRequest:
    """The refusal of a request for a model that is not served (any more)."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return invalid(message, code="model_not_found", status=404)


def over_limit(what: str, retry_after_s: float) -> ErrorReply:
    """The refusal of one request too many; what is `requests` or `tokens`."""
    message = f"Rate limit reached on {what} per min. Please try again in {retry_after_s:.3f}s."
    return ErrorReply(429, what, message, "rate_limit_exceeded")


def json_reply(fields: Mapping[str, object]) -> SimulatedReply:
    """An object that is no answer of the teacher, with status 200."""
    return SimulatedReply(outcome=RequestOutcome(status=200), body=orjson.dumps(fields))


def refuse(
    error: ErrorReply, retry_after_s: float | None = None, fault: Fault | None = None
) -> SimulatedReply:
    """An error's reply; Retry-After where one is given."""
    outcome = RequestOutcome(status=error.status, fault=fault)
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    return SimulatedReply(outcome=outcome, body=error.body(), headers=headers)


def fail(fault: Fault, retry_after_s: float) -> SimulatedReply | None:
    """The reply of a fault that replaces the answer; None for one that only spoils it."""
    if fault in (Fault.DROPPED, Fault.NEVER):
        return SimulatedReply(outcome=RequestOutcome(fault=fault))
    if fault in PAGES:
        status, page = PAGES[fault]
        outcome = RequestOutcome(status=status, fault=fault)
        return SimulatedReply(outcome=outcome, body=page, content_type="text/html")
    if fault in REFUSALS:
        wait_s = retry_after_s if fault is Fault.RATE_LIMITED else None
        return refuse(REFUSALS[fault], wait_s, fault)
    return None


def reply_with_answer(
    request: ChatRequest, teacher: AnswerSource, ident: str, fault: Fault | None
) -> SimulatedReply:
    """The teacher's answer, spoiled by the fault if there is one; billed all the same. Raises
    RefusedRequest: the teacher does not answer such."""
    most, text = alternatives_wanted(request.body), teacher.answer(request.body)
    said, stop = stopped_at(text, request.body.get("stop"))
    answer = cut_answer(said, request.max_tokens)
    answer = _spoiled(replace(answer, stop=stop) if answer.text == said else answer, fault)
    logprobs = None
    if most is not None and isinstance(teacher, TellsTokens):
        logprobs = chat_logprobs(teacher.tokens(request.body, text), answer.text, most)
    body = completion(request, answer, ident, logprobs)
    if fault is Fault.NO_USAGE:  # the client must count for itself what it is billed
        del body["usage"]
    outcome = RequestOutcome(
        status=200,
        prompt_tokens=request.prompt_tokens,
        completion_tokens=answer.tokens,
        billed=True,
        fault=fault,
    )
    return SimulatedReply(outcome=outcome, body=orjson.dumps(body))


def _spoiled(answer: ChatAnswer, fault: Fault | None) -> ChatAnswer:
    if fault is Fault.CONTENT_FILTER:
        return ChatAnswer(text="", tokens=0, finish_reason="content_filter")
    if fault is Fault.LENGTH:
        cut = cut_answer(answer.text, max(1, answer.tokens // 2))
        return replace(cut, finish_reason="length")
    return answer


async def deliver(
    request: web.BaseRequest, reply: SimulatedReply, fault: Fault | None = None, drip_s: float = 0.0
) -> web.StreamResponse:
    """Send the reply as the fault lets it arrive; a DRIP takes about drip_s seconds."""
    match fault:
        case Fault.DROPPED | Fault.NEVER | Fault.LOST:
            return hang_up(request)
        case Fault.TORN:
            response = await _begin(request, reply)
            await response.write(reply.body[: len(reply.body) // 2])
            break_off(request)
            return response
        case Fault.DRIP:
            response = await _begin(request, reply)
            size = max(1, -(-len(reply.body) // _DRIP_PIECES))
            for start in range(0, len(reply.body), size):
                await asyncio.sleep(drip_s / _DRIP_PIECES)
                await response.write(reply.body[start : start + size])
            return response
        case _:
            return web.Response(
                status=reply.status,
                body=reply.body,
                headers=reply.headers,
                content_type=reply.content_type,
            )


async def _begin(request: web.BaseRequest, reply: SimulatedReply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_type = reply.content_type
    response.content_length = len(reply.body)
    await response.prepare(request)
    return response


def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Close the socket before anything is sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # never sent: the socket is closed


def break_off(request: web.BaseRequest) -> None:
    """Close the socket after what was written; the promised rest never comes."""
    if request.transport is not None:
        request.transport.close()


async def wait_until_gone(request: web.BaseRequest, closing: asyncio.Event) -> None:
    """Say nothing until the client hangs up or the simulator closes."""
    # aiohttp does not tell a handler that its client has hung up.
    while not closing.is_set() and request.transport and not request.transport.is_closing():
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), _GONE_CHECK_S)
