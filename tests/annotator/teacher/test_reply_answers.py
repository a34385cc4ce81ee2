"""A 200 reply is an answer if it says one, however little and however oddly it says the rest."""

import gzip
import json
import zlib
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.errors import (
    BadRequest,
    BrokenOff,
    ContentRefused,
    Forbidden,
    KeyRefused,
    ModelGone,
    Overloaded,
    PageInstead,
    QuotaSpent,
    RateLimited,
    TeacherError,
    Unreadable,
)
from stepdistill.annotator.store.answer import Answer, Ending, Usage, ending_of
from tests.annotator.teacher.replies import USAGE, a_reply, read


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


def test_what_is_new_on_the_wire_does_no_harm():
    assert read(a_reply({"annotations": []}, service_tier="default", new=[1])).text == "yes"


def test_a_number_that_json_does_not_know_does_no_harm_where_nobody_looks():
    body = a_reply(logprobs="nan").replace(b'"nan"', b"NaN")

    assert read(body) == read(a_reply())


def in_parts(*parts: object) -> bytes:
    return a_reply({"content": list(parts)})


@pytest.mark.parametrize(
    ("body", "text", "thoughts"),
    [
        (in_parts({"type": "text", "text": "a b"}), "a b", None),
        (in_parts({"type": "text", "text": "a "}, "b"), "a b", None),
        (in_parts({"type": "output_text", "text": {"value": "a"}}), "a", None),
        (in_parts({"type": "thinking", "thinking": "hm"}, {"text": "a"}), "a", "hm"),
        (
            in_parts(
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "a"},
                {"type": "reference", "reference_ids": [1]},
            ),
            *("a", "hm"),
        ),
        (in_parts(), "", None),
        (a_reply({"content": {"type": "text", "text": "a"}}), "a", None),
        (a_reply({"content": {"label": "é"}}), '{"label": "é"}', None),
        (a_reply({"content": 7}), "7", None),
        (a_reply({"content": None, "refusal": ["no"]}), "", None),
        (a_reply({"content": "", "reasoning_content": "hm"}), "", "hm"),
    ],
)
def test_the_text_is_found_in_whatever_shape_it_has(body: bytes, text: str, thoughts: str | None):
    answer = read(body)

    assert (answer.text, answer.thoughts) == (text, thoughts)


def test_an_answer_that_was_put_among_the_thoughts_is_read_there():
    assert read(a_reply({"content": "", "reasoning_content": "hm"})).words == "hm"
    assert read(a_reply({"content": "yes", "reasoning_content": "hm"})).words == "yes"


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({"model": None}, "asked"),
        ({"model": 7.5}, "7.5"),
        ({"id": None}, "m-1"),
        ({"id": 1}, "m-1"),
    ],
)
def test_what_only_describes_an_answer_may_be_missing(changes: dict[str, Any], model: str):
    answer = read(a_reply(**changes))

    assert (answer.text, answer.model) == ("yes", model)


PLAIN = a_reply()
DEEP = b'{"choices": [{"message": {"content": %b1%b}}]}' % (b'{"a": ' * 990, b"}" * 990)
PACKED = gzip.compress(PLAIN, mtime=0)
ENDED = a_reply({"content": "a\nZZ"})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\xef\xbb\xbf" + PLAIN, "yes"),
        (b"\r\n \n" + PLAIN, "yes"),
        (json.dumps(json.loads(PLAIN)).encode("utf-16"), "yes"),
        (PACKED, "yes"),
        (zlib.compress(PLAIN), "yes"),
        (zstandard.compress(PLAIN), "yes"),
        (b"[" + PLAIN + b"]", "yes"),
        (b": a comment that keeps the line open\n\n" + PLAIN, "yes"),
        (PLAIN + b'{"trailing": true}', "yes"),
        (PLAIN[:-1] + b', "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "yes"),
        (PLAIN[:-40], "yes"),  # only the usage is torn
        (ENDED.replace(b"ZZ", b"\\ud83d"), "a\n\N{REPLACEMENT CHARACTER}"),
        (ENDED.replace(b"ZZ", b"\\ud83d\\ude00"), "a\n\N{GRINNING FACE}"),
        (ENDED.replace(b"ZZ", b"\xff\xe9"), "a\n" + "\N{REPLACEMENT CHARACTER}" * 2),
        (ENDED.replace(b"\\n", b"\n"), "a\nZZ"),
        (PLAIN.replace(b'"m-1"', b'"\\udc80"'), "yes"),
        (orjson.dumps({"choices": [{"text": "yes", "finish_reason": "stop"}]}), "yes"),
    ],
)
def test_an_answer_is_taken_out_of_whatever_stands_around_it(body: bytes, text: str):
    assert read(body).text == text


