"""The teacher's JSON: a reply's body becomes an answer, here alone.

An answer that was paid for is not thrown away for its envelope: where its text is, it is taken;
what stands around it may be missing, odd, broken, or an event stream that nobody asked for.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, cast

from stepdistill.annotator.errors import (
    BrokenOff,
    ContentRefused,
    PageInstead,
    TeacherError,
    Unreadable,
)
from stepdistill.annotator.store.answer import TOKENS_BOUND, Answer, Mode, Usage, ending_of
from stepdistill.annotator.teacher.billing import cost_of, tier_of
from stepdistill.annotator.teacher.body import (
    clean,
    events,
    inflated,
    json_of,
    loaded,
    object_in,
    one_line,
    page_words,
    text_of,
    unpacked,
)
from stepdistill.annotator.teacher.error_body import error_in
from stepdistill.annotator.teacher.error_reply import error_within
from stepdistill.annotator.teacher.event_stream import joined
from stepdistill.annotator.teacher.logprobs import logprobs_in

_Fields = Mapping[str, Any]
_NONE: _Fields = {}
_LONGEST_NAME = 200  # characters of a model's name, an identifier, a finish_reason
# "promptFeedback": {"blockReason": "SAFETY"}, beside no choice at all
_WITHHELD = re.compile(rb"block_?reason|content_filter|prohibited|safety", re.IGNORECASE)
_USUAL_COUNTS = frozenset(
    (
        *("prompt_tokens", "completion_tokens", "total_tokens"),
        *("prompt_tokens_details", "completion_tokens_details"),
    )
)
_CHOICES, _USAGE = (re.compile(rf'(?<!\\)"{name}"\s*:\s*') for name in ("choices", "usage"))
_DECODER = json.JSONDecoder(strict=False)


class ReplyContext(NamedTuple):
    """What is known of a reply beside its body."""

    limit: int  # the longest answer asked for, in tokens
    model: str = ""  # as it was asked for
    mode: Mode = "online"
    request_id: object = None  # the provider's own, where its headers or its line have one
    headers: Mapping[str, str] = _NONE  # by their names in lower case
    label_names: tuple[str, ...] = ()  # by which labels are known, where they have names


def read_answer(
    body: bytes, context: ReplyContext, as_chat: Callable[[_Fields], _Fields] | None = None
) -> Answer:
    """The answer in a reply with a good status. as_chat: makes of another dialect's reply what chat
    would have said. Raises TeacherError: what an error in it means by its own code, else Unreadable
    or BrokenOff."""
    headers = context.headers
    try:
        reply = _loaded(body, headers)
        if as_chat is not None and "choices" not in reply:
            reply = as_chat(reply)
        choice = _usual_choice(reply) or _choice(reply)
        if choice is None:
            raise _no_answer(reply, body, headers)
        content = _content(choice.message.get("content"))
        thoughts = _thoughts(choice.message) or content.thoughts
    except RecursionError:
        raise Unreadable("the reply is JSON that is nested too deeply") from None
    refusal = choice.message.get("refusal")
    text = clean(content.text or (refusal if isinstance(refusal, str) else ""))
    return Answer(
        text=text,
        finish=choice.finish,
        model=_name(reply.get("model")) or context.model,
        usage=usage_of(reply.get("usage")),
        mode=context.mode,
        asked_at=int(time.time()),
        limit=context.limit,
        request_id=_name(context.request_id),
        thoughts=clean(thoughts) if thoughts.strip() else None,
        tier=tier_of(reply.get("service_tier")),
        cost_usd=cost_of(reply.get("usage")),
        logprobs=choice.logprobs and logprobs_in(choice.logprobs, text, context.label_names),
    )


def _loaded(body: bytes, headers: Mapping[str, str]) -> _Fields:
    """The object that a reply is, or the first of a list; one of its own for another thing.
    Raises Unreadable."""
    try:
        reply = loaded(body)
    except ValueError:
        reply = _salvaged(body, headers.get("content-encoding", ""))
    fields = object_in(reply)
    if isinstance(reply, list) and len(items := cast("list[Any]", reply)) > 1:
        fields = joined([each for item in items if (each := object_in(item))])
    if fields is not None or (fields := _first(reply)) is not None:
        return fields
    return {"a list" if isinstance(reply, list) else str(reply)[:40]: None}


def _first(value: Any) -> _Fields | None:
    """The first of a list, where it is an object."""
    return object_in(cast("list[Any]", value)[0]) if isinstance(value, list) and value else None


class _Choice(NamedTuple):
    message: _Fields
    finish: str
    logprobs: Any = None


class _Content(NamedTuple):
    text: str
    thoughts: str = ""


def _usual_choice(reply: _Fields) -> _Choice | None:
    """The only choice, where it has a text, is whole, and nothing about it is odd: what `_choice`
    finds of such a reply, in a part of its time."""
    match reply.get("choices"):
        case [{"message": {"content": str()} as message, "finish_reason": "stop"} as choice]:
            fields = cast(_Fields, message)
            is_usual = not (cast(_Fields, choice).get("error") or fields.get("refusal"))
            logprobs = cast(_Fields, choice).get("logprobs")
            return _Choice(fields, "stop", logprobs) if is_usual else None
        case _:
            return None


def _choice(reply: _Fields) -> _Choice | None:
    """The first choice; None where there is none. Raises TeacherError where it is no whole one."""
    choice = _first(reply.get("choices"))
    if choice is None:
        return None
    finish, error = _finish(choice), choice.get("error")
    if ending_of(finish) == "broken" or error:
        words = error_in(error).words or f"finish_reason {finish}"
        raise BrokenOff(f"the teacher gave up in the middle of the answer ({words})")
    message = _message(choice)
    if message is None:
        return None
    is_refusal = isinstance(message.get("refusal"), str) and message["refusal"]
    return _Choice(message, "refusal" if is_refusal else finish, choice.get("logprobs"))


def _message(choice: _Fields) -> _Fields | None:
    for name in ("message", "delta", "text"):
        message = choice.get(name)
        if isinstance(message, str):
            return {"content": message}
        if (fields := object_in(message)) is not None:
            return fields
    # What a filter withholds may come without a message.
    return _NONE if isinstance(choice.get("finish_reason"), str) else None


def _finish(choice: _Fields) -> str:
    """How it ended, `stop` where nothing is said: a text, a number, or {"type": "stop"}."""
    finish = choice.get("finish_reason")
    if (named := object_in(finish)) is not None:
        finish = next((named[name] for name in ("type", "reason", "name") if name in named), None)
    return _name(finish) or "stop"


def _content(content: Any) -> _Content:
    """Text and thoughts of a content: a text, a list of parts, or an object that was JSON."""
    match content:
        case None:
            return _Content("")
        case str():
            return _Content(content)
        case list():
            each = [_part(part) for part in cast("list[Any]", content)]
            return _Content(
                "".join(p.text for p in each), "\n".join(_said(p.thoughts for p in each))
            )
        case {"type": _} | {"text": _} | {"parts": _}:
            return _part(content)
        case _:  # a structured answer that a gateway has read: {"label": "yes"}
            return _Content(json.dumps(content, ensure_ascii=False))


def _part(part: Any) -> _Content:
    """One part: a text, {"type": "text", "text": ...} or {"type": "thinking", "thinking": [...]};
    one of another kind says nothing."""
    if (fields := object_in(part)) is None:
        return _Content(part if isinstance(part, str) else "")
    kind = str(fields.get("type"))
    names = ("text", "parts", "thinking", "reasoning", "summary", "value")
    words = next((fields[name] for name in names if fields.get(name)), None)
    inner = _content(words) if isinstance(words, str | list) else _part(words)
    if "thinking" in kind or "reasoning" in kind:
        return _Content("", inner.text or inner.thoughts)
    return inner


def _said(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if text.strip()]


def _thoughts(message: _Fields) -> str:
    """What was thought before the answer, by whichever name: `reasoning_content` of DeepSeek, vLLM
    and SGLang, `reasoning` of OpenRouter and newer vLLM, `thinking` of Ollama."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if (said := message.get(name)) and isinstance(said, str | list):
            text, thoughts = _content(said)
            return text or thoughts
    return ""


