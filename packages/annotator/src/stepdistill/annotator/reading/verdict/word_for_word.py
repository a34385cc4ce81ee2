"""Labels that an answer names word for word, in a place where only its verdict can stand.

Firmest first: in a box or double brackets, alone on the last line, behind a phrase that announces
it (`the label is`, `I would label this as`, `答えは`). What is read here needs no rule of language,
so names may be of any script, with any signs.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepdistill.annotator.reading.pattern import places
from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.announcing import (
    ALTERNATIVE,
    ANNOUNCED,
    CLOSINGS,
    CONCLUDES,
    FOLLOWS,
    IT_IS,
    LISTED,
    NEGATED,
    NOT_THE_OTHER,
    PARTED,
    PERHAPS_ANNOUNCED,
    SENTENCE_GOES_ON,
    STRANGER,
    THE_CLAIM,
)
from stepdistill.annotator.reading.verdict.names import At, Names
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.text import FILLER, HIDDEN, Span, Text
from stepdistill.annotator.reading.verdict.wrapping import layers

_BOXED = re.compile(
    # `\boxed{\text{B}}`, `[[B]]`, `<<<B>>>`
    r"\\{1,2}(?:boxed|fbox)\s?\{(?P<boxed>(?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]{0,80}\}){0,120}\})"
    r"{1,200})\}|\[\[(?P<double>[^\[\]\n]{1,200})\]\]|<<<(?P<angles>[^<>\n]{1,200})>>>"
)
_FENCE = re.compile(r"\s*(?:```\w*|~~~|</?\w{1,20}>|\$\$|\\\[|\\\])\s*")
_IN_MARKS = re.compile(  # `"B"`, `**B**`
    '"[^"\n]{1,80}"|\u201c[^\u201c\u201d\n]{1,80}\u201d|`[^`\n]{1,80}`|\\*\\*[^*\n]{1,80}\\*\\*'
    "|\u00ab[^\u00ab\u00bb\n]{1,80}\u00bb|\u300c[^\u300c\u300d\n]{1,80}\u300d|'[^'\\n]{1,80}'(?!\\w)"
)
_LONE_MARK = re.compile(r"[A-Za-z]|\d{1,3}")
_LONGEST_LAST_LINE = 400
_BEFORE = 60  # characters before an announcement that may deny it
_FEW_WORDS, _SHORT_LABEL = 4, 40
_MOST_NAMED = 20  # times that a label is taken out of the reasons, the last ones first
_MOST_SENTENCES = 4  # of an answer whose label may stand in quotation marks anywhere
_FIRM, _SOFT = 0.9, 0.7  # confidence of a rule of language that gives way to a name as written


class Place(NamedTuple):
    """A label named at a place of the answer."""

    label: str
    start: int
    end: int


def boxed(text: str, names: Names) -> Place | None:
    """The last label that stands in a box; a box that holds none is passed over."""
    if "\\" not in text and "[[" not in text and "<<<" not in text:
        return None
    for match in reversed(list(_BOXED.finditer(text))):
        inner = match[match.lastgroup or 0]
        if found := label_part(inner, names):
            return Place(found[0], *match.span())
    return None


def last_line(answer: str) -> Span | None:
    """The last line with words on it, but for fences and lone tags around it."""
    end = len(answer)
    while end > 0:
        start = answer.rfind("\n", 0, end) + 1
        line = answer[start:end]
        if line.strip() and not _FENCE.fullmatch(line):
            return (start, end) if len(line) <= _LONGEST_LAST_LINE else None
        end = start - 1
    return None


def alone_at_the_end(answer: str, names: Names) -> Place | None:
    """The label that the last of several lines is, and nothing else."""
    place = last_line(answer) if "\n" in answer else None
    if place is None or not answer[: place[0]].strip():
        return None
    label = names.short(answer[slice(*place)])
    if label is None:
        return None
    before = last_line(answer[: place[0]])
    other = before and names.short(answer[slice(*before)])
    # Of several lines that name one label each, none is the answer.
    return Place(label, place[0], len(answer)) if other in (None, label) else None


def is_verdict(text: str, found: At, names: Names) -> bool:
    """Whether what follows a name leaves it the one that is meant: no `or`, no other word."""
    if FOLLOWS.match(text, found.end) is None:
        return False
    other = ALTERNATIVE.match(text, found.end)
    beside = names.at_start(text, other.end()) if other else None
    return beside is None or beside.label == found.label


def set_apart(text: Text, names: Names) -> Verdict | None:
    """The label in a box or alone on the last line: nothing else in an answer is firmer."""
    answer = text.answer
    if found := boxed(answer, names):
        return verdict_of(text, [found], "boxed", 0.98)
    found = alone_at_the_end(answer, names)
    return verdict_of(text, [found], "last-line", 0.97) if found else None


def _opening(text: Text, names: Names) -> Verdict | None:
    """A label at the very beginning, and a colon, a dash or a line break behind it."""
    answer = text.answer
    if len(text.sentences) > _MOST_SENTENCES or THE_CLAIM.match(answer):
        return None
    if (found := names.at_start(answer)) is None:
        return None
    behind = PARTED.match(answer, found.end)
    if behind is None:
        return None
    other = names.at_start(answer, behind.end())
    if other is not None and not SENTENCE_GOES_ON.match(answer, other.end):
        return None  # several labels, one after the other
    if LISTED.match(answer) and "\n" in answer[behind.end() :]:
        return None
    stated = ((0, behind.end()),)
    return Verdict(label=found.label, rule="opening", confidence=0.96, stated=stated)


def word_for_word(text: Text, names: Names, read: Verdict) -> Verdict:
    """What the answer announces in so many words; else what the rules of language read."""
    announcements = _announcements(text)
    announced = [
        Place(found.label, start, found.end)
        for start, end in announcements
        if (found := _behind(text.answer, end, names))
    ]
    if not announced and any(_is_stranger(text.answer, end) for _, end in announcements):
        return undecided("no_verdict", read.stated)
    if {each.label for each in announced} == {read.label} and read.confidence >= _SOFT:
        return read
    verdict = verdict_of(text, announced, "announced", 0.95)
    if verdict is None and (opening := _opening(text, names)):
        return read if read.label == opening.label and read.confidence > _FIRM else opening
    if verdict is None and read.confidence < _FIRM:
        verdict = verdict_of(text, list(_plainly_said(text, names)), "statement", 0.93)
    if verdict is None and read.confidence < _SOFT:
        verdict = verdict_of(text, list(_marked(text, names)), "marked", 0.8)
    agrees = verdict is not None and verdict.label == read.label
    return read if verdict is None or (agrees and read.confidence >= _SOFT) else verdict


def is_cut_short(text: Text, label_text: str | None, names: Names) -> bool:
    """Whether a letter or a word stands where the label belongs, and is no name of one."""
    if label_text:
        words = label_text.split()
        return 0 < len(words) <= _FEW_WORDS and len(label_text) <= _SHORT_LABEL
    start, end = text.sentences[-1] if text.sentences else (0, 0)
    if end - start > _SHORT_LABEL:
        return False
    place = last_line(text.answer)
    if label_text is not None or place is None or place[1] - place[0] > _SHORT_LABEL:
        return False
    *_, core = layers(text.answer[slice(*place)])
    return len(text.sentences) > 1 and _LONE_MARK.fullmatch(core) is not None


def _announcements(text: Text) -> list[tuple[int, int]]:
    """What announces a label, with nothing before it that denies it."""
    answer, found = text.answer, list[tuple[int, int]]()
    for place in places(PERHAPS_ANNOUNCED)(answer):
        match = ANNOUNCED.match(answer, place)
        if match is None or text.hidden[place] in (HIDDEN, FILLER):
            continue
        if NEGATED.search(answer, max(0, place - _BEFORE), place) is None:
            found.append(match.span())
    return found


def _is_stranger(answer: str, place: int) -> bool:
    """Whether a letter or number that is no label stands where the label is announced."""
    return answer[place - 1] != "\n" and STRANGER.match(answer, place) is not None


def _plainly_said(text: Text, names: Names) -> Iterator[Place]:
    """Every label behind `It is` and the like, where that opens a sentence."""
    for start, _ in (*text.sentences[:2], *text.sentences[2:][-1:]):
        match = IT_IS.match(text.answer, start)
        if match and (named := _behind(text.answer, match.end(), names)):
            yield Place(named.label, start, named.end)


def _marked(text: Text, names: Names) -> Iterator[Place]:
    """Every label in quotation marks, bold or code."""
    if len(text.sentences) > _MOST_SENTENCES:
        return
    for match in _IN_MARKS.finditer(text.answer):
        label = names.short(match.group())
        if label is not None and not _denied(text.answer, match.start()):
            yield Place(label, *match.span())


def _behind(answer: str, place: int, names: Names) -> At | None:
    found = names.at_start(answer, place)
    if found is None or not is_verdict(answer, found, names):
        return None
    newline = answer.rfind("\n", place, found.end)
    if newline >= 0 and names.short(answer[newline:].lstrip().partition("\n")[0]) is None:
        return None  # `each option:` and a list of them
    denied = NOT_THE_OTHER.match(answer, found.end)
    other = names.at_start(answer, denied.end()) if denied else None
    return found._replace(end=other.end) if other else found


def _denied(answer: str, place: int) -> bool:
    return NEGATED.search(answer[max(0, place - _BEFORE) : place]) is not None


def label_part(text: str, names: Names) -> tuple[str, int] | None:
    """The label that a label's own text names, and where it ends: the whole text, or a part."""
    if (label := names.short(text)) is not None:
        return label, len(text)
    found = names.at_start(text)
    if found is None or not is_verdict(text, found, names):
        return None
    closing = CLOSINGS.match(text, found.end)
    return found.label, closing.end() if closing else found.end