def test_deflate_may_come_without_its_head():
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(PLAIN) + packer.flush()

    assert read(body, **{"content-encoding": "deflate"}).text == "yes"
    assert read(PLAIN, **{"content-encoding": "deflate"}).text == "yes", "it was undone already"


def a_stream(*deltas: dict[str, Any], finish: str | None = "stop", end: str = "") -> bytes:
    choices: list[dict[str, Any]] = [{"delta": each, "finish_reason": None} for each in deltas]
    choices.append({"delta": {}, "finish_reason": finish})
    chunks: list[dict[str, Any]] = [{"model": "m-1", "choices": [choice]} for choice in choices]
    chunks.append({"choices": [], "usage": USAGE})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return ("".join(lines) + end).encode()


def test_an_event_stream_that_nobody_asked_for_is_put_together():
    answer = read(
        a_stream({"role": "assistant", "content": ""}, {"reasoning": "h"}, {"reasoning": " m"},
                 {"content": "y"}, {"content": "es"}, end="data: [DONE]\n\n")
    )  # fmt: skip

    assert (answer.text, answer.thoughts, answer.finish) == ("yes", "h m", "stop")
    assert (answer.model, answer.usage.prompt) == ("m-1", 12)
    assert read(a_stream({"content": "no"}, finish="length")).ending == "truncated"


def test_one_that_breaks_off_is_none():
    with pytest.raises(Unreadable, match=r"event stream.*breaks off"):
        read(a_stream({"content": "y"}, finish=None))


@pytest.mark.parametrize(
    ("finish", "ending"),
    [
        *((each, "whole") for each in ("stop", "STOP", "eos_token", "end_turn", "tool_calls", 1)),
        *((each, "whole") for each in ("", "null", "FINISH_REASON_STOP", {"type": "stop"}, "odd")),
        *((each, "truncated") for each in ("length", "MAX_TOKENS", "model_length", "token-limit")),
        *((each, "truncated") for each in ("max_output_tokens", {"type": "length", "length": 9})),
        *((each, "filtered") for each in ("content_filter", "SAFETY", "RECITATION", "blocklist")),
        *((each, "filtered") for each in ("PROHIBITED_CONTENT", "guardrail_intervened")),
        ("refusal", "refused"),
    ],
)
def test_how_an_answer_ended_is_known_by_whatever_name(finish: object, ending: Ending):
    assert read(a_reply(finish_reason=finish)).ending == ending


@pytest.mark.parametrize(
    "finish", ["abort", "error", "insufficient_system_resource", "USER_CANCEL", "network_error"]
)
def test_an_answer_that_the_server_gave_up_is_asked_for_again(finish: str):
    assert ending_of(finish) == "broken"
    with pytest.raises(BrokenOff, match=finish) as broken:
        read(a_reply(finish_reason=finish))

    assert broken.value.may_be_paid