def _name(value: object) -> str | None:
    """A short text; None where there is none."""
    if isinstance(value, str):
        return _short(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value)[:_LONGEST_NAME] if is_number else None


@lru_cache(64)  # of a model, nearly always the same
def _short(text: str) -> str | None:
    return clean(text.strip()[:_LONGEST_NAME]) or None


def usage_of(used: object) -> Usage:
    """The tokens of a reply, as far as what it says of them can be believed."""
    fields = object_in(used) or _NONE
    return _usual_usage(fields) or _odd_usage(fields)


def _usual_usage(fields: _Fields) -> Usage | None:
    """The counts of OpenAI's own fields, where they fit together; None where one is odd."""
    if not _USUAL_COUNTS.issuperset(fields):
        return None
    prompt, completion = fields.get("prompt_tokens"), fields.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int:
        return None
    if not (0 < prompt < TOKENS_BOUND and 0 < completion < TOKENS_BOUND):
        return None
    of_prompt = object_in(fields.get("prompt_tokens_details") or _NONE)
    of_completion = object_in(fields.get("completion_tokens_details") or _NONE)
    if of_prompt is None or of_completion is None:
        return None
    cached, reasoning = of_prompt.get("cached_tokens", 0), of_completion.get("reasoning_tokens", 0)
    if type(cached) is not int or type(reasoning) is not int or "cache_write_tokens" in of_prompt:
        return None
    if not (0 <= cached <= prompt and 0 <= reasoning <= completion):
        return None
    fits = fields.get("total_tokens") == prompt + completion
    return Usage(prompt, completion, cached, reasoning) if fits else None


