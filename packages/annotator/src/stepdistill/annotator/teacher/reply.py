"""The teacher's JSON: a reply's body becomes an answer, here alone."""

import json
import time
from typing import Any, cast

import orjson

from stepdistill.annotator.errors import PageInstead, Unreadable
from stepdistill.annotator.store.answer import TOKENS_BOUND, Answer, Mode, Usage
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
    return Answer(
        text=_text(message.get("content"), "") or _text(refusal, ""),
        finish="refusal" if refusal else _text(choice.get("finish_reason"), "") or "stop",
        model=_text(reply["model"]),
        usage=usage_of(used),
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


def usage_of(used: object) -> Usage:
    """The tokens of a reply, as far as what it says of them can be believed."""
    prompt = _count(used, "prompt_tokens", "input_tokens")
    completion = _count(used, "completion_tokens", "output_tokens")
    of_prompt, of_completion = (
        _get(used, "prompt_tokens_details", "input_tokens_details"),
        _get(used, "completion_tokens_details", "output_tokens_details"),
    )
    reasoning = _count(of_completion, "reasoning_tokens") or 0
    if prompt and completion:
        # Gemini and Grok leave what was thought out of the completion, and bill it all the same.
        total = _count(used, "total_tokens") or 0
        apart = reasoning if reasoning > completion else 0
        completion = min(max(completion + apart, total - prompt), TOKENS_BOUND - 1)
    cached = min(_count(of_prompt, "cached_tokens") or 0, prompt or 0)
    written = _count(of_prompt, "cache_write_tokens") or 0
    return Usage(
        prompt=prompt or 0,
        completion=completion or 0,
        cached=cached,
        reasoning=reasoning,
        written=min(written, (prompt or 0) - cached),
        is_whole=bool(prompt) and completion is not None,
    )


def _get(fields: object, *names: str) -> object:
    """The first of these that is there."""
    found = cast(dict[str, object], fields) if isinstance(fields, dict) else {}
    return next((found[name] for name in names if found.get(name) is not None), None)


def _count(fields: object, *names: str) -> int | None:
    """A number of tokens; None where it is not said, or cannot be one: -1, true, 2.5, "many"."""
    value = _get(fields, *names)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        count = int(value)
    except (ValueError, OverflowError):
        return None
    is_whole = isinstance(value, str) or count == value
    return count if is_whole and 0 <= count < TOKENS_BOUND else None
