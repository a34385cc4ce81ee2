"""Answers that name their parts: `Label: ...`, `**Answer:** ...`, tags, or a JSON object."""

import re
from typing import NamedTuple

from stepdistill.annotator.reading.pattern import places
from stepdistill.annotator.reading.verdict.headings import COLON, LABEL_WORDS, REASON_WORDS
from stepdistill.annotator.reading.verdict.json_parts import JsonParts, json_parts
from stepdistill.annotator.reading.verdict.listed_names import LIST_MARK
from stepdistill.annotator.reading.verdict.text import Span

_LABEL_NAMES = (
    r"(?:final |correct |my |the |best |predicted |assigned |overall )*"
    rf"(?:{LABEL_WORDS})"
)
_REASON_NAMES = rf"(?:brief |short |step-by-step |my |the )*(?:{REASON_WORDS})"
_NAMED = re.compile(
    # `Label: X`, `**Final answer:** X`, `2. Rationale: ...`, `【答案】X`, `## Reasons`
    r"(?:^|(?<=\n)|(?<=[.!?;|] )|(?<=[\u3002\uff01\uff1f]))"
    r"[ \t>#*_\-\u2022\[\u3010(]*(?:\d[.)] )?[*_]{0,2}"
    rf"(?:(?P<label>{_LABEL_NAMES})|(?P<reason>{_REASON_NAMES}))"
    rf"(?:[*_\])]{{0,3}}[ \t]{{0,3}}(?:{COLON}[*_]{{0,3}}[ \t]*|(?=\n))|\u3011{COLON}?)",
    re.IGNORECASE,
)
# The same for RE2, which knows no lookaround: where it may begin.
_PERHAPS_NAMED = (
    r"(?:^|\n|[.!?;|] |[\x{3002}\x{ff01}\x{ff1f}])"
    r"[ \t>#*_\-\x{2022}\[\x{3010}(]*(?:\d[.)] )?[*_]{0,2}"
    rf"(?:{_LABEL_NAMES}|{_REASON_NAMES})[*_\])]{{0,3}}[ \t]{{0,3}}(?:[:\x{{ff1a}}\n]|\x{{3011}})"
)
_LONGEST_HEADING = 120
# The plainest form, label and reason on a line each: no other heading can hide in these words.
_COLON = r"[*_]{0,3}[ \t]{0,3}:[*_]{0,3}[ \t]*"
_TWO_LINES = re.compile(
    r"[ \t>#*_-]*(?:final |correct |my |the |best )*(?:label|answer|verdict|classification|class"
    rf"|category|sentiment|equation|option){_COLON}(?P<label>[^\s*:{{.!?<][^\n:\uff1a{{.!?<]*)\n+"
    r"(?P<next>[ \t>#*_-]*(?:brief |short |my |the )*(?:rationale|explanation|reason|reasons"
    rf"|reasoning|justification|analysis|why){_COLON})(?P<reason>[^\n:\uff1a{{<]+)\Z",
    re.IGNORECASE,
)
_ROW = re.compile(r"(?:^|(?<=\n))[ \t]*\|[^\n]*\|[ \t]*(?=\n|\Z)")
_CELL = re.compile(r"(?<=\|)[^|\n]+(?=\|)")
_RULER = re.compile(r"[\s|:-]+")
_HEAD = re.compile(rf"(?P<label>{_LABEL_NAMES})|(?P<reason>{_REASON_NAMES})", re.IGNORECASE)
_GAP = re.compile(r"\n\s*\n")
_TAG = re.compile(
    rf"<(?P<tag>(?:final[_ -]|predicted[_ -])?(?:(?P<label>{LABEL_WORDS})"
    rf"|(?P<reason>{REASON_WORDS})))>",
    re.IGNORECASE,
)


class Parts(NamedTuple):
    """The named parts of an answer; a part that is not there is None.

    labels: the texts behind every heading of a label, the last of which is label. headings: what
    only names a part.
    """

    label: Span | None
    label_text: str | None
    reason: Span | None
    reason_text: str | None
    headings: tuple[Span, ...] = ()
    labels: tuple[Span, ...] = ()


NO_PARTS = Parts(label=None, label_text=None, reason=None, reason_text=None)


def named_parts(answer: str, *, takes_lists: bool = False) -> Parts:
    """The parts an answer names itself; the last label and the first reason count.

    takes_lists: a label goes on over the lines of a list, or of a paragraph, below its heading.
    """
    if plain := _TWO_LINES.match(answer):
        label, reason = plain.span("label"), plain.span("reason")
        headings = ((0, label[0]), (plain.start("next"), reason[0]))
        return Parts(label, plain["label"], reason, plain["reason"], headings, (label,))
    found = json_parts(answer) if "{" in answer else None
    if found is not None and found.is_named:
        return _of_json(answer, found)
    parts = _marked_parts(answer, takes_lists)
    if found is not None and not _names_a_label_outside(parts, answer, found.span):
        return _of_json(answer, found)
    return parts


