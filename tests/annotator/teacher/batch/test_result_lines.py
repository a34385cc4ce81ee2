"""Lines of output and error files, read one by one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.errors import (
    BadRequest,
    BatchQueueFull,
    ContentRefused,
    KeyRefused,
    ModelGone,
    NotFound,
    Overloaded,
    ParameterRefused,
    QuotaSpent,
    RateLimited,
    TeacherError,
    Unreadable,
)
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.teacher.batch.collect import problem_of
from stepdistill.annotator.teacher.batch.part import BatchProblem, RemoteBatch
from stepdistill.annotator.teacher.batch.result_lines import read_result

KEY = bytes(range(32))
REPLY = {
    "model": "m",
    "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
}


def a_line(
    status: object = 200, body: object = REPLY, request_id: object = "req_1", **changes: object
) -> bytes:
    response = {"status_code": status, "request_id": request_id, "body": body}
    line: dict[str, Any] = {"id": "x", "custom_id": KEY.hex(), "response": response, "error": None}
    return json.dumps({**line, **changes}).encode()


def test_an_answer_is_one_of_a_batch():
    result = read_result(a_line(), limit=7)

    assert result is not None
    assert result.key == KEY
    assert isinstance(result.outcome, Answer)
    assert (result.outcome.text, result.outcome.mode, result.outcome.limit) == ("yes", "batch", 7)
    assert result.outcome.usage == Usage(prompt=5, completion=2)
    assert result.outcome.request_id == "req_1"


def error_body(code: str) -> dict[str, object]:
    return {"error": {"code": code, "message": "so it is", "type": "t"}}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (a_line(400, error_body("bad")), BadRequest),
        (a_line(400, error_body("content_filter")), ContentRefused),
        (a_line(429, error_body("rate_limit_exceeded")), RateLimited),
        (a_line(429, error_body("insufficient_quota")), QuotaSpent),
        (a_line(404, error_body("model_not_found")), ModelGone),
        (a_line(500, None), Overloaded),
        (a_line(0, {}), Overloaded),
        (a_line(200, {"error": {"code": 402, "message": "no"}}), QuotaSpent),
        (a_line(403, {"error": {"message": "it was flagged"}}), ContentRefused),
        (a_line(response=None, error={"code": 7, "message": {"odd": 1}}), Overloaded),
        (a_line(200, {"choices": []}), Unreadable),
        (a_line(200, None), Unreadable),
        (a_line(response=None, error={"code": "batch_expired"}), Overloaded),
        (a_line(response=None), Overloaded),
        (a_line(response=None, error="no slot was free"), Overloaded),
        (a_line(response=None, error={"code": "server_error", "message": "a bug"}), Overloaded),
        (a_line(response=None, error={"code": "rate_limit_exceeded"}), RateLimited),
        (a_line(response=None, error={"code": 429, "message": "slow down"}), RateLimited),
        (a_line(response=None, error={"code": "insufficient_quota"}), QuotaSpent),
        (a_line(response=None, error={"message": "Incorrect API key provided"}), KeyRefused),
        (a_line(response=None, error={"code": "content_filter"}), ContentRefused),
        (a_line(response=None, error={"code": 400, "message": "what is it"}), BadRequest),
        (a_line(response=None, error={"type": "invalid_request_error"}), BadRequest),
        (a_line(response=None, error={"message": "Unsupported parameter: seed"}), ParameterRefused),
        (a_line(response=None, error={"code": "model_not_found"}), ModelGone),
    ],
)
def test_each_error_is_what_it_would_be_online(line: bytes, error: type[TeacherError]):
    result = read_result(line, limit=7)

    assert result is not None
    assert result.key == KEY
    assert type(result.outcome) is error


@pytest.mark.parametrize("custom_id", ["", "stranger-1", "zz" * 32, KEY.hex()[:62]])
def test_a_custom_id_that_is_no_key(custom_id: str):
    result = read_result(a_line(custom_id=custom_id), limit=7)

    assert result is not None
    assert result.key is None


@given(st.binary(max_size=80) | st.integers(0, 200).map(lambda n: a_line()[:n]))
def test_whatever_is_no_line_is_nothing_and_raises_nothing(line: bytes):
    assert read_result(line, limit=7) is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (a_line().replace(b'"yes"', b'"\\ud83d yes"'), "\N{REPLACEMENT CHARACTER} yes"),
        (a_line()[:-40], "yes"),
        (a_line()[:-1] + b', "deep": ' + b"[" * 9_999 + b"]" * 9_999 + b"}", "yes"),
        (a_line(body=json.dumps(REPLY)), "yes"),
        (a_line(request_id=7, status="200"), "yes"),
        (a_line(status=201), "yes"),
        (a_line(error={"code": 0}), "yes"),
    ],
)
def test_an_answer_is_found_in_an_odd_line(line: bytes, text: str):
    result = read_result(line, limit=7, model="asked")

    assert result is not None
    assert result.key == KEY
    assert isinstance(result.outcome, Answer)
    assert result.outcome.text == text


FULL = "Enqueued token limit reached for m in organization o. Limit: 2,000,000 enqueued tokens."


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("token_limit_exceeded", FULL, BatchQueueFull),
        ("file_not_found", "Cannot find file", NotFound),
        ("billing_hard_limit_reached", "no money", QuotaSpent),
        ("model_not_found", "no such", ModelGone),
        ("invalid_json_line", "what is it", BadRequest),
        (None, None, BadRequest),
    ],
)
def test_why_a_batch_failed(code: str | None, message: str | None, error: type[TeacherError]):
    found = problem_of(BatchProblem(code=code, message=message))

    assert type(found) is error
    if isinstance(found, BatchQueueFull):
        assert found.limit_tokens == 2_000_000


def test_a_batch_may_say_next_to_nothing():
    batch = RemoteBatch.model_validate(
        {"id": "b", "status": "completed", "error_file_id": "", "output_file_id": None}
    )

    assert batch.ended
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert batch.problems == []
    assert batch.counts.total == 0
