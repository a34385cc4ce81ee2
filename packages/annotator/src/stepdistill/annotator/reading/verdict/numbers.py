"""Which number or equation an answer commits to.

A boxed number first, then what is said to be the answer, then the conclusion: the last sentence
with a number, and in it what stands behind the last `=`, or else the number that was computed
before, rather than one the question gave.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.lexicon import CONCLUDING_WORDS
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.text import Span, Text
from stepdistill.common.labels import same_value, value_of

_NUMBER = re.compile(
    r"(?<![\w.,])(?:(?P<sign>[-\u2212])\s?)?[$\u20ac\u00a3\u00a5]?\s?(?P<minus>[-\u2212])?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?P<fraction>\s?/\s?\d+(?!\d|\.\d))?(?!\d|(?:st|nd|rd|th)\b)"
)
_PLAIN = re.compile(r"\s*-?[0-9]+(?:\.[0-9]+)?\s*")
_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
_BOXED = re.compile(r"\\{1,2}boxed\s?\{((?:[^{}\n]|\{[^{}\n]{0,40}\}){1,100})\}")
_FRACTION = re.compile(r"\\{1,2}[dt]?frac\{(\d+)\}\{(\d+)\}")
_BECAUSE = re.compile(r"\b(?:because|since|given that)\b")
_SAID = re.compile(
    r"\b(?:final answer|answer|result|total|equation|difference|sum)\s+"
    r"(?:is|are|would be|will be|=)\s*:?\s*|####\s*"
)
_EQUATION = re.compile(r"[\d(.$\u2212-][\d\s.,()$\u2212+*/x\u00d7\u00f7=-]*")
_LEADS_TO = re.compile(
    r"\b(?:so|making|makes|thus|therefore|hence|leaving|leaves|meaning|means|equals?|gives"
    r"|total of)\b"
)
_OPERATION = re.compile(r"[\d)]\s*[-+*/x\u00d7\u00f7\u2212]\s*[$(]?\d")
_BOTH = re.compile(r"(?: \w+){0,3},? and (?:\w+ ){0,2}")
_AND_ANOTHER = re.compile(r"(?: \w+){1,3},? and ")
_ASSIGNED = re.compile(r"^\s*[A-Za-z]\w{0,20}\s*=")
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen"
    " fourteen fifteen sixteen seventeen eighteen nineteen twenty"
)
_WORDS: tuple[str, ...] = tuple(_NUMBER_WORDS.split())
_IN_WORDS = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")


class Number(NamedTuple):
    """A number as it stands in the answer, and its plain form."""

    start: int
    end: int
    plain: str


class NumberReader:
    """Reads the label of a task whose labels are equations or numbers."""

    quotes_say_nothing = False

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """Nothing is hidden: the question's numbers are told apart by their value."""
        return []

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The equation or the first number of a short text."""
        if _PLAIN.fullmatch(text):
            return text.strip()
        text = _without_marks(text)
        if boxed := _BOXED.search(text):
            text = boxed[1]
        text = _FRACTION.sub(r"\1/\2", text)
        if equation := _equation(text):
            return equation
        numbers = list(_numbers(text, 0, len(text)))
        if "=" in text and len(numbers) > 1:
            behind = [each for each in numbers if each.start > text.rindex("=")]
            numbers = behind or numbers
        return numbers[0].plain if numbers else _from_words(text.lower(), 0, len(text))

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The number the answer commits to, and where it says so."""
        marked = _without_marks(text.hidden)
        if equation := _equation(text.answer):
            return Verdict(label=equation, rule="bare", confidence=0.95, stated=text.sentences)
        verdict = self._boxed(text, fields) or self._said(text, marked, fields)
        if verdict is None:
            return _concluded(text, marked, fields)
        stated = tuple(sorted({*verdict.stated, *_said_again(text, marked, verdict.label or "")}))
        return verdict._replace(stated=stated) if has_reasons(text, stated) else verdict

    def _boxed(self, text: Text, fields: Mapping[str, str]) -> Verdict | None:
        matches = list(_BOXED.finditer(text.hidden))
        label = self.named(matches[-1][1], fields) if matches else None
        if label is None:
            return None
        stated = _sentence_of(text, matches[-1].start())
        return Verdict(label=label, rule="boxed", confidence=0.98, stated=(stated,))

    def _said(self, text: Text, marked: str, fields: Mapping[str, str]) -> Verdict | None:
        for match in reversed(list(_SAID.finditer(marked))):
            start, end = _sentence_of(text, match.start())
            if equation := _equation(text.answer[match.end() : end]):
                stated = ((start, end),)
                return Verdict(label=equation, rule="statement", confidence=0.93, stated=stated)
            if number := next(_numbers(marked, match.end(), min(match.end() + 40, end)), None):
                words = marked[match.end() : number.start].strip("*_$ \"'(")
                if "=" in marked[number.end : end] or len(words) > 12:
                    continue
                return Verdict(
                    label=number.plain, rule="statement", confidence=0.93, stated=((start, end),)
                )
        return None


def _concluded(text: Text, marked: str, fields: Mapping[str, str]) -> Verdict:
    told = [(span, found) for span in text.sentences if (found := list(_numbers(marked, *span)))]
    if not told:
        return _in_words(text, marked)
    known = [each.plain for value in fields.values() for each in _numbers(value, 0, len(value))]
    span, numbers = _conclusion(marked, told, known)
    chosen = _answer_in(marked, span, numbers, known)
    if chosen is None:
        return undecided("conflicting_verdicts", (span,))
    rule, confidence = ("final-verdict", 0.9) if _concludes(marked, span) else ("last-number", 0.8)
    stated = _stated(text, marked, span, chosen)
    return Verdict(label=chosen.plain, rule=rule, confidence=confidence, stated=stated)


