"""Every bad status is told into the class that says what to do about it."""

import gzip
import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.errors import (
    BadRequest,
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
    Transient,
)
from stepdistill.annotator.teacher.error_reply import error_of, retry_after_s

QUOTA = "insufficient_quota"
_PASSING = (0, 100, 408, 409, 425, 498, 499, 500, 502, 503, 504, 529)


def an_error(status: int, code: Any = None, kind: str = "some_error") -> TeacherError:
    error = {"message": "The words.", "type": kind, "param": None, "code": code}
    return error_of(status, orjson.dumps({"error": error}), {})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (an_error(401, "invalid_api_key"), KeyRefused),
        (an_error(403), Forbidden),
        (an_error(429), RateLimited),
        (an_error(429, "rate_limit_exceeded"), RateLimited),
        (an_error(429, "slow_down"), RateLimited),
        (an_error(429, QUOTA), QuotaSpent),
        (an_error(429, None, QUOTA), QuotaSpent),
        (an_error(429, "organization_spend_limit_exceeded"), QuotaSpent),
        (an_error(404), ModelGone),
        (an_error(404, "model_not_found"), ModelGone),
        (an_error(400, "model_not_found"), ModelGone),
        (an_error(400, "content_filter"), ContentRefused),
        (an_error(400, "content_policy_violation"), ContentRefused),
        (an_error(400, "invalid_value"), BadRequest),
        (an_error(400, 400), BadRequest),
        (an_error(413), BadRequest),
        (an_error(422), BadRequest),
        *((an_error(status), Overloaded) for status in _PASSING),
    ],
)
def test_a_status_and_a_code_are_one_kind_of_error(error: TeacherError, kind: type[TeacherError]):
    assert type(error) is kind
    assert "The words." in str(error)


def test_a_spent_quota_ends_the_run_as_resumable():
    assert an_error(429, QUOTA).exit_code == 3
    assert an_error(401).exit_code == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>\n<h1>502  Bad Gateway</h1></html>", "HTML page, titled '502 Bad Gateway'"),
        (
            b"<!doctype html><script>x</script><p>Not <b>let</b> in &amp; out",
            "page: Not let in & out",
        ),
        (b"<?xml version='1.0'?><Error><Message>Slow</Message></Error>", "XML document: Slow"),
        (b"\xef\xbb\xbf just words\r\n", "just words"),
        (b'[{"error": {"message": "in a list"}}]', "in a list"),
        (b'{"object": "error", "message": "at the top", "code": 500}', "at the top"),
        (b'{"message": {"detail": [{"loc": ["body", "n"], "msg": "too many"}]}}', "n: too many"),
        (b'{"errors": [{"code": 1, "message": "one"}, "two"]}', "one; two"),
        (
            b'{"error": {"message": "P.", "metadata": {"raw": "{\\"error\\": \\"raw\\"}"}}}',
            "P.: raw",
        ),
        (
            b'{"error": {"message": "Got - {\\"error\\": {\\"message\\": \\"this\\"}}"}}',
            "Got: this",
        ),
        (b'{"error": "code 400 - {\'message\': \\"it\'s\\"}"}', "code 400: it's"),
        (b'data: {"error": {"message": "in a stream"}}\n\n', "in a stream"),
        (gzip.compress(b'{"error": "packed"}', mtime=0), "packed"),
        (gzip.compress(b'{"error": "packed"}', mtime=0)[:-9], "no end"),
        (b'{"error": {"message": "half \\ud83d of it"}}', "half \N{REPLACEMENT CHARACTER} of it"),
        (b'{"detail": "Not here"}', "Not here"),
        (b'{"error": "just words"}', "just words"),
        (b'{"error": null}', "error"),
        (b'{"error": {"message": "two\\n lines"}}', "two lines"),
        (b"\xff\xfe", "500"),
        (b"", "500"),
    ],
)
def test_an_error_in_any_shape_is_one_short_line(body: bytes, words: str):
    line = str(error_of(500, body, {}))

    assert words in line
    assert not set("\n<{") & set(line)


def test_a_long_error_is_cut_between_words():
    body = orjson.dumps({"error": {"message": "word " * 1000}})

    assert str(error_of(500, body, {})).endswith(" word...")
    assert len(str(error_of(400, body, {}))) <= 300
    assert len(str(error_of(400, b"x" * 10_000, {}))) <= 300


def worded(number: int, *words: str, **fields: Any) -> TeacherError:
    return error_of(number, orjson.dumps({"error": {"message": " ".join(words), **fields}}), {})


