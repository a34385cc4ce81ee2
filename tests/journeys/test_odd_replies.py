"""A storm of odd replies: answers in other envelopes, and trouble in other words. The shards are
those of a calm teacher, and no row is paid twice."""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.annotator.teacher.raw_teacher import RawTeacher, Say, completion, reply, say
from tests.journeys.conftest import Annotate
from tests.journeys.test_refusals import run, teacher_of

ROWS = 200
TEXT = "Label: {label}\nRationale: The words of number {n} are of that kind, and of no other."


def changed(text: str, **fields: Any) -> bytes:
    """The usual reply with other fields; None leaves one out."""
    body = {"id": "c", "created": 1, **orjson.loads(completion(text)), **fields}
    return orjson.dumps({name: value for name, value in body.items() if value is not None})


def with_message(text: str, finish: Any = "stop", **message: Any) -> bytes:
    message = {"role": "assistant", "content": text, **message}
    return changed(text, choices=[{"index": 0, "message": message, "finish_reason": finish}])


def streamed(text: str) -> bytes:
    pieces = [text[:9], text[9:]]
    deltas: list[Any] = [
        {"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces
    ]
    deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    lines = [b"data: %b\n\n" % orjson.dumps({"model": "m", **each}) for each in deltas]
    return b"".join((*lines, b"data: [DONE]\n\n"))


def parts(text: str) -> bytes:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Label: gloomy?"}]}
    return with_message(text, content=[thinking, {"type": "text", "text": text}])


# What carries the whole answer.
ENVELOPES: dict[str, Callable[[str], bytes]] = {
    "parts": lambda text: reply(parts(text)),
    "no model": lambda text: reply(changed(text, model=None, id=None)),
    "odd usage": lambda text: reply(changed(text, usage={"prompt_tokens": 3.5})),
    "usage is a list": lambda text: reply(changed(text, usage=[])),
    "thoughts beside": lambda text: reply(with_message(text, reasoning_content="Gloomy?")),
    "end_turn": lambda text: reply(with_message(text, finish="end_turn")),
    "no finish": lambda text: reply(with_message(text, finish=None)),
    "bom": lambda text: reply(b"\xef\xbb\xbf" + completion(text)),
    "list": lambda text: reply(b"[" + completion(text) + b"]"),
    "gzip": lambda text: reply(gzip.compress(completion(text)), "Content-Encoding: gzip"),
    "deflate": lambda text: reply(zlib.compress(completion(text)), "Content-Encoding: deflate"),
    "stream": lambda text: reply(streamed(text), "Content-Type: text/event-stream"),
}
# What does not, and is over at the next try.
TROUBLE: dict[str, bytes] = {
    "error in a 200": reply(b'{"error": {"code": 429, "message": "slow down"}}'),
    "425": reply(b"", status="425 Too Early"),
    "498": reply(b'{"error": {"message": "no capacity"}}', status="498 X"),
    "499": reply(b"client closed", status="499 X"),
    "402 for now": reply(b"{}", "Retry-After: 0", status="402 Payment Required"),
    "529": reply(b'{"error": {"type": "overloaded_error"}}', status="529 X"),
    "429 without more": reply(b"", status="429 Too Many Requests"),
    "502 page": reply(b"<html><title>502 Bad Gateway</title></html>", status="502 Bad Gateway"),
}
KINDS = (*ENVELOPES, *TROUBLE)  # 20: each is met by one row in twenty


def storm(delivered: Counter[int]) -> Callable[[int, dict[str, object]], Say]:
    """Says row by row what comes, and counts the answers that were delivered."""
    tries = Counter[int]()

    def saying(n: int, request: dict[str, object]) -> Say:
        text = text_of(n)
        kind = KINDS[n % len(KINDS)]
        tries[n] += 1
        if kind in TROUBLE and tries[n] == 1:
            return say(TROUBLE[kind])
        delivered[n] += 1
        return say(ENVELOPES[kind](text) if kind in ENVELOPES else reply(completion(text)))

    return saying


def text_of(n: int) -> str:
    return TEXT.format(n=n, label=("joyful", "gloomy")[n % 3 == 0])


def shards(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.rglob("shard-*.jsonl"))]


@pytest.mark.usefixtures("mood")
async def test_a_storm_of_odd_replies_changes_nothing_and_pays_nothing_twice(
    annotate: Annotate, tmp_path: Path
) -> None:
    delivered = Counter[int]()
    calm = teacher_of(lambda n, _: say(reply(completion(text_of(n)))))
    for name, teacher in (("calm", calm), ("stormy", teacher_of(storm(delivered)))):
        done = await asked(annotate, teacher, name)
        assert done["records"] == ROWS
    assert set(delivered.values()) == {1} and len(delivered) == ROWS
    calm_shards = shards(tmp_path / "calm")
    assert calm_shards and shards(tmp_path / "stormy") == calm_shards


async def asked(annotate: Annotate, teacher: RawTeacher, name: str) -> dict[str, Any]:
    async with teacher:
        done = await run(
            annotate, teacher, "--out", name, "--store", f"s-{name}", "--json", rows=ROWS
        )
    assert done.code == 0, done.err
    return done.json