def _odd_usage(fields: _Fields) -> Usage:
    prompt = _count(fields, "prompt_tokens", "input_tokens")
    completion = _count(fields, "completion_tokens", "output_tokens")
    of_prompt, of_completion = (
        object_in(_get(fields, "prompt_tokens_details", "input_tokens_details")) or _NONE,
        object_in(_get(fields, "completion_tokens_details", "output_tokens_details")) or _NONE,
    )
    reasoning = _count(of_completion, "reasoning_tokens") or 0
    if prompt and completion:
        # Gemini and Grok leave what was thought out of the completion, and bill it all the same.
        total = _count(fields, "total_tokens") or 0
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


def _get(fields: _Fields, name: str, other: str = "") -> Any:
    """A field, or where it is not there the same by another name."""
    value = fields.get(name)
    return fields.get(other) if value is None else value


def _count(fields: _Fields, name: str, other: str = "") -> int | None:
    """A number of tokens; None where it is not said, or cannot be one: -1, true, 2.5, "many"."""
    value = _get(fields, name, other)
    if type(value) is int:  # as nearly always; a bool is none
        return value if 0 <= value < TOKENS_BOUND else None
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        count = int(value) if isinstance(value, float | str) else -1
    except ValueError:
        return None
    return count if 0 <= count < TOKENS_BOUND else None


def _no_answer(reply: _Fields, body: bytes, headers: Mapping[str, str]) -> TeacherError:
    """Why JSON without an answer has none."""
    if not (error := reply.get("error")) and not reply.get("choices") and _WITHHELD.search(body):
        return ContentRefused("200: no answer is given: a filter withheld it").paid(maybe=True)
    found = error_in(reply)
    if error or found.words:
        return error_within(found, body, headers)
    has = one_line(", ".join(reply), 100) or "nothing"
    return Unreadable(f"the reply is JSON without an answer (it has {has})")


def _salvaged(body: bytes, encoding: str) -> Any:
    """A reply out of what is no JSON as a whole: an event stream, or choices that are whole among
    what is broken. Raises Unreadable."""
    try:
        text = text_of(inflated(body) if encoding == "deflate" else unpacked(body))
    except ValueError as error:
        raise Unreadable(f"the reply is {error}") from None
    if page := page_words(text):
        raise PageInstead(f"{page}, came instead of an answer")
    with suppress(ValueError):
        return json_of(text)
    if pieces := list(events(text)):
        return _put_together(pieces, is_ended="[DONE]" in text)
    choices = _value_after(_CHOICES, text)
    if isinstance(choices, list):
        return {"choices": cast("list[Any]", choices), "usage": _value_after(_USAGE, text)}
    if encoding not in ("", "identity", "gzip", "deflate"):
        raise Unreadable(f"the reply is compressed with {encoding}, which was not asked for")
    if text.lstrip()[:1] in ("{", "["):
        raise Unreadable(f"the reply is JSON that breaks off, or is broken ({len(body):,} bytes)")
    raise Unreadable(f"the reply is no answer: {one_line(text, 120) or 'it is empty'}")


def _value_after(name: re.Pattern[str], text: str) -> Any:
    """The value of a field, where it is whole; None where it is not."""
    found = name.search(text)
    try:
        return found and _DECODER.raw_decode(text, found.end())[0]
    except (ValueError, RecursionError):
        return None


def _put_together(pieces: list[Any], *, is_ended: bool) -> _Fields:
    """The reply that an event stream nobody asked for amounts to. Raises Unreadable where it breaks
    off before its end."""
    reply: dict[str, Any] = {}
    texts, thoughts, finish, n = list[str](), list[str](), None, 0
    for piece in cast("list[_Fields]", pieces):
        if piece.get("error"):
            return piece
        reply |= {name: piece[name] for name in ("model", "usage") if piece.get(name)}
        if (choice := _first(piece.get("choices"))) is None:
            continue
        n += 1
        message = _message(choice) or _NONE
        content = _content(message.get("content"))
        texts.append(content.text)
        thoughts.append(_thoughts(message) or content.thoughts)
        finish = choice.get("finish_reason") or finish
    if not n:
        return joined(pieces) or cast(_Fields, pieces[0])
    if finish is None and not is_ended:
        raise Unreadable("the reply is an event stream that nobody asked for, and it breaks off")
    message = {"content": "".join(texts), "reasoning_content": "".join(thoughts)}
    return {**reply, "choices": [{"message": message, "finish_reason": finish}]}
