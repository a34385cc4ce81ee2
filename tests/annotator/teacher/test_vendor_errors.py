"""The errors of Anthropic, Gemini and OpenAI's Responses, as they word them: which are the row's,
which the run's, and which pass."""

from typing import Any

import orjson
import pytest

from stepdistill.annotator.errors import (
    BadRequest,
    ContentRefused,
    Forbidden,
    FormatRefused,
    KeyRefused,
    ModelGone,
    Overloaded,
    ParameterRefused,
    QuotaSpent,
    RateLimited,
    TeacherError,
    TooLong,
)
from stepdistill.annotator.teacher.error_reply import error_of

RPC = "type.googleapis.com/google.rpc."
OVER = "You exceeded your current quota, please check your plan and billing details."
ROWS = "Rate limit reached for m on requests per day (RPD): Limit 200, Used 200, Requested 1."
Found = tuple[TeacherError, type[TeacherError]]


def anthropic(status: int, kind: str, words: str, found: type[TeacherError]) -> Found:
    error = {"type": kind, "message": words}
    body = {"type": "error", "error": error, "request_id": "req_1"}
    return error_of(status, orjson.dumps(body), {}), found


def gemini(status: int, name: str, words: str, found: type[TeacherError], *details: Any) -> Found:
    error = {"code": status, "message": words, "status": name, "details": details}
    return error_of(status, orjson.dumps({"error": error}), {}), found


def openai(status: int, code: str | None, words: str, found: type[TeacherError]) -> Found:
    error = {"message": words, "type": "invalid_request_error", "param": None, "code": code}
    return error_of(status, orjson.dumps({"error": error}), {}), found


def quota(name: str) -> list[Any]:
    violation = {"quotaMetric": "generate_content_requests", "quotaId": name, "quotaValue": "20"}
    return [
        {"@type": f"{RPC}QuotaFailure", "violations": [violation]},
        {"@type": f"{RPC}RetryInfo", "retryDelay": "34.07s"},
    ]


