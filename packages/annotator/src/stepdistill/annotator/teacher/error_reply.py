"""A reply that is no answer: status, body and headers become the error that says what to do.

What is wrong for every request of the run is told from what is wrong with this one by status, then
by codes, then by words, as servers agree on none of them: a bad key is a 401, or a 400 in a list.
"""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from stepdistill.annotator.errors import (
    BadRequest,
    BatchQueueFull,
    ContentRefused,
    Forbidden,
    FormatRefused,
    KeyRefused,
    ModelGone,
    NotAuthorised,
    Overloaded,
    ParameterRefused,
    QuotaSpent,
    RateLimited,
    TeacherError,
    TooLong,
    Unreadable,
)
from stepdistill.annotator.settings.teacher import seconds_of
from stepdistill.annotator.teacher.billing import may_be_billed
from stepdistill.annotator.teacher.body import SHOWN, one_line
from stepdistill.annotator.teacher.error_body import ErrorText, read_error

_I = re.IGNORECASE
_QUOTA_CODES = (
    *("insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded"),
    *("project_spend_limit_exceeded", "organization_usage_limit_exceeded", "insufficient_balance"),
    *("billing_hard_limit_reached", "billing_not_active", "budget_exceeded", "arrearage"),
    *("insufficient_credits", "exceeded_current_quota_error", "payment_required"),
)
# Your credit balance is too low / Insufficient Balance / Budget has been exceeded!
_QUOTA = re.compile(
    r"insufficient[ _](quota|balance|credit|fund)|credit balance|(out of|enough|any) credits|"
    r"no (remaining |more )?credits|credits? (are |is |have been )?(exhausted|depleted|used up)|"
    r"(billing|spend(ing)?|api usage) (hard )?(limit|cap)|budget (has been )?exceeded|"
    r"exceeded .{0,20}budget|"
    r"key limit exceeded|monthly .{0,20}limit|payment required|billing (is )?(not active|disabled)|"
    r"in good standing|arrear|余额不足|欠费",
    _I,
)
_KEY_CODES = (
    *("invalid_api_key", "api_key_invalid", "invalidapikey", "incorrect_api_key"),
    "expired_api_key",
    *("invalid_authentication", "authentication_error", "unauthenticated", "unauthorized"),
    *("missing_api_key", "account_deactivated", "invalid_token", "token_expired"),
)
_SECRET = (
    r"(api[ _-]?key|access[ _-]?key|secret[ _-]?key|auth\w* (token|key|header)|bearer|credential)"
)
_WRONG = r"(valid|incorrect|wrong|expired|revoked|disabled|missing|required|not found|unknown)"
# API key not valid / Incorrect API key provided / You didn't provide an API key
_KEY = re.compile(
    rf"{_SECRET}s?\b.{{0,40}}{_WRONG}|(in|not a? ?){_WRONG}.{{0,30}}{_SECRET}|"
    rf"(incorrect|wrong|expired|revoked|missing|no|provide (an|your)) .{{0,20}}{_SECRET}|"
    r"(authentication|login) (fail|error|required)|unauthori[sz]ed|unauthenticated",
    _I,
)
_ACCESS = re.compile(
    r"permission|access (is )?(denied|forbidden)|not (authori[sz]ed|allowed|permitted|entitled)|"
    r"api[ _-]?key|subscription|country|region|territory|your (account|organi[sz]ation|project)",
    _I,
)
# This organization has been disabled / User location is not supported for the API use
_BARRED = re.compile(
    r"\b(account|organi[sz]ation|project|workspace|team)\b.{0,30}\b(disabled|suspended|blocked|denied|"
    r"deactivated|banned|closed)\b|\b(location|country|region|territory)\b.{0,30}\bnot (supported|"
    r"available|allowed)|not (supported|available) in your (location|country|region|territory)",
    _I,
)
_MODEL_CODES = (
    *("model_not_found", "model_not_exist", "modelnotfound", "deploymentnotfound", "invalid_model"),
    *("unknown_model", "model_decommissioned", "model_not_available", "model_not_supported"),
)
# The model `x` does not exist / Invalid model name / x is not a valid model ID
_MODEL = re.compile(
    r"\bmodel\b.{0,120}?\b((does not|doesn't|not) exist|(is |was )?not (be )?found|decommissioned|"
    r"retired|discontinued|shut ?down|no longer (available|supported|served))|"
    r"(no such|unknown|invalid|unsupported) model\b|not a valid model|no endpoints found|"
    r"\bmodel\b.{0,80}?\bis not (available|served|deployed|loaded)",
    _I,
)
_LONG_CODES = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
# This model's maximum context length is 2048 tokens / Please reduce the length of the messages
_LONG = re.compile(
    r"context[ _-]?(length|size|window)|maximum (context|prompt|input|sequence)|"
    r"(prompt|input|request|message)s? (is |are )?too long|reduce (the|your) (length|prompt|input)",
    _I,
)
# Limit 30000, Requested 31200: more than a minute ever has
_LIMIT = re.compile(r"limit:? *([\d,]+).{0,40}?requested:? *([\d,]+)", _I)
_FLAG_CODES = (
    *("content_filter", "content_policy_violation", "responsibleaipolicyviolation"),
    *("data_inspection_failed", "moderation_blocked", "content_moderation", "invalid_prompt"),
)
# requires moderation and your input was flagged / blocked by our content management policy
_FLAGGED = re.compile(
    r"moderation|\bflagged\b|content[ _-]?(filter|policy|management)|guardrail|\bsafety\b|"
    r"usage polic|inappropriate|sensitive (content|word)|prohibited (content|use|by)|"
    r"violat\w+ .{0,60}polic|敏感|违规",
    _I,
)
_WHOSE = re.compile(r"\b(your|this) (account|organi[sz]ation|project|team|api key)\b", _I)
# `'response_format' of type 'json_schema' is not supported`, in the message or as `param`
_FORMAT = re.compile(
    rb"response_?format|json_?schema|structured[ _-]?output|guided[ _](?:json|dec)|"
    rb"output_config\.format|response_?mime_?type|text\.format|output format|json mode|"
    rb"(?:specified|output|response) schema",
    re.I,
)
_PARAMETER_CODES = (
    *("unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"),
    *("unrecognized_argument", "unsupportedparamserror", "unknown_field"),
)
# Unrecognized request argument supplied: seed / property 'logprobs' is unsupported
_UNSUPPORTED = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown (parameter|field|name|argument|key)|"
    r"unexpected (keyword|field|argument|parameter|propert)|not (permitted|allowed)|"
    r"cannot (both )?be (specified|used|set)|deprecated|additional propert|does not (accept|allow)|"
    r"\bmay only be\b|not enabled|only works in",
    _I,
)
# Thinking level is not supported for this model / does not support the effort parameter
_EFFORT_FIELD = "reasoning_effort"
_EFFORT = re.compile(
    r"\bthinking (level|budget|mode)|\b(adaptive|extended) thinking|\beffort\b", _I
)
# seed: Extra inputs are not permitted / Unknown name "seed" at 'generation_config'
_UNKNOWN = re.compile(r"^([a-z]\w*)[\w.]*: extra |unknown name \W*(\w+)", _I)
# You are not allowed to request logprobs from this model / Logprobs is not enabled for models/m-2
_LOGPROBS, _LOGPROBS_FIELD = re.compile(r"\b(?:top|response)?_?log_?prob", _I), "logprobs"
# Names that are no words of the language stand for themselves; others in quotes or after a colon.
_PARAMETER = re.compile(
    r"\b(max_completion_tokens|max_tokens|max_output_tokens|temperature|top_p|top_k|min_p|typical_p|"
    r"best_of|logprobs|top_logprobs|logit_bias|presence_?penalty|frequency_?penalty|"
    r"repetition_penalty|reasoning_effort|service_tier|chat_template_kwargs|enable_thinking)\b|"
    r"(?:(?:parameter|argument|field|property|name|supplied)s?:? *\[?['\"`]?|['\"`])"
    r"(n|seed|stop|reasoning|thinking|verbosity|store|metadata|stream|modalities|[a-z]+_[a-z_]+)\b",
    _I,
)
_ENQUEUED_LIMIT = re.compile(r"limit:?\s*([\d,]+)\s*enqueued", _I)  # Limit: 90,000 enqueued
# What an error within a 200 means that names no status.
_STATUSES = {
    **dict.fromkeys(("invalid_argument", "failed_precondition", "invalid_request_error"), 400),
    **dict.fromkeys(("unauthenticated", "authentication_error", "invalid_api_key"), 401),
    **dict.fromkeys(("permission_denied", "permission_error"), 403),
    **dict.fromkeys(("not_found", "not_found_error", "model_not_found"), 404),
    **dict.fromkeys(("resource_exhausted", "rate_limit_exceeded", "rate_limit_error"), 429),
    **dict.fromkeys(("rate_limited", "too_many_requests", "insufficient_quota"), 429),
    **dict.fromkeys(("internal", "server_error", "internal_server_error", "api_error"), 500),
    **dict.fromkeys(("unavailable", "overloaded_error", "server_is_overloaded"), 503),
    **dict.fromkeys(("deadline_exceeded", "timeout", "timeout_error"), 504),
}
# Gemini calls every limit a quota; that of a day is none to wait for, whatever retryDelay says.
# Others' is one where they name no time themselves: exceeded your daily rate limit, models-per-day.
_DAILY = re.compile(rb'"quotaId"\s*:\s*"[^"]*PerDay', re.I)
_OF_A_DAY = re.compile(r"\bdaily\b|\bper[ -]day\b", _I)
_FULL = re.compile(r"resource[ _-]?(is )?(currently )?unavailable|capacity", _I)
_BUSY = re.compile(r"rate.?limit|too many requests|slow down", _I)
_DOWN = re.compile(
    r"overload|unavailable|temporar|busy|capacity|time[d -]?out|try again|upstream", _I
)


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> TeacherError:
    """The error that a reply with a bad status means; names of headers are in lower case."""
    return _error(status, read_error(body), headers, body)