LONG = "This model's maximum context length is 2048 tokens. However, you requested 2723 tokens."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (worded(400, "API key not valid. Please pass a valid API key."), KeyRefused),
        (worded(400, "the API key is not a valid one", status="INVALID_ARGUMENT"), KeyRefused),
        (worded(400, "You didn't provide an API key."), KeyRefused),
        (worded(500, "x", details=[{"reason": "API_KEY_INVALID"}]), KeyRefused),
        (worded(407, "who are you?"), NotAuthorised),
        (worded(400, "Your credit balance is too low to access the API."), QuotaSpent),
        (worded(402, "Insufficient Balance"), QuotaSpent),
        (worded(403, "Key limit exceeded (monthly limit)"), QuotaSpent),
        (worded(400, "Budget has been exceeded! Current cost: 2, Max budget: 1"), QuotaSpent),
        (worded(429, "You exceeded your current quota.", status="RESOURCE_EXHAUSTED"), RateLimited),
        (worded(400, "some-9.1-model is not a valid model ID"), ModelGone),
        (worded(400, "Model Not Exist"), ModelGone),
        (worded(400, "The model `llama-3.1-8b` has been decommissioned."), ModelGone),
        (worded(400, "Invalid model name passed in model=x"), ModelGone),
        (worded(503, "The model is not loaded yet"), Overloaded),
        (worded(403, "Your input requires moderation and was flagged"), ContentRefused),
        (worded(400, "x", innererror={"code": "ResponsibleAIPolicyViolation"}), ContentRefused),
        (worded(403, "Your organization was flagged"), Forbidden),
        (worded(400, LONG, "Please reduce the length of the messages."), BadRequest),
        (worded(500, "the request exceeds the available context size"), BadRequest),
        (worded(429, "Too many input tokens, please wait"), RateLimited),
        (worded(413, "Request too large: Limit 6000, Requested 7535"), TooLong),
        (worded(429, "Request too large for m: Limit 30,000, Requested 31,200."), TooLong),
        (worded(429, "Limit 30000, Used 29000, Requested 1500."), RateLimited),
        (worded(400, "'response_format' is not supported"), FormatRefused),
        (worded(400, "max_tokens is too large: 512"), BadRequest),
        (worded(400, "Invalid 'messages[0].content': expected a string"), BadRequest),
    ],
)
def test_the_words_say_what_the_status_does_not(error: TeacherError, kind: type[TeacherError]):
    assert type(error) is kind


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"error": {"code": "unsupported_parameter", "param": "max_tokens"}}, "max_tokens"),
        ({"error": "'max_tokens' is not supported. Use 'max_completion_tokens'."}, "max_tokens"),
        ({"error": "Unsupported value: 'temperature' does not support 0.2"}, "temperature"),
        ({"error": "Unrecognized request argument supplied: seed"}, "seed"),
        ({"error": "property 'logprobs' is unsupported"}, "logprobs"),
        ({"error": "Unknown parameter: 'my_own_option'."}, "my_own_option"),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "No"}]}, "top_k"),
        ({"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'top_k')}]"}, "top_k"),
    ],
)
def test_a_field_that_is_not_taken_is_named(body: object, name: str):
    error = error_of(400, orjson.dumps(body), {})

    assert isinstance(error, ParameterRefused)
    assert error.name == name


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "You are not allowed to request logprobs from this model"),
        (400, "Logprobs is not enabled for models/gemini-2.5-flash-lite"),
        (400, "Unable to submit request because Logprobs is not supported for this model."),
        (400, "`logprobs` is not supported with this model"),
        (400, "Requested sample logprobs of 20, which is greater than max allowed: 5"),
        (422, "top_logprobs: Input should be less than or equal to 5"),
        (400, "response_logprobs is not available in this region"),
    ],
)
def test_log_probabilities_that_are_not_told_are_named(status: int, words: str):
    error = error_of(status, orjson.dumps({"error": {"message": words}}), {})
    assert isinstance(error, ParameterRefused)
    assert error.name == "logprobs"


@pytest.mark.parametrize(
    ("body", "names_key"),
    [
        (b"<!DOCTYPE html><title>Request refused: permission denied</title>", False),
        (b'{"error": {"message": "No."}}', False),
        (b'{"error": {"message": "Permission denied", "status": "PERMISSION_DENIED"}}', True),
        (b'{"message": "This API key may not use this model"}', True),
    ],
)
def test_a_403_says_whether_it_speaks_of_the_key(body: bytes, names_key: bool):
    error = error_of(403, body, {})

    assert isinstance(error, Forbidden)
    assert error.names_key is names_key


def test_a_redirect_says_where_to():
    where = {"location": "https://teacher.example/v1/chat/completions"}

    assert "is at https://teacher.example/v1 (307)" in str(error_of(307, b"", where))


def test_no_money_for_now_is_waited_for():
    error = error_of(402, b"", {"retry-after": "3"})

    assert (type(error), getattr(error, "retry_after_s", 0)) == (RateLimited, 3)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (worded(429, "Slow down. Please try again in 1m2.5s."), 62.5),
        (worded(503, "Please retry after 9 seconds."), 9),
        (worded(429, "Try again later"), None),
        (worded(429, "x", details=[{"@type": "RetryInfo", "retryDelay": "34s"}]), 34),
    ],
)
def test_how_long_to_wait_may_stand_in_the_words(error: TeacherError, seconds: float | None):
    assert isinstance(error, Transient)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_teacher_s_wish_to_wait_is_heard(status: int):
    error = error_of(status, b"", {"retry-after": "7"})

    assert isinstance(error, Transient)
    assert error.retry_after_s == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after-ms": "-Infinity"}, None),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "120ms"}, 0.12),
        ({"retry-after": "2h"}, 7200.0),
        ({"retry-after": "6m0.5s"}, 360.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "3 apples"}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
        ({"retry-after": "Mon, 99 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}, None),
    ],
)
def test_every_way_to_say_when_is_understood(headers: dict[str, str], seconds: float | None):
    assert retry_after_s(headers) == pytest.approx(seconds)


def test_a_date_is_so_many_seconds_away():
    waits = retry_after_s({"retry-after": formatdate(time.time() + 100, usegmt=True)})

    assert waits == pytest.approx(100, abs=3)


@given(st.integers(0, 999), st.binary(max_size=60), st.text(max_size=40))
def test_no_reply_at_all_makes_the_reading_itself_fail(status: int, body: bytes, when: str):
    headers = {"retry-after": when, "retry-after-ms": when}

    assert isinstance(error_of(status, body, headers), TeacherError)
    waits = retry_after_s(headers)
    assert waits is None or waits >= 0
