"""Requests, answers and stores for these tests."""

import hashlib
import random
import shutil
from pathlib import Path
from typing import Any

from stepdistill.annotator.plan.key import Request, RequestForm, endpoint_of
from stepdistill.annotator.store.answer import Answer, Failure, Usage
from stepdistill.annotator.store.response_store import ResponseStore

ENDPOINT = endpoint_of("http://localhost/v1")
_WORDS = "".join(
    chr(97 + n % 26) * (1 + n % 3) + ("ing " if n % 7 else " ") for n in range(400)
).split()
FAILURE = Failure(reason="bad_request", detail="400: no")


def a_request(user: str = "one", *, system: str = "", **form: Any) -> Request:
    parts: dict[str, Any] = {"endpoint": ENDPOINT, "model": "any-model", "options": {}}
    return RequestForm(**{**parts, **form}).request(system, user)


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


def answers(start: int, stop: int) -> list[tuple[bytes, Answer]]:
    """Keys and answers that read like a teacher's: phrases that return, words that do not."""
    made: list[tuple[bytes, Answer]] = []
    for n in range(start, stop):
        words = random.Random(n).choices(_WORDS, k=60)
        text = f"The answer is ({'abcde'[n % 5]}) because {' '.join(words)}. Therefore, {words[0]}."
        key = hashlib.sha256(b"%d" % n).digest()
        made.append((key, an_answer(text, request_id=f"req_{key.hex()[:32]}")))
    return made
