"""The teacher's JSON: a reply's body becomes an answer, here alone."""

import json
import time
from typing import Any

import orjson

from stepdistill.annotator.errors import PageInstead, Unreadable
from stepdistill.annotator.store.answer import Answer, Mode, Usage
from stepdistill.annotator.teacher.body import page_words, text_of


def read_answer(
    body: bytes, *, limit: int, request_id: str | None, mode: Mode = "online"
) -> Answer:
    """The answer in a 200 reply. Raises Unreadable when the body is no chat completion."""
    try:
        return _answer(_loaded(body), limit, request_id, mode)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        if page := page_words(text_of(body)):
            message = f"{page}, came instead of an answer: is that the API's address?"
            raise PageInstead(message) from None
        raise Unreadable(f"the reply is not a chat completion: {body[:80]!r}") from None


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # some servers write NaN where nobody looks


def _answer(reply: Any, limit: int, request_id: str | None, mode: Mode) -> Answer:
    choice, used = reply["choices"][0], reply.get("usage")
    message = choice["message"]
    refusal = message.get("refusal")
    prompt, completion = (
        _get(used, "prompt_tokens_details"),
        _get(used, "completion_tokens_details"),
    )
    return Answer(
        text=_text(message.get("content"), "") or _text(refusal, ""),
        finish="refusal" if refusal else _text(choice.get("finish_reason"), "") or "stop",
        model=_text(reply["model"]),
        usage=Usage(
            prompt=_count(used, "prompt_tokens"),
            completion=_count(used, "completion_tokens"),
            cached=_count(prompt, "cached_tokens"),
            reasoning=_count(completion, "reasoning_tokens"),
            written=_count(prompt, "cache_write_tokens"),
        ),
        mode=mode,
        asked_at=int(time.time()),
        limit=limit,
        request_id=request_id,
        thoughts=_thoughts(message),
    )


def _thoughts(message: Any) -> str | None:
    """What was thought before the answer, by whichever name: `reasoning_content` of DeepSeek, vLLM
    and SGLang, `reasoning` of OpenRouter and newer vLLM."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(text := message.get(name), str) and text.strip():
            return text
    return None


def _text(value: object, default: str | None = None) -> str:
    text = default if value is None else value
    if isinstance(text, str):
        return text
    raise TypeError("no text")


def _get(fields: Any, name: str) -> Any:
    return fields and fields.get(name)


def _count(fields: Any, name: str) -> int:
    return int(_get(fields, name) or 0)
