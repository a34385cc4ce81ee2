"""The teacher's JSON: a reply's body becomes an answer, a bad status an error, here alone."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from stepdistill.annotator.errors import (
    BadRequest,
    BatchQueueFull,
    ContentRefused,
    FormatRefused,
    ModelGone,
    NotAuthorised,
    Overloaded,
    QuotaSpent,
    RateLimited,
    TeacherError,
)
from stepdistill.annotator.settings.teacher import seconds_of
from stepdistill.annotator.store.answer import Answer, Mode, Usage

_QUOTA_CODES = {
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
}
# `'response_format' of type 'json_schema' is not supported`, in the message or as `param`
_FORMAT = re.compile(
    rb"response_format|json_schema|structured[ _-]?output|guided[ _](?:json|dec)", re.I
)
_ENQUEUED_LIMIT = re.compile(r"limit:?\s*([\d,]+)\s*enqueued", re.I)  # Limit: 90,000 enqueued


def read_answer(
    body: bytes, *, limit: int, request_id: str | None, mode: Mode = "online"
) -> Answer:
    """The answer in a 200 reply. Raises Overloaded when the body is no chat completion."""
    try:
        return _answer(_loaded(body), limit, request_id, mode)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        message = f"the reply is not a chat completion: {body[:80]!r}"
        raise Overloaded(message).paid(maybe=True) from None  # a 200: it may be billed


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # some servers write NaN where nobody looks


def _answer(reply: Any, limit: int, request_id: str | None, mode: Mode) -> Answer:
    choice, used = reply["choices"][0], reply.get("usage")
    message = choice["message"]
    refusal = message.get("refusal")
    prompt, completion = (
        _get(used, "prompt_tokens_details"),
        _get(used, "completion_tokens_details"),
    )
    return Answer(
        text=_text(message.get("content"), "") or _text(refusal, ""),
        finish="refusal" if refusal else _text(choice.get("finish_reason"), "") or "stop",
        model=_text(reply["model"]),
        usage=Usage(
            prompt=_count(used, "prompt_tokens"),
            completion=_count(used, "completion_tokens"),
            cached=_count(prompt, "cached_tokens"),
            reasoning=_count(completion, "reasoning_tokens"),
            written=_count(prompt, "cache_write_tokens"),
        ),
        mode=mode,
        asked_at=int(time.time()),
        limit=limit,
        request_id=request_id,
        thoughts=_thoughts(message),
    )


def _thoughts(message: Any) -> str | None:
    """What was thought before the answer, by whichever name: `reasoning_content` of DeepSeek, vLLM
    and SGLang, `reasoning` of OpenRouter and newer vLLM."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(text := message.get(name), str) and text.strip():
            return text
    return None


def _text(value: object, default: str | None = None) -> str:
    text = default if value is None else value
    if isinstance(text, str):
        return text
    raise TypeError("no text")


def _get(fields: Any, name: str) -> Any:
    return fields and fields.get(name)


def _count(fields: Any, name: str) -> int:
    return int(_get(fields, name) or 0)


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> TeacherError:
    """The error that a reply with a bad status means; names of headers are in lower case."""
    code, kind, text = _error_fields(body)
    message = f"{status} {code or kind}: {text}"
    if status in (401, 403):
        return NotAuthorised(f"the teacher refused the key ({message}): check OPENAI_API_KEY")
    if status == 402 or {code, kind} & _QUOTA_CODES:
        return QuotaSpent(f"the account is used up ({message}): top it up, then run this again")
    if code == "token_limit_exceeded":
        named = _ENQUEUED_LIMIT.search(text)
        return BatchQueueFull(message, int(named[1].replace(",", "")) if named else None)
    if status == 429:
        return RateLimited(message, retry_after_s(headers), slow_down="slow_down" in (code, kind))
    if status in (404, 405) or status < 400 or code == "model_not_found":
        return ModelGone(
            f"the teacher is not served there ({message}): check --teacher and --base-url"
        )
    if code in ("content_filter", "content_policy_violation"):
        return ContentRefused(message)
    if status in (408, 409) or status >= 500:
        return Overloaded(message, retry_after_s(headers))
    if _FORMAT.search(body):
        return FormatRefused(message)
    return BadRequest(message)


def _error_fields(body: bytes) -> tuple[str, str, str]:
    """Code, kind and message of an error in whatever shape."""
    try:
        error = orjson.loads(body)["error"]
        if not isinstance(error, str):
            code, kind, text = (error.get(name) for name in ("code", "type", "message"))
            return str(code or ""), str(kind or ""), " ".join(str(text or "").split())[:300]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        error = body[:120].decode(errors="replace")
    return "", "", " ".join(error.split())


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait at least: retry-after-ms, or retry-after in seconds, `1m30s` or a date."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after", "").strip()
    try:
        if milliseconds:
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(text)) if text else None
    except ValueError:
        pass  # no plain number: a duration, or a date
    seconds = seconds_of(text)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