INVALID = "invalid_request_error"
BAD = "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "found",
    [
        anthropic(400, INVALID, "Your credit balance is too low to access the API.", QuotaSpent),
        anthropic(400, INVALID, "You have reached your specified API usage limits.", QuotaSpent),
        anthropic(400, INVALID, "This organization has been disabled.", Forbidden),
        anthropic(401, "authentication_error", "invalid x-api-key", KeyRefused),
        anthropic(402, "billing_error", "There's an issue with your payment.", QuotaSpent),
        anthropic(403, "permission_error", "Your API key does not have permission.", Forbidden),
        anthropic(404, "not_found_error", "model: claude-x", ModelGone),
        anthropic(413, "request_too_large", "Request exceeds the maximum size.", BadRequest),
        anthropic(429, "rate_limit_error", "It would exceed 50,000 tokens a minute.", RateLimited),
        anthropic(429, "rate_limit_error", "It has exceeded your daily rate limit.", QuotaSpent),
        anthropic(500, "api_error", "Internal server error", Overloaded),
        anthropic(504, "timeout_error", "Request timed out", Overloaded),
        anthropic(529, "overloaded_error", "Overloaded", Overloaded),
        anthropic(400, INVALID, "prompt is too long: 210000 tokens > 200000 maximum", BadRequest),
        anthropic(400, INVALID, "Output blocked by content filtering policy", ContentRefused),
        anthropic(400, INVALID, "'claude-x' does not support output format.", FormatRefused),
        anthropic(400, INVALID, "messages: text must be non-empty", BadRequest),
        gemini(400, BAD, "API key expired. Please renew the API key.", KeyRefused),
        gemini(
            400,
            BAD,
            "It is not one.",
            KeyRefused,
            {"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
        gemini(400, "FAILED_PRECONDITION", "User location is not supported.", Forbidden),
        gemini(400, "FAILED_PRECONDITION", "It is not available in your country.", Forbidden),
        gemini(403, "PERMISSION_DENIED", "Your API key was reported as leaked.", Forbidden),
        gemini(404, "NOT_FOUND", "models/m is not found for API version v1beta", ModelGone),
        gemini(429, "RESOURCE_EXHAUSTED", OVER, QuotaSpent, *quota("RequestsPerDayPerModel")),
        gemini(429, "RESOURCE_EXHAUSTED", OVER, RateLimited, *quota("RequestsPerMinutePerModel")),
        gemini(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", QuotaSpent),
        gemini(429, "RESOURCE_EXHAUSTED", "It exceeded its monthly spending cap.", QuotaSpent),
        gemini(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Try again later.", RateLimited),
        gemini(499, "CANCELLED", "The operation was cancelled.", Overloaded),
        gemini(500, "INTERNAL", "An internal error has occurred.", Overloaded),
        gemini(503, "UNAVAILABLE", "The model is overloaded.", Overloaded),
        gemini(504, "DEADLINE_EXCEEDED", "Deadline expired.", Overloaded),
        gemini(400, BAD, "JSON mode is not enabled for models/m", FormatRefused),
        gemini(400, BAD, "The specified schema has too many states for serving.", FormatRefused),
        gemini(400, BAD, "The input token count exceeds the maximum number allowed", BadRequest),
        openai(400, "invalid_prompt", "Your prompt was flagged.", ContentRefused),
        openai(400, "context_length_exceeded", "Your input is too long.", BadRequest),
        openai(400, "invalid_json_schema", "Invalid schema for text.format", FormatRefused),
        openai(404, None, "This model is only supported in v1/responses.", ModelGone),
        openai(429, "insufficient_quota", OVER, QuotaSpent),
        openai(429, "rate_limit_exceeded", f"{ROWS} Please try again in 7m12s.", RateLimited),
        openai(429, "rate_limit_exceeded", "Rate limit exceeded: models-per-day", QuotaSpent),
        openai(429, "rate_limit_exceeded", "Limit 30000, Requested 31200.", TooLong),
        openai(503, "server_is_overloaded", "The server is overloaded", Overloaded),
    ],
    ids=lambda found: str(found[0])[:60],
)
def test_an_error_is_what_its_vendor_means(found: Found):
    error, kind = found
    assert type(error) is kind, str(error)


@pytest.mark.parametrize(
    ("found", "is_barred"),
    [
        (anthropic(400, INVALID, "This organization has been disabled.", Forbidden), True),
        (gemini(400, "FAILED_PRECONDITION", "User location is not supported.", Forbidden), True),
        (gemini(403, "PERMISSION_DENIED", "Your project has been denied access.", Forbidden), True),
        (openai(403, "unsupported", "Country or region not supported", Forbidden), True),
        (gemini(403, "PERMISSION_DENIED", "Your API key was reported.", Forbidden), False),
    ],
)
def test_an_account_that_is_barred_is_told_from_a_key(found: Found, is_barred: bool):
    error, _ = found
    assert isinstance(error, Forbidden)
    assert (error.names_key, error.is_barred) == (True, is_barred)


def test_gemini_says_in_its_details_how_long_to_wait():
    error, _ = gemini(429, "RESOURCE_EXHAUSTED", OVER, RateLimited, *quota("PerMinute"))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 34.07


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("seed: Extra inputs are not permitted", "seed"),
        ("thinking.adaptive.budget: Extra inputs are not permitted", "thinking"),
        ("`temperature` may only be set to 1 when thinking is enabled.", "temperature"),
        ("`temperature` is not supported with extended thinking", "temperature"),
        ("adaptive thinking is not supported on this model", "reasoning_effort"),
        ("This model does not support the effort parameter.", "reasoning_effort"),
        ("Thinking level is not supported for this model.", "reasoning_effort"),
        ("Budget 0 is invalid. It only works in thinking mode.", "reasoning_effort"),
        ("Unknown name \"topX\" at 'generation_config': Cannot find field.", "topX"),
    ],
)
def test_the_field_that_a_vendor_means_is_known(words: str, name: str):
    error, _ = anthropic(400, INVALID, words, ParameterRefused)
    assert isinstance(error, ParameterRefused)
    assert error.name == name


def test_an_effort_that_responses_does_not_take_is_known_by_its_place():
    error = {"code": "unsupported_value", "param": "reasoning.effort", "message": "No 'minimal'."}
    found = error_of(400, orjson.dumps({"error": error}), {})
    assert isinstance(found, ParameterRefused)
    assert found.name == "reasoning_effort"
