"""Event streams that nobody asked for, in the dialects beside chat: whole, or not taken at all."""

from typing import Any

import orjson
import pytest

from stepdistill.annotator.errors import RateLimited, TeacherError, Unreadable
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.teacher.dialects.dialect import Dialect
from stepdistill.annotator.teacher.dialects.registry import DIALECTS
from stepdistill.annotator.teacher.reply import ReplyContext

STARTED: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 3, "output_tokens": 1},
    },
}
ANTHROPIC: list[dict[str, Any]] = [
    STARTED,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
    {"type": "content_block_delta", "index": 0, "delta": {"thinking": "Hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"thinking": "."}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 1, "delta": {"text": "Because "}},
    {"type": "content_block_delta", "index": 1, "delta": {"text": "no."}},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 12},
    },
    {"type": "message_stop"},
]
RESPONSE: dict[str, Any] = {
    "status": "completed",
    "model": "m-1",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Because no."}]},
    ],
    "usage": {
        "input_tokens": 13,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 12,
    },
}
RESPONSES: list[dict[str, Any]] = [
    {"type": "response.created", "response": {**RESPONSE, "status": "queued", "output": []}},
    {"type": "response.output_text.delta", "delta": "Because no."},
    {"type": "response.completed", "response": RESPONSE},
]
USED = {"promptTokenCount": 13, "cachedContentTokenCount": 3}
GEMINI: list[dict[str, Any]] = [
    {
        "candidates": [{"content": {"parts": [{"text": "Hm.", "thought": True}]}}],
        "usageMetadata": USED,
    },
    {"candidates": [{"content": {"parts": [{"text": "Because "}]}}]},
    {
        "candidates": [{"content": {"parts": [{"text": "no."}]}, "finishReason": "STOP"}],
        "usageMetadata": {**USED, "candidatesTokenCount": 12, "totalTokenCount": 25},
        "modelVersion": "m-1",
    },
]
STREAMS = {"anthropic": ANTHROPIC, "responses": RESPONSES, "gemini": GEMINI}


def sent(pieces: list[dict[str, Any]]) -> bytes:
    return b"".join(b"event: any\ndata: " + orjson.dumps(piece) + b"\n\n" for piece in pieces)


def read(name: str, body: bytes) -> Answer:
    context = ReplyContext(limit=70, model="any")
    by_name: dict[str, Dialect] = {**DIALECTS}
    return by_name[name].read(body, context)


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_stream_is_the_answer_that_it_amounts_to(name: str):
    answer = read(name, sent(STREAMS[name]))
    assert (answer.text, answer.thoughts, answer.ending) == ("Because no.", "Hm.", "whole")
    assert (answer.model, answer.usage) == ("m-1", Usage(13, 12, 3))


def test_gemini_sends_a_list_where_no_events_are_asked_for():
    assert read("gemini", orjson.dumps(GEMINI)).text == "Because no."


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("end", [1, 2])
def test_a_stream_that_breaks_off_is_no_answer(name: str, end: int):
    with pytest.raises(Unreadable, match="breaks off"):
        read(name, sent(STREAMS[name][:end]))


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("anthropic", STARTED, {"type": "error", "error": {"type": "rate_limit_error"}}),
        ("gemini", GEMINI[0], {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}),
        (
            "responses",
            RESPONSES[0],
            {
                "type": "response.failed",
                "response": {"status": "failed", "error": {"code": "rate_limit_exceeded"}},
            },
        ),
    ],
)
def test_an_error_in_a_stream_is_what_it_means(
    name: str, start: dict[str, Any], end: dict[str, Any]
):
    found: type[TeacherError] = RateLimited
    with pytest.raises(found):
        read(name, sent([start, end]))
