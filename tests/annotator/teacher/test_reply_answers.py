"""A 200 reply is an answer if it says one, however little else it says; else it is asked again."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.errors import Unreadable
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.teacher.reply import read_answer

USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def a_reply(message: dict[str, Any] | None = None, **changes: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "yes", **(message or {})},
        "finish_reason": changes.pop("finish_reason", "stop"),
    }
    reply = {"id": "x", "model": "m-1", "choices": [choice], "usage": USAGE, **changes}
    return orjson.dumps(reply)


def read(body: bytes) -> Answer:
    return read_answer(body, limit=512, request_id="req_1")


def test_a_whole_reply_is_read_whole():
    answer = read(a_reply())

    assert (answer.text, answer.finish, answer.model) == ("yes", "stop", "m-1")
    assert answer.usage == Usage(prompt=12, completion=7, cached=4, reasoning=3, written=2)
    assert (answer.mode, answer.limit, answer.request_id) == ("online", 512, "req_1")
    assert answer.asked_at > 1_700_000_000


@pytest.mark.parametrize("finish", ["length", "content_filter", "tool_calls"])
def test_how_the_answer_ended_is_kept(finish: str):
    assert read(a_reply(finish_reason=finish)).finish == finish


def test_an_answer_without_an_ending_counts_as_ended():
    assert read(a_reply(finish_reason=None)).finish == "stop"


def test_no_content_is_an_empty_answer():
    assert read(a_reply({"content": None})).text == ""


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_was_thought_apart_is_kept(name: str):
    assert read(a_reply({name: "It says so."})).thoughts == "It says so."
    assert read(a_reply({name: None})).thoughts is None
    assert read(a_reply({name: [{"type": "odd"}]})).thoughts is None


def test_a_refusal_is_kept_as_one_with_its_words():
    answer = read(a_reply({"content": None, "refusal": "I cannot."}))

    assert (answer.finish, answer.text) == ("refusal", "I cannot.")


@pytest.mark.parametrize(
    "usage",
    [
        *(None, {}, [1], {"prompt_tokens_details": None}, {"prompt_tokens": float("inf")}),
        {"prompt_tokens_details": {"cached_tokens": None}},
        {"prompt_tokens_details": "few"},
    ],
)
def test_an_answer_without_usage_counts_no_tokens(usage: dict[str, Any] | None):
    assert read(a_reply(usage=usage)).usage == Usage(is_whole=False)


@pytest.mark.parametrize(
    "odd",
    [None, -1, True, 2.5, "many", [7], {"n": 7}, 1 << 31, 1 << 62, 1e300],
)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_cannot_be_is_unknown_and_the_answer_is_kept(name: str, odd: object):
    answer = read(a_reply(usage={"prompt_tokens": 12, "completion_tokens": 7, name: odd}))

    assert answer.text == "yes"
    assert answer.unknown == (name == "prompt_tokens", name == "completion_tokens")
    assert (answer.usage.prompt, answer.usage.completion) == (
        0 if answer.unknown[0] else 12,
        0 if answer.unknown[1] else 7,
    )


def test_no_tokens_are_a_count_only_of_no_text():
    usage = {"prompt_tokens": 12, "completion_tokens": 0}
    silent = {"prompt_tokens": 12}

    assert read(a_reply({"content": None}, usage=usage)).is_counted
    assert not read(a_reply({"content": None, "reasoning": "Hm."}, usage=usage)).is_counted
    assert not read(a_reply(usage=usage)).is_counted
    assert not read(a_reply({"content": None}, usage=silent)).is_counted
    assert not read(a_reply(usage={"prompt_tokens": 0, "completion_tokens": 7})).is_counted


@pytest.mark.parametrize(
    ("more", "completion"),
    [
        ({"total_tokens": 19}, 7),
        ({"total_tokens": 3}, 7),
        ({"total_tokens": 219}, 207),
        ({"completion_tokens_details": {"reasoning_tokens": 5}}, 7),
        ({"completion_tokens_details": {"reasoning_tokens": 200}}, 207),
        ({"total_tokens": 219, "completion_tokens_details": {"reasoning_tokens": 200}}, 207),
    ],
)
def test_what_is_thought_beside_the_completion_is_counted(more: dict[str, Any], completion: int):
    usage = {"prompt_tokens": 12, "completion_tokens": 7, **more}

    assert read(a_reply(usage=usage)).usage.completion == completion


@pytest.mark.parametrize("cached", [-4, True, 4.5, 1 << 62])
def test_what_was_cached_is_part_of_the_prompt_or_nothing(cached: object):
    details = {"cached_tokens": cached, "cache_write_tokens": 900}
    used = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": details}
    usage = read(a_reply(usage=used)).usage

    assert (usage.cached, usage.written) == (0, 12)


def test_what_is_new_on_the_wire_does_no_harm():
    assert read(a_reply({"annotations": []}, service_tier="default", new=[1])).text == "yes"


def test_a_number_that_json_does_not_know_does_no_harm_where_nobody_looks():
    body = a_reply(logprobs="nan").replace(b'"nan"', b"NaN")

    assert read(body) == read(a_reply())


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "12", "completion_tokens": 7.0},
        {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {}},
    ],
)
def test_tokens_are_counted_however_their_number_is_written(usage: dict[str, Any]):
    assert read(a_reply(usage=usage)).usage == Usage(prompt=12, completion=7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"model": "m", "choices": []}',
        b'{"model": "m", "choices": [{}]}',
        b'{"error": {"message": "no"}}',
        b"\xff\xfe",
        a_reply()[:-20],
        a_reply({"content": 7}),
        a_reply({"content": None, "refusal": ["no"]}),
        a_reply(finish_reason=1),
        a_reply(model=None),
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_answer_is_asked_for_again(body: bytes):
    with pytest.raises(Unreadable) as error:
        read(body)

    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@given(st.binary(max_size=200))
def test_no_body_at_all_is_worse_than_no_answer(body: bytes):
    with pytest.raises(Unreadable):
        read(body)
