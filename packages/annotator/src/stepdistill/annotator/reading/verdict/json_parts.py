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
_SURE_KEY = re.compile(
    r"(?:.*\W)?(?:confidence|certainty|probability|likelihood)(?: .*)?", re.IGNORECASE
)
_YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_FENCE_BEFORE = re.compile(r"```[\w-]*\s*\Z")
_FENCE_BEHIND = re.compile(r"\s*```")
_WORDS_BEHIND = re.compile(r"[^\n\w`]*\w")  # on the same line
_MOST_OBJECTS = 8
_LONGEST_REPAIRED = 4_000
_DEEPEST = 4
_DECODER = json.JSONDecoder(strict=False)


class _Pair(NamedTuple):
    """A key, in plain words, and its value as text; of several names, JSON."""

    key: str
    text: str
    are_names: bool = False


class JsonParts(NamedTuple):
    """The label and reasons in an answer's JSON. span: its characters, with fences around it.

    is_named: whether a key says that this is the label; otherwise it is the only value that could
    be, as in `{sentiment: good}`, and a set such as `{a: 1}` looks the same.
    """

    span: Span
    label: str
    reason: str | None
    is_named: bool


def json_parts(answer: str) -> JsonParts | None:
    """The last object of an answer that holds a label; None where none does."""
    found = None
    for value, span in _objects(answer):
        pairs = list(_pairs(value, 0))
        named = next((each.text for each in pairs if _is_label(each.key)), None)
        label = named if named is not None else _beside_reasons(pairs)
        if label is None:
            continue
        reason = next((each.text for each in pairs if _REASON_KEY.fullmatch(each.key)), None)
        if named is None and reason is None and _WORDS_BEHIND.match(answer, span[1]):
            continue  # `The set {a: 1} has it`
        found = JsonParts(_with_fences(answer, span), label, reason, named is not None)
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


def _pairs(value: object, depth: int) -> Iterator[_Pair]:
    """The pairs of an object and of those within it, outer ones first."""
    if isinstance(value, list) and depth < _DEEPEST:
        for each in cast("list[object]", value):
            yield from _pairs(each, depth + 1)
    if not isinstance(value, dict) or depth > _DEEPEST:
        return
    pairs = cast("dict[object, object]", value)
    if depth == 0 and len(pairs) > 1 and (chosen := _chosen(pairs)) is not None:
        yield _Pair("label", _listed(chosen), are_names=True)
        return
    inner: list[object] = []
    for key, each in pairs.items():
        name = _in_words(key)
        if (only := _scalar(each)) is not None:
            yield _Pair(name, only)
        elif (names := _names(each)) is not None:  # several classes at once, or none
            yield _Pair(name, _listed(names), are_names=True)
        else:
            inner.append(each)
    for each in inner:
        yield from _pairs(each, depth + 1)


def _beside_reasons(pairs: list[_Pair]) -> str | None:
    """The value of the only key that is none of reasons, whatever it is called; lists come second,
    as they may be keywords or evidence."""
    others = [each for each in pairs if not _REASON_KEY.fullmatch(each.key)]
    if len(others) > 1:
        others = [each for each in others if not _SURE_KEY.fullmatch(each.key)]
    others = [each for each in others if not each.are_names] or others
    return others[0].text if len(others) == 1 else None


def _scalar(value: object) -> str | None:
    """The text of a value, or of the only one in a list."""
    if isinstance(value, list) and len(items := cast("list[object]", value)) == 1:
        value = items[0]
    return str(value).strip() if isinstance(value, str | int | float | bool) else None


def _names(value: object) -> list[str] | None:
    """The names in `["joy", "fear"]`, `[{"name": "joy"}, {"name": "fear"}]` or `{"joy": true,
    "fear": false}`; None for anything else."""
    if isinstance(value, dict):
        return _chosen(cast("dict[object, object]", value))
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    texts = [
        _scalar([*cast("dict[str, object]", each).values()] if _is_one(each) else each)
        for each in items
    ]
    names = [text for text in texts if text is not None]
    return names if len(names) == len(items) else None


def _is_one(value: object) -> bool:
    return isinstance(value, dict) and len(cast("dict[object, object]", value)) == 1


def _chosen(pairs: dict[object, object]) -> list[str] | None:
    """The keys that are said to hold; None where the values are not all a yes or a no, and where
    these are answers themselves: `{"label": "yes", "confidence": 1}`."""
    names = [_in_words(key) for key in pairs]
    if any(_is_label(name) or _REASON_KEY.fullmatch(name) for name in names):
        return None
    if len(pairs) == 1 and not isinstance(next(iter(pairs.values())), bool):
        return None
    said = [_YES_OR_NO.get(str(value).strip().casefold()) for value in pairs.values()]
    if not said or None in said:
        return None
    return [str(key) for key, holds in zip(pairs, said, strict=True) if holds]


def _listed(names: list[str]) -> str:
    """A single name as it is: that is a label of other kinds, too."""
    return names[0] if len(names) == 1 else json.dumps(names, ensure_ascii=False)


def _in_words(key: object) -> str:
    return re.sub(r"[_-]+", " ", str(key)).strip()


def _is_label(key: str) -> bool:
    return _LABEL_KEY.fullmatch(key) is not None and not key.casefold().startswith("reason")


def _with_fences(answer: str, span: Span) -> Span:
    before = _FENCE_BEFORE.search(answer, max(0, span[0] - 30), span[0])
    behind = _FENCE_BEHIND.match(answer, span[1])
    return before.start() if before else span[0], behind.end() if behind else span[1]
