"""From a request to a reply, before any of it meets the socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import orjson

from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.refusals import PAGES, REFUSALS
from stepdistill.annotator.simulator.wire import (
    ChatAnswer,
    ChatRequest,
    ErrorReply,
    completion,
    cut_answer,
)

JSON = "application/json"
HTML = "text/html"
_SILENT = (Fault.DROPPED, Fault.NEVER)


class AnswerSource(Protocol):
    """Whoever answers."""

    def answer(self, body: Mapping[str, object]) -> str:
        """The text for a request's body."""
        ...


class RefusedRequest(Exception):
    """Raised by whoever cannot do what was asked; the door turns it into a reply."""

    def __init__(self, error: ErrorReply, retry_after_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReply:
    """What will be sent, and what the books say of it."""

    outcome: RequestOutcome
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def counting(self, limit_tokens: int, headers: Mapping[str, str]) -> "SimulatedReply":
        """The same, counted toward the limits, whose state these headers tell."""
        outcome = replace(self.outcome, limit_tokens=limit_tokens)
        return replace(self, outcome=outcome, headers={**self.headers, **headers})


def refuse(
    error: ErrorReply, *, retry_after_s: float | None = None, fault: Fault | None = None
) -> SimulatedReply:
    """An error's reply; Retry-After in seconds where one is given."""
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    return SimulatedReply(
        outcome=RequestOutcome(status=error.status, fault=fault), body=error.body(), headers=headers
    )


def fail(fault: Fault, retry_after_s: float) -> SimulatedReply | None:
    """The reply of a fault that replaces the answer; None for one that only spoils it."""
    if fault in _SILENT:
        return SimulatedReply(outcome=RequestOutcome(fault=fault))
    if fault in PAGES:
        status, page = PAGES[fault]
        return SimulatedReply(
            outcome=RequestOutcome(status=status, fault=fault), body=page, content_type=HTML
        )
    if fault in REFUSALS:
        wait = retry_after_s if fault is Fault.RATE_LIMITED else None
        return refuse(REFUSALS[fault], retry_after_s=wait, fault=fault)
    return None


def reply_with_answer(
    request: ChatRequest, teacher: AnswerSource, ident: str, fault: Fault | None
) -> SimulatedReply:
    """The teacher's answer, spoiled or lost by the fault if there is one."""
    answer = _spoiled(cut_answer(teacher.answer(request.body), request.max_tokens), fault)
    body = completion(request, answer, ident)
    if fault is Fault.NO_USAGE:
        del body["usage"]
    return SimulatedReply(
        outcome=RequestOutcome(
            status=200,
            prompt_tokens=request.prompt_tokens,
            completion_tokens=answer.tokens,
            billed=True,
            fault=fault,
        ),
        body=orjson.dumps(body),
    )


def _spoiled(answer: ChatAnswer, fault: Fault | None) -> ChatAnswer:
    if fault is Fault.CONTENT_FILTER:
        return ChatAnswer(text="", tokens=0, finish_reason="content_filter")
    if fault is Fault.LENGTH:
        cut = cut_answer(answer.text, max(1, answer.tokens // 2))
        return replace(cut, finish_reason="length")
    return answer