def _marked_parts(answer: str, takes_lists: bool) -> Parts:
    """The parts behind tags, the heads of a table, or headings."""
    if "<" in answer and (parts := _tagged_parts(answer, takes_lists)):
        return parts
    if "|" in answer and (parts := _table_parts(answer)):
        return parts
    if ":" not in answer and "\n" not in answer and answer.isascii():
        return NO_PARTS
    return _line_parts(answer, _headings(answer), takes_lists) or NO_PARTS


def _names_a_label_outside(parts: Parts, answer: str, span: Span) -> bool:
    """Whether a heading, tag or table has a label of its own beside what looks like an object.

    Then the object is part of the reasons: `Label: yes`, `Rationale: The set {a: 1} has it.` What
    only leads to the object, as `Answer: here it is:`, is no label.
    """
    if parts.label is None:
        return False
    start, end = parts.label
    if start < span[1]:
        end = min(end, span[0])
    label = answer[start:end].rstrip(" \t\n*_")
    return bool(label) and label[-1] not in ":\uff1a"


def _headings(answer: str) -> list[re.Match[str]]:
    """Found by RE2, which is many times faster at so many words, and looked at where they are."""
    found: list[re.Match[str]] = []
    for place in places(_PERHAPS_NAMED)(answer):
        match = _NAMED.search(answer, place, place + _LONGEST_HEADING)
        if match and (not found or match.start() >= found[-1].end()):
            found.append(match)
    return found


def _of_json(answer: str, found: JsonParts) -> Parts:
    span, reason = found.span, found.reason
    if not reason:
        return Parts(span, found.label, None, None, (), ())
    place = answer.find(reason, *span)
    where = (place, place + len(reason)) if place >= 0 else span
    return Parts(span, found.label, where, reason)


def _tagged_parts(answer: str, takes_lists: bool) -> Parts | None:
    """`<reason>...</reason><answer>B</answer>`; what no tag closes ends with its line."""
    label = reason = None
    headings: list[Span] = []
    place = 0
    while tag := _TAG.search(answer, place):
        closing = f"</{tag['tag']}>"
        end = answer.find(closing, tag.end())
        behind = end + len(closing)
        if end < 0:
            newline = answer.find("\n", tag.end())
            end = behind = newline if newline >= 0 else len(answer)
        headings += [tag.span(), (end, behind)]
        if tag["label"]:
            label = tag.end(), end
        elif reason is None:
            reason = tag.end(), end
        place = max(behind, tag.end())
    if not headings:
        return None
    if label is None:
        lines = _line_parts(answer, _headings(answer), takes_lists) or NO_PARTS
        label = lines.label
        headings += lines.headings
    return Parts(
        label=label,
        label_text=answer[slice(*label)] if label else None,
        reason=reason,
        reason_text=answer[slice(*reason)] if reason else None,
        headings=tuple(sorted(headings)),
        labels=(label,) if label else (),
    )


def _table_parts(answer: str) -> Parts | None:
    """A table of one row, with a heading over each column."""
    rows = [match.span() for match in _ROW.finditer(answer)]
    if len(rows) != 3 or not _RULER.fullmatch(answer, *rows[1]):
        return None
    heads, cells = ([c.span() for c in _CELL.finditer(answer, *rows[i])] for i in (0, 2))
    label = reason = None
    for head, cell in zip(heads, cells, strict=False):
        name = _HEAD.fullmatch(answer[slice(*head)].strip(" *_`"))
        if name and name["label"]:
            label = label or cell
        elif name:
            reason = reason or cell
    if label is None:
        return None
    text = answer[slice(*reason)] if reason else None
    return Parts(label, answer[slice(*label)], reason, text, (*rows[:2],), (label,))


def _line_parts(answer: str, headings: list[re.Match[str]], takes_lists: bool) -> Parts | None:
    if not headings:
        return None
    reason = None
    labels: list[Span] = []
    ends = [match.start() for match in headings[1:]] + [len(answer)]
    for match, end in zip(headings, ends, strict=True):
        if match["label"]:
            span = _listed_span if takes_lists else _label_span
            labels.append(span(answer, match, end))
        elif reason is None:
            reason = match.end(), end
    label = labels[-1] if labels else None
    return Parts(
        label=label,
        label_text=answer[label[0] : label[1]] if label else None,
        reason=reason,
        reason_text=answer[reason[0] : reason[1]] if reason else None,
        headings=tuple((match.start(), match.end()) for match in headings),
        labels=tuple(labels),
    )


def _label_span(answer: str, heading: re.Match[str], end: int) -> Span:
    """From the heading's end to the end of its line; the next line where its own is empty."""
    start = heading.end()
    while start < end and answer[start] in " \t\n*":
        start += 1
    newline = answer.find("\n", start, end)
    return start, newline if newline >= 0 else end


def _listed_span(answer: str, heading: re.Match[str], end: int) -> Span:
    """From the heading's end to the end of the paragraph, and of the list that it belongs to."""
    start = heading.end()
    while start < end and answer[start].isspace():
        start += 1
    place = start
    while (gap := _GAP.search(answer, place, end)) and LIST_MARK.match(answer, gap.end(), end):
        place = gap.end()
    return start, gap.start() if gap else end
