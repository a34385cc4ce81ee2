"""Requests are read as OpenAI reads them, and told apart by what they say."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.simulator.wire import (
    RefusedRequest,
    cut_answer,
    prompt_digest,
    read_chat,
    read_messages,
    read_object,
    stopped_at,
    token_count,
)
from tests.annotator.simulator.asking import chat_body

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
MESSAGES = st.lists(st.tuples(st.sampled_from(["system", "user"]), TEXTS), min_size=1, max_size=4)


@given(messages=MESSAGES)
def test_a_request_is_read_back_as_it_was_meant(messages: list[tuple[str, str]]):
    body = {
        "model": "m",
        "messages": [{"role": role, "content": text} for role, text in messages],
        "max_completion_tokens": 7,
    }

    asked = read_chat(read_object(orjson.dumps(body)))

    assert (asked.model, asked.max_tokens) == ("m", 7)
    assert read_messages(asked.body["messages"]) == messages
    assert asked.prompt_tokens == token_count(sum(len(text) for _, text in messages))


@given(one=MESSAGES, other=MESSAGES)
def test_different_prompts_have_different_digests(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
):
    assert (prompt_digest(one) == prompt_digest(other)) == (one == other)


def test_a_text_in_parts_is_the_same_prompt():
    parts = [{"type": "text", "text": "How "}, {"type": "text", "text": "many?"}]

    assert read_messages([{"role": "user", "content": parts}]) == [("user", "How many?")]


@pytest.mark.parametrize(
    ("raw", "message", "param"),
    [
        (b"{", "could not parse the JSON", None),
        (b"[]", "must be an object", None),
        (b'{"messages": []}', "must provide a model", None),
        (b'{"model": "m"}', "Missing required parameter: 'messages'", "messages"),
        (b'{"model": "m", "messages": 3}', "must be a list", "messages"),
        (b'{"model": "m", "messages": [3]}', "must be an object", "messages"),
        (b'{"model": "m", "messages": [{"content": "x"}]}', "needs a 'role'", "messages"),
        (b'{"model": "m", "messages": [{"role": "user"}]}', "needs a 'content'", "messages"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            "must be text",
            "messages",
        ),
        (orjson.dumps(chat_body("x", max_tokens=0)), "at least 1", "max_tokens"),
        (orjson.dumps(chat_body("x", stream=True)), "does not stream", "stream"),
    ],
)
def test_what_is_no_request_is_refused_by_name(raw: bytes, message: str, param: str | None):
    with pytest.raises(RefusedRequest) as refused:
        read_chat(read_object(raw))

    error = refused.value.error
    assert error.status == 400
    assert error.type == "invalid_request_error"
    assert message in error.message
    assert error.param == param


@given(raw=st.binary(max_size=80))
def test_any_bytes_that_are_no_request_are_refused(raw: bytes):
    with pytest.raises(RefusedRequest):
        read_chat(read_object(raw))


@pytest.mark.parametrize(
    ("stops", "text", "stop"),
    [
        (" three", "one two", " three"),
        (["three", "two"], "one ", "two"),
        (["four", "", 3], "one two three", None),
        (None, "one two three", None),
    ],
)
def test_an_answer_ends_at_the_first_stop(stops: object, text: str, stop: str | None):
    assert stopped_at("one two three", stops) == (text, stop)


@given(text=st.text(max_size=200), limit=st.integers(1, 60))
def test_a_cut_answer_keeps_the_limit_and_says_so(text: str, limit: int):
    answer = cut_answer(text, limit)

    assert text.startswith(answer.text)
    assert answer.tokens == token_count(len(answer.text)) <= limit
    assert (answer.finish_reason == "length") == (answer.text != text)