def verdict_of(text: Text, named: list[Place], rule: str, confidence: float) -> Verdict | None:
    """The last that a conclusion names, or all of them if they agree; None if they do not."""
    if not named:
        return None
    chosen = named[-1]
    if len({each.label for each in named}) > 1:
        concluding = [each for each in named[-_MOST_NAMED:] if _concludes(text, each)]
        if not concluding:
            return None
        chosen = concluding[-1]
    same = [each for each in named if each.label == chosen.label][-_MOST_NAMED:]
    stated = tuple(sorted({_stated(text, each) for each in same}))
    if not has_reasons(text, stated):
        stated = (_stated(text, chosen),)
    return Verdict(label=chosen.label, rule=rule, confidence=confidence, stated=stated)


def _concludes(text: Text, named: Place) -> bool:
    start = next((s for s, e in text.sentences if s <= named.start < e), named.start)
    return CONCLUDES.match(text.answer, start) is not None


def _stated(text: Text, named: Place) -> Span:
    """The sentences that the naming touches, but for the reasons in them."""
    touched = [i for i, (s, e) in enumerate(text.sentences) if s < named.end and e > named.start]
    if not touched:
        return named.start, named.end
    if len(touched) == 1:
        return stated_in(text, touched[0], (named.start, named.end))
    return text.sentences[touched[0]][0], text.sentences[touched[-1]][1]