def error_within(error: ErrorText, body: bytes, headers: Mapping[str, str]) -> TeacherError:
    """The error that stands in a reply with status 200: by the status that it names itself."""
    status = _named_status(error)
    if status is not None:
        found = _error(status, error, headers, body)
        # With a 200 it may have been begun.
        return found.paid(maybe=True) if isinstance(found, Overloaded) else found
    message = _message(200, error)
    return _by_words(error, message, body) or Unreadable(message)


def error_without_reply(error: ErrorText) -> TeacherError:
    """The error of a request to which there is no reply at all: where it says nothing else, nobody
    came to work on it."""
    status, body = _named_status(error), f"{error.param} {error.words}".encode()
    if status is not None:
        return _error(status, error, {}, body)
    name = f"{error.names[0]}: " if error.names else ""
    message = one_line(f"{name}{error.words or 'no response'}", SHOWN)
    return _by_words(error, message, body) or Overloaded(message)


def is_without_tier(error: TeacherError) -> bool:
    """Whether the model is not served at the tier that was asked for."""
    return isinstance(error, ParameterRefused) and error.name in ("service_tier", "serviceTier")


def is_full(error: TeacherError) -> bool:
    """Whether a tier of the service has no room, and another may: 429 resource_unavailable of
    OpenAI's flex, 498 capacity_exceeded of Groq's, 503 of Gemini's; or the model has no such."""
    if is_without_tier(error):
        return True
    if isinstance(error, Overloaded):
        return error.status in (498, 503, 529)
    return isinstance(error, RateLimited) and _FULL.search(str(error)) is not None


