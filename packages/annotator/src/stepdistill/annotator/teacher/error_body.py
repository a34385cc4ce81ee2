"""What the body of an error says, whoever wrote it.

{"error": {"message", "type", "code", "param"}}    OpenAI and its kin
[{"error": {"code": 400, "status": "..."}}]        Gemini
{"object": "error", "message", "type"}             vLLM, Mistral
{"detail": "..." or [{"loc", "msg"}]}              FastAPI
{"message"}  {"errors": [...]}  {"error": "..."}   gateways, Ollama
{"error": {"metadata": {"raw": "{...}"}}}          OpenRouter: the provider's own, as text
a page, XML, an event stream, or plain words
"""

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from stepdistill.annotator.settings.teacher import seconds_of
from stepdistill.annotator.teacher.body import (
    SHOWN,
    events,
    json_of,
    loaded,
    one_line,
    page_words,
    text_of,
    unpacked,
)

# Where words stand, the most telling first.
_WORDS = (
    *("message", "msg", "error_message", "error_msg", "errormessage", "error_description"),
    *("detail", "error", "errors", "fault", "faultstring", "status_msg", "base_resp"),
    *("title", "description", "reason", "text"),
)
_CODES = ("code", "type", "status", "reason", "error_code", "errorcode", "status_code", "error")
_NAME = re.compile(r"[A-Za-z][\w.-]{0,63}")  # invalid_api_key, INVALID_ARGUMENT
_MOST_NODES, _DEEPEST, _LONGEST = 300, 8, 20_000
# Please try again in 1m2.5s. / Retry after 9 seconds. / "retryDelay": "34s"
_AGAIN_IN = re.compile(r"(?:again|retry) (?:in|after) ((?:[\d.]+ ?(?:ms|[smhd])[a-z]* ?)+)", re.I)
_UNIT = re.compile(r"(ms|[smhd])[a-z]* ?")
_Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorText:
    """What an error says of itself."""

    words: str  # in one line
    names: tuple[str, ...] = ()  # its codes and kinds as they stand, e.g. insufficient_quota
    status: int | None = None  # an HTTP status that it names itself
    param: str | None = None  # the field of the request that it is about
    wait_s: float | None = None  # that it asks to wait
    is_page: bool = False

    def has(self, *names: str) -> bool:
        """Whether one of these, in lower case, is among its codes and kinds."""
        return any(name.lower() in names for name in self.names)


def read_error(body: bytes) -> ErrorText:
    """What a body says. Raises nothing: a body may say nothing."""
    try:
        text = text_of(unpacked(body))
    except ValueError as error:
        return ErrorText(words=str(error))
    if page := page_words(text):
        return ErrorText(words=page, is_page=True)
    try:
        value = loaded(body)
    except ValueError:
        value = next(events(text), None)
    return error_in(text if value is None else value)


def error_in(value: Any) -> ErrorText:
    """What an error says that is read already: an object, a list or a text."""
    words = one_line(_words(value, 0), SHOWN)
    nodes = list(_dictionaries(value))
    codes = [code for node in nodes for name in _CODES if (code := _get(node, name))]
    names = [code for code in codes if isinstance(code, str) and _NAME.fullmatch(code)]
    params = (_get(node, "param") or _place(node) for node in nodes)
    delays = (_get(node, "retrydelay") for node in nodes)
    asked = (_AGAIN_IN.search(words) or [""] * 2)[1]
    wait = next((each for each in delays if isinstance(each, str)), asked)
    return ErrorText(
        words=words,
        names=tuple(dict.fromkeys(names)),
        status=next(filter(None, map(_status, codes)), None),
        param=next((param for param in params if isinstance(param, str)), None),
        wait_s=seconds_of(_UNIT.sub(r"\1", wait.lower()).replace(" ", "")),
    )


def _get(node: _Fields, name: str) -> Any:
    """A field, whatever the case of its name."""
    if name in node:
        return node[name]
    return next((each for key, each in node.items() if key.lower() == name), None)


def _status(code: object) -> int | None:
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599:
        return code
    return None


def _place(node: _Fields) -> str | None:
    """The field that a validation error is about: the last of `loc`."""
    match node.get("loc"):
        case [*_, str(name)]:
            return name
        case _:
            return None


def _dictionaries(value: Any) -> Iterator[_Fields]:
    """Every object within a value and within texts that hold JSON, the outer ones first."""
    level, seen = [value], 0
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for each in level:
            seen += 1
            if seen > _MOST_NODES:
                return
            if isinstance(each, str):
                below.append(_nested(each)[1])
            elif isinstance(each, list | tuple):
                below.extend(cast("list[Any]", each)[:20])
            elif isinstance(each, dict):
                node = cast("dict[str, Any]", each)
                yield node
                below.extend(node.values())
        level = below


def _nested(text: str) -> tuple[str, Any]:
    """A text that holds another error: what stands before it, and the error; None for no such."""
    start = min((at for at in map(text.find, "{[") if at >= 0), default=-1)
    if start < 0 or "}" not in text or len(text) > _LONGEST:
        return text, None
    before = text[:start].rstrip(" -:=b'\"\n")
    inner = text[start : max(text.rfind("}"), text.rfind("]")) + 1]
    with suppress(ValueError):
        return before, json_of(inner)
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return before, ast.literal_eval(inner)  # {'message': "it's too long"}, as Python prints it
    return text, None


def _words(value: Any, depth: int) -> str:
    if depth > _DEEPEST or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        before, inner = _nested(value)
        return _joined(before, _words(inner, depth + 1)) if inner is not None else value
    if isinstance(value, list | tuple):
        each = (_words(item, depth + 1) for item in cast("list[Any]", value)[:3])
        return "; ".join(dict.fromkeys(filter(None, each)))
    if not isinstance(value, dict):
        return ""
    node = cast("dict[str, Any]", value)
    said = next(filter(None, (_words(_get(node, name), depth + 1) for name in _WORDS)), "")
    if place := _place(node):
        return f"{place}: {said}"
    metadata = node.get("metadata")
    raw = cast("dict[str, Any]", metadata).get("raw") if isinstance(metadata, dict) else None
    return _joined(said, _words(raw, depth + 1))


def _joined(before: str, words: str) -> str:
    return f"{before}: {words}" if before and words else before or words
