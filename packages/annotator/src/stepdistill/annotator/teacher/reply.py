"""The teacher's JSON: a reply's body becomes an answer, a bad status an error, here alone."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import cast

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.errors import (
    BadRequest,
    BatchQueueFull,
    ContentRefused,
    ModelGone,
    NotAuthorised,
    Overloaded,
    QuotaSpent,
    RateLimited,
    TeacherError,
)
from stepdistill.annotator.store.answer import Answer, Mode, Usage

_QUOTA_CODES = {
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
}
_ENQUEUED_LIMIT = re.compile(r"limit:?\s*([\d,]+)\s*enqueued", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Message(_Wire):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Wire):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(_Wire):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(_Wire):
    reasoning_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Error(_Wire):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


class _ErrorReply(_Wire):
    error: _Error | str


class _Reply(_Wire):
    model: str
    choices: list[_Choice]
    usage: _Usage | None = None


_Said = tuple[str, str, str, Usage]  # text, finish, model, usage


def read_answer(
    body: bytes, *, limit: int, request_id: str | None, mode: Mode = "online"
) -> Answer:
    """The answer in a 200 reply. Raises Overloaded when the body is no chat completion."""
    text, finish, model, usage = _usual(body) or _validated(body)
    return Answer(
        text=text,
        finish=finish,
        model=model,
        usage=usage,
        mode=mode,
        asked_at=int(time.time()),
        limit=limit,
        request_id=request_id,
    )


def _usual(body: bytes) -> _Said | None:
    """What a reply with nothing odd about it says, at a third of the price of validating it."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    match reply:
        case {
            "model": str(model),
            "choices": [{"message": {"content": str(text)} as message, "finish_reason": str(end)}],
            "usage": {"prompt_tokens": int(prompt), "completion_tokens": int(completion)} as used,
        } if text and not message.get("refusal"):
            cached = _detail(used.get("prompt_tokens_details"), "cached_tokens")
            reasoning = _detail(used.get("completion_tokens_details"), "reasoning_tokens")
        case _:
            return None
    if cached is None or reasoning is None:
        return None
    usage = Usage(prompt=prompt, completion=completion, cached=cached, reasoning=reasoning)
    return text, end, model, usage


def _detail(details: object, name: str) -> int | None:
    """A detail of the usage: 0 where there is none, None where it is odd."""
    if details is None:
        return 0
    if not isinstance(details, dict):
        return None
    tokens = cast(dict[str, object], details).get(name) or 0
    return tokens if isinstance(tokens, int) else None


def _validated(body: bytes) -> _Said:
    """What any other reply says. Raises Overloaded."""
    try:
        reply = _Reply.model_validate_json(body)
        choice = reply.choices[0]
    except (ValidationError, IndexError):
        said = f"the reply is not a chat completion: {body[:80]!r}"
        raise Overloaded(said).paid(maybe=True) from None
    finish = choice.finish_reason or "stop"
    return (
        choice.message.content or choice.message.refusal or "",
        "refusal" if choice.message.refusal else finish,
        reply.model,
        _usage(reply.usage or _Usage()),
    )


def _usage(usage: _Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt=usage.prompt_tokens or 0,
        completion=usage.completion_tokens or 0,
        cached=(prompt and prompt.cached_tokens) or 0,
        reasoning=(completion and completion.reasoning_tokens) or 0,
        written=(prompt and prompt.cache_write_tokens) or 0,
    )


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> TeacherError:
    """The error that a reply with a bad status means; names of headers are in lower case."""
    code, kind, text = _error_fields(body)
    said = f"{status} {code or kind}: {text}"
    if status in (401, 403):
        return NotAuthorised(f"the teacher refused the key ({said}): check OPENAI_API_KEY")
    if status == 402 or {code, kind} & _QUOTA_CODES:
        return QuotaSpent(f"the account is used up ({said}): top it up, then run this again")
    if code == "token_limit_exceeded":
        named = _ENQUEUED_LIMIT.search(text)
        return BatchQueueFull(said, int(named[1].replace(",", "")) if named else None)
    if status == 429:
        return RateLimited(said, retry_after_s(headers), slow_down="slow_down" in (code, kind))
    if status in (404, 405) or status < 400 or code == "model_not_found":
        return ModelGone(
            f"the teacher is not served there ({said}): check --teacher and --base-url"
        )
    if code in ("content_filter", "content_policy_violation"):
        return ContentRefused(said)
    if status in (408, 409) or status >= 500:
        return Overloaded(said, retry_after_s(headers))
    return BadRequest(said)


def _error_fields(body: bytes) -> tuple[str, str, str]:
    try:
        error = _ErrorReply.model_validate(orjson.loads(body)).error
    except (orjson.JSONDecodeError, ValidationError):
        error = body[:120].decode(errors="replace")
    if isinstance(error, str):
        return "", "", " ".join(error.split())
    return str(error.code or ""), error.type or "", " ".join((error.message or "").split())[:300]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait at least: retry-after-ms, or retry-after in seconds, `1m30s` or a date."""
    milliseconds = headers.get("retry-after-ms")
    said = (headers.get("retry-after") or "").strip()
    try:
        if milliseconds:
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(said)) if said else None
    except ValueError:
        pass
    parts = _DURATION.findall(said)
    if parts and "".join(n + unit for n, unit in parts) == said:
        return sum(float(n) * _SECONDS[unit] for n, unit in parts)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