def _named_status(error: ErrorText) -> int | None:
    """The status that an error means by its own number, its codes or its words."""
    if error.status not in (None, 200):
        return error.status
    named = (_STATUSES.get(name.lower()) for name in error.names)
    if status := next(filter(None, named), None):
        return status
    if _BUSY.search(error.words):
        return 429
    return 503 if _DOWN.search(error.words) else None


def _by_words(error: ErrorText, message: str, body: bytes) -> TeacherError | None:
    """What is wrong with the run or the request, where no status says so."""
    return _of_the_run(200, error, message) or _of_the_request(200, error, message, body)


def _error(status: int, error: ErrorText, headers: Mapping[str, str], body: bytes) -> TeacherError:
    message, wait_s = _message(status, error), retry_after_s(headers)
    if 300 <= status < 400:
        return _elsewhere(status, headers.get("location", ""))
    if error.has("token_limit_exceeded"):
        named = _ENQUEUED_LIMIT.search(error.words)
        return BatchQueueFull(message, int(named[1].replace(",", "")) if named else None)
    if status == 402 and wait_s is not None:
        return RateLimited(message, wait_s)
    is_daily = _DAILY.search(body) is not None
    if wait_s is None and error.wait_s is None:
        is_daily = is_daily or _OF_A_DAY.search(error.words) is not None
    if status == 429 and is_daily:
        return QuotaSpent(f"no more is answered today ({message}): run this again tomorrow")
    found = _of_the_run(status, error, message)
    if found is None and status != 429:
        found = _of_the_request(status, error, message, body)
    if found is not None:
        return found
    wait_s = error.wait_s if wait_s is None else wait_s
    if status == 429:
        return TooLong(message) if _never_fits(error) else _limited(error, message, wait_s)
    if status < 300 or status in (408, 409, 425, 498, 499) or status >= 500:
        is_billed = may_be_billed(status, error.words)
        return Overloaded(message, wait_s, status=status).paid(maybe=is_billed)
    return BadRequest(message)


def _message(status: int, error: ErrorText) -> str:
    name = next((each for each in error.names if each not in ("error", "None")), "")
    start = f"{status} {name}" if name and name not in error.words else f"{status}"
    return one_line(f"{start}: {error.words or 'an error without a word'}", SHOWN)


