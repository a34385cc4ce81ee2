"""Answers that name their parts: `Label: ...`, `**Answer:** ...`, or a JSON object."""

import json
import re
from typing import Any, NamedTuple, cast

from stepdistill.annotator.reading.verdict.text import Span

_LABEL_NAMES = (
    r"(?:final |correct |my |the |best )*(?:label|answer|verdict|classification|class|conclusion"
    r"|choice|truth value|relation(?:ship)?|prediction|result|equation|option|judge?ment|veracity)"
)
_REASON_NAMES = (
    r"(?:brief |short |step-by-step |my |the )*(?:rationale|explanation|reason|reasons|reasoning"
    r"|justification|analysis|why|thought process|work|solution|steps)"
)
_NAMED = re.compile(
    r"(?:^|(?<=\n)|(?<=[.!?] ))[ \t>#*_-]*"
    rf"(?:(?P<label>{_LABEL_NAMES})|(?P<reason>{_REASON_NAMES}))"
    r"[*_]{0,3}[ \t]{0,3}(?::[*_]{0,3}[ \t]*|(?=\n))",
    re.IGNORECASE,
)
# The plainest form, label and reason on a line each: no other heading can hide in these words.
_COLON = r"[*_]{0,3}[ \t]{0,3}:[*_]{0,3}[ \t]*"
_TWO_LINES = re.compile(
    rf"[ \t>#*_-]*{_LABEL_NAMES}{_COLON}(?P<label>[^\s*:{{.!?][^\n:{{.!?]*)\n+"
    rf"(?P<next>[ \t>#*_-]*{_REASON_NAMES}{_COLON})(?P<reason>[^\n:{{]+)\Z",
    re.IGNORECASE,
)
_LABEL_KEYS = ("label", "answer", "verdict", "classification", "final_answer", "choice", "equation")
_REASON_KEYS = ("rationale", "explanation", "reasoning", "reason", "justification")


class Parts(NamedTuple):
    """The named parts of an answer; a part that is not there is None."""

    label: Span | None
    label_text: str | None
    reason: Span | None
    reason_text: str | None
    headings: tuple[Span, ...] = ()


NO_PARTS = Parts(label=None, label_text=None, reason=None, reason_text=None)


def named_parts(answer: str) -> Parts:
    """The parts an answer names itself; the last label and the first reason count."""
    if plain := _TWO_LINES.match(answer):
        label, reason = plain.span("label"), plain.span("reason")
        headings = ((0, label[0]), (plain.start("next"), reason[0]))
        return Parts(label, plain["label"], reason, plain["reason"], headings)
    if "{" in answer and (parts := _json_parts(answer)):
        return parts
    if ":" not in answer and "\n" not in answer:
        return NO_PARTS
    headings = list(_NAMED.finditer(answer))
    return _line_parts(answer, headings) if headings else NO_PARTS


def _line_parts(answer: str, headings: list[re.Match[str]]) -> Parts:
    label = reason = None
    ends = [match.start() for match in headings[1:]] + [len(answer)]
    for match, end in zip(headings, ends, strict=True):
        if match["label"]:
            label = _label_span(answer, match, end)
        elif reason is None:
            reason = match.end(), end
    return Parts(
        label=label,
        label_text=answer[label[0] : label[1]] if label else None,
        reason=reason,
        reason_text=answer[reason[0] : reason[1]] if reason else None,
        headings=tuple((match.start(), match.end()) for match in headings),
    )


def _label_span(answer: str, heading: re.Match[str], end: int) -> Span:
    """From the heading's end to the end of its line; the next line where its own is empty."""
    start = heading.end()
    while start < end and answer[start] in " \t\n*":
        start += 1
    newline = answer.find("\n", start, end)
    return start, newline if newline >= 0 else end


def _json_parts(answer: str) -> Parts | None:
    start, stop = answer.find("{"), answer.rfind("}") + 1
    try:
        found: Any = json.loads(answer[start:stop], strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    values = {str(k).casefold(): v for k, v in cast("dict[object, object]", found).items()}
    label, reason = _first(values, _LABEL_KEYS), _first(values, _REASON_KEYS)
    if label is None:
        return None
    place = (answer.find(reason, start), 0) if reason else (-1, 0)
    span = (place[0], place[0] + len(reason)) if reason and place[0] >= 0 else (start, stop)
    return Parts(label=(start, stop), label_text=label, reason=span, reason_text=reason or "")


def _first(values: dict[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = values.get(name)
        if isinstance(value, str | int | float | bool):
            return str(value).strip()
    return None