def an_error(**fields: Any) -> bytes:
    return orjson.dumps({"id": None, "choices": None, "usage": None, "error": fields or "No more."})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (an_error(code=429, message="slow"), RateLimited),
        (an_error(code="429", message="slow"), RateLimited),
        (an_error(status="RESOURCE_EXHAUSTED", message="slow"), RateLimited),
        (an_error(message="Rate limit exceeded"), RateLimited),
        (an_error(code=502, message="no"), Overloaded),
        (an_error(status="UNAVAILABLE"), Overloaded),
        (an_error(message="The model is overloaded"), Overloaded),
        (an_error(code=402, message="no"), QuotaSpent),
        (an_error(code="insufficient_quota", message="no"), QuotaSpent),
        (an_error(code=401, message="no"), KeyRefused),
        (an_error(code="invalid_api_key", message="no"), KeyRefused),
        (an_error(status="PERMISSION_DENIED", message="no"), Forbidden),
        (an_error(code=404, message="no"), ModelGone),
        (an_error(code=400, message="the prompt is too long"), BadRequest),
        (an_error(status="INVALID_ARGUMENT", message="no"), BadRequest),
        (an_error(code="content_filter", message="no"), ContentRefused),
        (an_error(message="wumpus"), Unreadable),
        (an_error(), Unreadable),
        (b'[{"error": {"code": 429}}]', RateLimited),
        (b'{"base_resp": {"status_code": 1004, "status_msg": "login fail"}}', KeyRefused),
        (b'data: {"error": {"code": 429}}\n\ndata: [DONE]', RateLimited),
        (b'{"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}', ContentRefused),
    ],
)
def test_an_error_in_a_good_reply_goes_by_its_own_code(body: bytes, kind: type[TeacherError]):
    with pytest.raises(TeacherError) as error:
        read(body)

    assert type(error.value) is kind


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"<html><title>Sign  in</title><body>x</body></html>", "HTML page, titled 'Sign in'"),
        (b"null", "without an answer"),
        (b"[]", "a list"),
        (b"{}", "has nothing"),
        (b'{"model": "m", "choices": []}', "has model, choices"),
        (b'{"model": "m", "choices": [{}]}', "without an answer"),
        (b'{"error": {"message": "no"}}', "200: no"),
        (b"\xff\xfe", "empty"),
        (PLAIN[:60], "breaks off"),
        (PACKED[:-20], "compressed body that has no end"),
        (b"[" * 100_000, "breaks off"),
        (
            b'{"choices": [{"message": {"content": %b1%b}}]}' % (b'{"a": ' * 990, b"}" * 990),
            "deeply",
        ),
    ],
)
def test_a_body_without_an_answer_is_named_as_what_it_is(body: bytes, words: str):
    with pytest.raises(Unreadable, match=words) as error:
        read(body)

    assert error.value.may_be_paid
    assert not set("\n<{") & set(str(error.value))
    assert len(str(error.value)) <= 300


def test_a_page_is_the_teacher_s_and_a_compression_is_named():
    with pytest.raises(PageInstead):
        read(b"<!DOCTYPE html><p>Welcome")
    with pytest.raises(Unreadable, match="compressed with br"):
        read(b"\x8b\x02\x80", **{"content-encoding": "br"})


@given(st.binary(max_size=200))
def test_no_body_at_all_is_worse_than_no_answer(body: bytes):
    with pytest.raises(TeacherError):
        read(body)


_ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=9,
)


@given(_ANY, st.sampled_from(["content", "refusal", "reasoning_content"]))
def test_no_message_makes_the_reading_itself_fail(value: object, name: str):
    body = json.dumps(json.loads(a_reply()) | {"choices": [{"message": {name: value}}]})

    assert isinstance(read(body.encode()), Answer)


@given(_ANY, st.sampled_from(["model", "usage", "id", "choices", "error"]))
def test_no_envelope_makes_the_reading_itself_fail(value: object, name: str):
    body = json.dumps(json.loads(a_reply()) | {name: value}).encode()
    try:
        read(body)
    except TeacherError:
        assert name == "choices"
