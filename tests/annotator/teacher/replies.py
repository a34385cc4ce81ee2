"""Replies of a teacher with status 200, and how they are read."""

from typing import Any

import orjson

from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.value import payload_of
from stepdistill.annotator.teacher.reply import ReplyContext, read_answer

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


def read(body: bytes, **headers: str) -> Answer:
    """The answer, which can always be stored."""
    answer = read_answer(body, ReplyContext(512, "asked", "online", "req_1", headers))
    assert payload_of(answer)
    return answer
