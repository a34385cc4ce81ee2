"""Every bad status is told into the class that says what to do about it."""

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
    ModelGone,
    NotAuthorised,
    Overloaded,
    QuotaSpent,
    RateLimited,
    TeacherError,
    Transient,
)
from stepdistill.annotator.teacher.reply import error_of, retry_after_s

QUOTA = "insufficient_quota"


def an_error(status: int, code: Any = None, kind: str = "some_error") -> TeacherError:
    error = {"message": "The words.", "type": kind, "param": None, "code": code}
    return error_of(status, orjson.dumps({"error": error}), {})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (an_error(401, "invalid_api_key"), NotAuthorised),
        (an_error(403), NotAuthorised),
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
        *((an_error(status), Overloaded) for status in (408, 409, 500, 502, 503, 504, 529)),
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
        (b"<html>\n<h1>502  Bad Gateway</h1></html>", "502 Bad Gateway"),
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
    assert "\n" not in line


def test_a_long_error_is_cut():
    body = orjson.dumps({"error": {"message": "word " * 1000}})

    assert len(str(error_of(400, body, {}))) < 400
    assert len(str(error_of(400, b"x" * 10_000, {}))) < 400


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


@given(st.integers(300, 599), st.binary(max_size=60), st.text(max_size=40))
def test_no_reply_at_all_makes_the_reading_itself_fail(status: int, body: bytes, when: str):
    headers = {"retry-after": when, "retry-after-ms": when}

    assert isinstance(error_of(status, body, headers), TeacherError)
    waits = retry_after_s(headers)
    assert waits is None or waits >= 0
