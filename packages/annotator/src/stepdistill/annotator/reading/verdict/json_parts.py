"""An answer's JSON: whole, fenced, or nearly JSON, with text before and behind it.

What is not quite JSON (single quotes, a comma too many, no closing brace) is mended by json-repair,
where it is short; decision 28 says why a library.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from stepdistill.annotator.reading.verdict.headings import LABEL_WORDS, REASON_WORDS
from stepdistill.annotator.reading.verdict.text import Span

_OPENS = re.compile(  # `{"label":`, `{label:`
    r"\{\s*[\"'\u201c\u2018\u201d]?[^\W\d][^\n\"'{}:\uff1a,]{0,40}[\"'\u201d\u2019]?\s*[:\uff1a]"
)
_QUOTED_KEY = re.compile(r"\{\s*[\"'\u201c\u2018]")
_LABEL_KEY = re.compile(rf"(?:.*\W)?(?:{LABEL_WORDS})(?: (?:name|text|id|letter))?", re.IGNORECASE)
_REASON_KEY = re.compile(
    rf"(?:.*\W)?(?:{REASON_WORDS})(?: .*)?|thinking|chain of thought", re.IGNORECASE
)
_FENCE_BEFORE = re.compile(r"```[\w-]*\s*\Z")
_FENCE_BEHIND = re.compile(r"\s*```")
_MOST_OBJECTS = 8
_LONGEST_REPAIRED = 4_000
_DEEPEST = 4
_DECODER = json.JSONDecoder(strict=False)


class JsonParts(NamedTuple):
    """The label and reasons in an answer's JSON. span: its characters, with fences around it."""

    span: Span
    label: str
    reason: str | None


def json_parts(answer: str) -> JsonParts | None:
    """The last object of an answer that holds a label; None where none does."""
    found = None
    for value, span in _objects(answer):
        pairs = list(_pairs(value, 0))
        label = next((v for k, v in pairs if _is_label(k)), None)
        if label is None and len(pairs) == 1 and not _REASON_KEY.fullmatch(pairs[0][0]):
            label = pairs[0][1]
        if label is None:
            continue
        reason = next((v for k, v in pairs if _REASON_KEY.fullmatch(k)), None)
        found = JsonParts(_with_fences(answer, span), label, reason)
    return found


def is_object(answer: str) -> bool:
    """Whether the answer is an object and nothing else, such as one with a score for each label."""
    text = answer.strip()
    return text[:1] == "{" and text[-1:] == "}" and _OPENS.match(text) is not None


def _objects(answer: str) -> Iterator[tuple[object, Span]]:
    place = 0
    for _ in range(_MOST_OBJECTS):
        opening = _OPENS.search(answer, place)
        if opening is None:
            return
        start = opening.start()
        try:
            value, place = _DECODER.raw_decode(answer, start)
        except (ValueError, RecursionError):
            yield from _mended(answer, start)
            return
        yield value, (start, place)


def _mended(answer: str, start: int) -> Iterator[tuple[object, Span]]:
    closing = answer.rfind("}", start) + 1
    end = closing or len(answer.rstrip())
    if end - start > _LONGEST_REPAIRED or not (closing or _QUOTED_KEY.match(answer, start)):
        return
    import json_repair  # a tenth of a second to load, for answers that few teachers give

    try:
        value: Any = cast(Any, json_repair).loads(answer[start:end], skip_json_loads=True)
    except (ValueError, RecursionError):
        return
    for each in cast("list[object]", value) if isinstance(value, list) else [value]:
        yield each, (start, end)


def _pairs(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """The keys, in plain words, and texts of an object and of those within it, outer ones first."""
    if isinstance(value, list) and depth < _DEEPEST:
        for each in cast("list[object]", value):
            yield from _pairs(each, depth + 1)
    if not isinstance(value, dict) or depth > _DEEPEST:
        return
    inner: list[object] = []
    for key, each in cast("dict[object, object]", value).items():
        only, name = _scalar(each), re.sub(r"[_-]+", " ", str(key)).strip()
        if only is not None:
            yield name, only
        elif _is_list(each) and _is_label(name):  # several classes at once, or none
            yield name, json.dumps(each, ensure_ascii=False)
        else:
            inner.append(each)
    for each in inner:
        yield from _pairs(each, depth + 1)


def _scalar(value: object) -> str | None:
    """The text of a value, or of the only one in a list."""
    if isinstance(value, list) and len(items := cast("list[object]", value)) == 1:
        value = items[0]
    return str(value).strip() if isinstance(value, str | int | float | bool) else None


def _is_list(value: object) -> bool:
    """Whether a value is a list of values and not of objects."""
    if not isinstance(value, list):
        return False
    items = cast("list[object]", value)
    return all(isinstance(item, str | int | float | bool) for item in items)


def _is_label(key: str) -> bool:
    return _LABEL_KEY.fullmatch(key) is not None and not key.casefold().startswith("reason")


def _with_fences(answer: str, span: Span) -> Span:
    before = _FENCE_BEFORE.search(answer, max(0, span[0] - 30), span[0])
    behind = _FENCE_BEHIND.match(answer, span[1])
    return before.start() if before else span[0], behind.end() if behind else span[1]
