"""Requests, answers and stores for these tests."""

import shutil
from pathlib import Path
from typing import Any

from annotator.request.answer import Answer, Failure, Usage
from annotator.request.key import Question, Request, endpoint_of, make_request
from annotator.request.store import ResponseStore

ENDPOINT = endpoint_of("http://localhost/v1")
FAILURE = Failure(reason="bad_request", detail="400: no")


def a_question(**changes: Any) -> Question:
    parts: dict[str, Any] = {"model": "any-model", "system": "", "user": "one", "options": {}}
    return Question(**{**parts, **changes})


def a_request(user: str = "one") -> Request:
    return make_request(ENDPOINT, a_question(user=user))


def an_answer(text: str = "yes", **changes: Any) -> Answer:
    parts: dict[str, Any] = {
        "finish": "stop",
        "model": "any-model",
        "usage": Usage(prompt=10, completion=5),
        "mode": "online",
        "asked_at": 1_700_000_000,
    }
    return Answer(text=text, **{**parts, **changes})


def a_key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def on_disk(store: ResponseStore, copy: Path) -> ResponseStore:
    """What another process would find now: a reader of a copy of the store's file."""
    copy.mkdir()
    shutil.copy(store.path / "data.mdb", copy / "data.mdb")
    return ResponseStore.open(copy, write=False)