def _in_words(text: Text, marked: str) -> Verdict:
    last = text.sentences[-1]
    label = _from_words(marked, *last)
    if label is None:
        return undecided("no_verdict")
    return Verdict(label=label, rule="in-words", confidence=0.7, stated=(last,))


def _conclusion(
    marked: str, told: list[tuple[Span, list[Number]]], known: list[str]
) -> tuple[Span, list[Number]]:
    """The last sentence that concludes or computes; else the last that tells a new number."""
    for span, numbers in reversed(told):
        if _concludes(marked, span) or "=" in marked[span[0] : span[1]]:
            return span, numbers
    for span, numbers in reversed(told):
        if any(_is_new(each, known) for each in numbers):
            return span, numbers
    return told[-1]


def _is_new(number: Number, known: list[str]) -> bool:
    return not any(same_value(number.plain, one) for one in known)


def _answer_in(marked: str, span: Span, numbers: list[Number], known: list[str]) -> Number | None:
    """Of a sentence's numbers the one behind `=`, else a computed one, else a new one."""
    equals = marked.rfind("=", *span)
    behind = [each for each in numbers if each.start > equals >= 0]
    if behind:
        return behind[0]
    leads = [match.end() for match in _LEADS_TO.finditer(marked, *span)]
    numbers = [each for each in numbers if leads and each.start > leads[-1]] or numbers
    for wanted in reversed(_computed(marked[: span[0]])):
        for each in numbers:
            if same_value(each.plain, wanted):
                return each
    new = [each for each in numbers if _is_new(each, known)]
    if len(new) > 1 and _BOTH.fullmatch(marked, new[0].end, new[1].start):
        return None
    if _another_beside(marked, (new or numbers)[0], numbers):
        return None
    if not new and len({each.plain for each in numbers}) > 1 and not _concludes(marked, span):
        return None
    return (new or numbers)[0]


def _another_beside(marked: str, chosen: Number, numbers: list[Number]) -> bool:
    """`9 beads and 5 rings`: two amounts are no answer."""
    place = numbers.index(chosen) + 1
    if place == len(numbers) or same_value(chosen.plain, numbers[place].plain):
        return False
    return _AND_ANOTHER.fullmatch(marked, chosen.end, numbers[place].start) is not None


def _said_again(text: Text, marked: str, label: str) -> Iterator[Span]:
    """Sentences such as `So, she has 9 beads.`, which conclude and compute nothing."""
    for start, end in text.sentences:
        if not _concludes(marked, (start, end)) or _computes(marked, (start, end)):
            continue
        found = list(_numbers(marked, start, end))
        if len(found) == 1 and same_value(found[0].plain, label):
            yield start, end


def _computes(marked: str, span: Span) -> bool:
    return "=" in marked[span[0] : span[1]] or _OPERATION.search(marked, *span) is not None


def _computed(before: str) -> list[str]:
    places = (match.end() for match in re.finditer("=", before))
    found = (next(_numbers(before, place, place + 30), None) for place in places)
    return [number.plain for number in found if number]


def _stated(text: Text, marked: str, span: Span, chosen: Number) -> tuple[Span, ...]:
    """The sentence of the answer, unless it shows the computation; then it is all reasons."""
    if _computes(marked, span):
        return ()
    index = text.sentences.index(span)
    whole = (span,)
    if has_reasons(text, whole) or not _BECAUSE.search(marked, *span):
        return whole
    return (stated_in(text, index, (chosen.start, chosen.end)),)


def _concludes(marked: str, span: Span) -> bool:
    opening = marked[span[0] : span[1]].split(maxsplit=1)[0].strip(",*_")
    return opening in CONCLUDING_WORDS or marked.startswith(("in total", "in conclusion"), span[0])


def _sentence_of(text: Text, place: int) -> Span:
    for start, end in text.sentences:
        if start <= place < end:
            return start, end
    return place, place


def _without_marks(text: str) -> str:
    """Calculator marks (`<<4-1=3>>`) blanked out at their length."""
    return _CALCULATOR.sub(lambda match: " " * len(match.group()), text) if "<<" in text else text


def _numbers(text: str, start: int, end: int) -> Iterator[Number]:
    for match in _NUMBER.finditer(text, start, end):
        sign = match["minus"] or (match["sign"] and not _is_operator(text, match))
        plain = match["digits"].replace(",", "") + (match["fraction"] or "").replace(" ", "")
        yield Number(start=match.start(), end=match.end(), plain=f"-{plain}" if sign else plain)


def _is_operator(text: str, number: re.Match[str]) -> bool:
    """Whether a minus takes away: behind a digit or bracket, or with spaces on both sides."""
    before = text[max(0, number.start() - 12) : number.start()].rstrip()
    if not before:
        return False
    spaced = text[number.end("sign")].isspace() and before[-1].isalpha()
    return before[-1].isdigit() or before[-1] in ")%" or spaced


def _equation(text: str) -> str | None:
    """The equation that a whole text is; `3 + 4 = 7` gives its left side, if that is its value."""
    text = _ASSIGNED.sub("", text.strip().strip("*`\"'.$ ").rstrip("=? ")).strip()
    if not _EQUATION.fullmatch(text) or not _OPERATION.search(text):
        return None
    left, equals, right = text.replace("$", "").partition("=")
    if value_of(left) is None:
        return None
    return left.strip() if not equals or same_value(left, right) else right.strip() or None


def _from_words(text: str, start: int, end: int) -> str | None:
    words = {match.group() for match in _IN_WORDS.finditer(text, start, end)}
    return str(_WORDS.index(words.pop())) if len(words) == 1 else None