def _elsewhere(status: int, location: str) -> ModelGone:
    """A redirect: the key does not follow it."""
    base = one_line(location, 200).removesuffix("/chat/completions")
    to = f"is at {base}" if base else "is elsewhere, which is not said"
    return ModelGone(
        f"the teacher {to} ({status}), and no key is sent after a redirect: give that address as "
        "--base-url"
    )


def _of_the_run(status: int, error: ErrorText, message: str) -> TeacherError | None:
    """What would be wrong with every other request too; None where nothing says so."""
    words, is_refusal = error.words, 400 <= status < 500 or status == 200
    is_long = error.has(*_LONG_CODES) or _LONG.search(words) is not None
    if status == 407:
        return NotAuthorised(
            f"the proxy wants a password ({message}): HTTP_PROXY=http://user:password@host:port"
        )
    by_words = is_refusal and not is_long and _QUOTA.search(words) is not None
    if status == 402 or error.has(*_QUOTA_CODES) or by_words:
        return QuotaSpent(f"the account is used up ({message}): top it up, then run this again")
    names_key = error.has(*_KEY_CODES) or (not is_long and _KEY.search(words) is not None)
    if status == 401 or (names_key and status not in (403, 429, 503)):
        return KeyRefused(f"the teacher refused the key ({message})")
    if status in (404, 405, 410) or error.has(*_MODEL_CODES) or _names_model(status, words):
        return ModelGone(
            f"the teacher is not served there ({message}): check --teacher and --base-url (does it "
            "end in /v1?)"
        )
    return None


def _names_model(status: int, words: str) -> bool:
    if not (400 <= status < 429 or status == 200) or _LONG.search(words):
        return False
    about_field = _PARAMETER.search(words) or _FORMAT.search(words.encode())
    return _MODEL.search(words) is not None and not about_field


def _of_the_request(
    status: int, error: ErrorText, message: str, body: bytes
) -> TeacherError | None:
    """What is wrong with this request, or with a field of it."""
    words = error.words
    if error.has(*_LONG_CODES) or (status != 413 and _LONG.search(words)):
        return BadRequest(message)
    if status == 413 and _never_fits(error):
        return TooLong(message)
    is_ours = 400 <= status < 500 or status == 200
    if error.has(*_FLAG_CODES) or (
        is_ours and not error.is_page and _FLAGGED.search(words) and not _WHOSE.search(words)
    ):
        return ContentRefused(message)
    # Models that think tell none, and some say so by 403; no other field has the word.
    if status in (400, 403, 422) and _LOGPROBS.search(words):
        return ParameterRefused(message, _LOGPROBS_FIELD)
    is_barred = _BARRED.search(words) is not None and not error.is_page
    if status in (403, 451) or (status == 400 and is_barred):
        of_key = error.has(*_KEY_CODES) or bool(_KEY.search(words) or _ACCESS.search(words))
        names_key = is_barred or (of_key and not error.is_page)
        return Forbidden(message, names_key=names_key, is_barred=is_barred)
    if status in (400, 422) or status == 200:
        if _FORMAT.search(body):
            return FormatRefused(message)
        if name := _refused_parameter(error):
            return ParameterRefused(message, name)
    return None


def _refused_parameter(error: ErrorText) -> str | None:
    """The field of the request that is not taken, where that is what the error says."""
    by_code = error.has(*_PARAMETER_CODES)
    if not by_code and not _UNSUPPORTED.search(error.words):
        return None
    if error.param and (by_code or _PARAMETER.fullmatch(error.param)):
        return _EFFORT_FIELD if error.param == "reasoning.effort" else error.param
    if unknown := _UNKNOWN.search(error.words):
        return unknown[1] or unknown[2]
    named = _PARAMETER.search(error.words)
    if named is None:
        return _EFFORT_FIELD if _EFFORT.search(error.words) else None
    return named[1] or named[2]


def _never_fits(error: ErrorText) -> bool:
    """Whether the request alone counts more than its limit of a minute."""
    found = _LIMIT.search(error.words)
    if found is None:
        return "request too large" in error.words.lower()
    limit, requested = (int(each.replace(",", "")) for each in found.groups())
    return requested > limit


def _limited(error: ErrorText, message: str, wait_s: float | None) -> RateLimited:
    return RateLimited(message, wait_s, slow_down=error.has("slow_down"))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait at least: retry-after-ms, or retry-after in seconds, `1m30s` or a date; None
    where nothing is said, or nothing that ever ends."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after", "").strip()
    try:
        if milliseconds:
            return _bounded(float(milliseconds) / 1000)
        return _bounded(float(text)) if text else None
    except ValueError:
        pass  # no plain number: a duration, or a date
    seconds = seconds_of(text)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None
