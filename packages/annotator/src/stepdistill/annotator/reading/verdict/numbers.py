"""Which number or equation an answer commits to.

A boxed number first, then what is said to be the answer, then the conclusion: the last sentence
with a number, and in it what stands behind the last `=`, or else the number that was computed
before, rather than one the question gave. A number that cannot be read whole is no label, and
neither is a part of it.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.equations import equation_in
from stepdistill.annotator.reading.verdict.number_words import numbers_in_words
from stepdistill.annotator.reading.verdict.numbered_text import (
    MOST_READ,
    NumberedText,
    concludes,
    without_marks,
)
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.single_numbers import (
    is_in_a_name,
    is_in_a_range,
    is_one_of_a_kind,
    is_one_of_several,
    is_operand,
)
from stepdistill.annotator.reading.verdict.text import Span, Text
from stepdistill.annotator.reading.verdict.written_numbers import (
    Number,
    numbers_in,
    with_plain_digits,
)
from stepdistill.common.labels import LONGEST_EQUATION, same_value, value_of

_PLAIN = re.compile(r"\s*-?[0-9]+(?:\.[0-9]+)?\s*")
_LIST_MARK = re.compile(r"^\s*\d{1,2}[.)]\s+(?=\S+\s*\Z)")  # `1. 36`
_BOXED = re.compile(r"\\{1,2}boxed\s?\{((?:[^{}\n]|\{[^{}\n]{0,40}\}){1,100})\}")
_BECAUSE = re.compile(r"\b(?:because|since|given that)\b")
_SAID = re.compile(
    r"\b(?P<name>final answer|answer|result|total|equation|difference|sum)\s+"
    r"(?:is|are|would be|will be|=)\s*:?\s*|####\s*"
)
_SAID_WORDS = ("answer", "result", "total", "equation", "difference", "sum", "####")
# `The difference is -36. Therefore, Ann has 36 more pens.`: these may stand on the way.
_ON_THE_WAY = frozenset(("result", "total", "difference", "sum"))
_LEADS_TO = re.compile(
    r"\b(?:so(?! (?:that|as to)\b)|making|makes|thus|therefore|hence|leaving|leaves|meaning|means"
    r"|equals?|gives|total of|round(?:s|ed)(?: up| down)? to)\b"
)
_OPERATION = re.compile(r"[\d)]\s*[-+*/x\u00d7\u00f7\u2212]\s*[$(]?\d")
_IN_ALL = re.compile(r"(?: [\w-]+){0,3},? (?:in all|altogether|in total)(?=[.,;!]|\s*\Z|\n)")
_BOTH = re.compile(r"(?: \w+){0,3},? and (?:\w+ ){0,2}")
_AND_ANOTHER = re.compile(r"(?: \w+){1,3},? and ")
# `Since there are 10 in all, there is 1 box`: what is given, then what follows.
_GIVEN_FIRST = re.compile(
    r"(?:(?:so|therefore|thus|hence|and|but|then),? )?"
    r"(?:(?:since|because|as|if|with|given)\b[^\n]*?, |[^\n]*?, (?:and )?(?:so|then|therefore) )"
)
_COMPUTED_WITH = re.compile(
    # `14 - 5`, `2(10)`
    r"\)?\s*(?:[+/\u00d7\u00f7\u2212-]|\*(?!\*)|x(?=\s?\d))\s*[($]*\d|\(\d"
)
_IMPOSSIBLE = re.compile(
    r"(?:\bcannot|\bcan't|can not|couldn't|could not|impossible|not possible|isn't possible"
    r"|(?:not|n't) make sense|no sense)\b[^.\n]{0,60}?"
    r"\b(?:(?P<negative>negative|below zero|less than zero)|fraction|fractional|half)\b"
)
# Behind it: `so she has no beads left`, `this means that there are none`.
_NONE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|with|be|sold|left|gets?|needs?) (?:no|none|zero|nothing)\b"
    r"(?! (?:answer|solution|way|such|information|valid|possible))"
)
_RARE = ("negative", "fraction", "half", "zero")  # a quick look before the one above
_EQUALS = re.compile("=")
_FARTHEST = 40  # characters between "the answer is" and its number
_NEAR_EQUALS = 30


class NumberReader:
    """Reads the label of a task whose labels are equations or numbers."""

    quotes_say_nothing = False

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """Nothing is hidden: the question's numbers are told apart by their value."""
        return []

    def names(self, fields: Mapping[str, str]) -> None:
        """None: such labels have no names."""

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The equation or the first number of a short text."""
        if _PLAIN.fullmatch(text):
            return text.strip()
        text = without_marks(with_plain_digits(text[:MOST_READ]))
        text = _LIST_MARK.sub("", text)
        if boxed := _BOXED.search(text):
            text = boxed[1]
        if equation := equation_in(text):
            return equation
        numbers = list(numbers_in(text))
        if "=" in text and len(numbers) > 1:
            behind = [each for each in numbers if each.start > text.rindex("=")]
            numbers = behind or numbers
        if not numbers:
            return _from_words(text.lower(), 0, len(text))
        alone = not is_one_of_several(text, numbers) and not is_operand(text, numbers)
        return numbers[0].plain if alone else None

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The number the answer commits to, and where it says so."""
        short = text.answer if len(text.answer) <= LONGEST_EQUATION else ""
        if equation := equation_in(with_plain_digits(short)):
            return Verdict(label=equation, rule="bare", confidence=0.95, stated=text.sentences)
        answer = NumberedText(text)
        verdict = self._boxed(answer, fields) or _said(answer)
        if verdict is None:
            return _concluded(answer, fields)
        if verdict.label is None:
            return verdict
        stated = tuple(sorted({*verdict.stated, *_said_again(answer, verdict.label)}))
        return verdict._replace(stated=stated) if has_reasons(text, stated) else verdict

    def _boxed(self, answer: NumberedText, fields: Mapping[str, str]) -> Verdict | None:
        matches = list(_BOXED.finditer(answer.text.hidden, answer.begin))
        if not matches:
            return None
        stated = (answer.sentence_at(matches[-1].start()),)
        boxed = answer.text.answer[slice(*matches[-1].span(1))]
        label = self.named(boxed, fields)
        if label is None:
            return undecided("no_verdict", stated) if any(_numbers_of(boxed)) else None
        return Verdict(label=label, rule="boxed", confidence=0.98, stated=stated)


class _Given:
    """The numbers of a row's texts, looked for when they are first asked for."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    @cached_property
    def _numbers(self) -> list[str]:
        texts = self._fields.values()
        return [each.plain for text in texts for each in _numbers_of(text) if each.plain]

    def lacks(self, number: Number) -> bool:
        """Whether no text of the row tells this number."""
        plain = number.plain
        return plain is None or not any(same_value(plain, one) for one in self._numbers)


def _said(answer: NumberedText) -> Verdict | None:
    """What is said to be the answer; None where that is not said, or taken further later on."""
    marked = answer.marked
    if not any(word in marked for word in _SAID_WORDS):
        return None
    for match in reversed(list(_SAID.finditer(marked, answer.begin))):
        start, end = answer.sentence_at(match.start())
        if match["name"] in _ON_THE_WAY and answer.conclusion >= end:
            continue
        words = answer.text.answer[match.end() : min(end, match.end() + LONGEST_EQUATION)]
        if equation := equation_in(with_plain_digits(words)):
            stated = ((start, end),)
            return Verdict(label=equation, rule="statement", confidence=0.93, stated=stated)
        number = answer.first(match.end(), min(match.end() + _FARTHEST, end))
        if number is None:
            label = _from_words(marked, match.end(), min(match.end() + _FARTHEST, end))
            if label is None or is_one_of_a_kind(marked, match.end()):
                continue
            return Verdict(label=label, rule="statement", confidence=0.93, stated=((start, end),))
        words = marked[match.end() : number.start].strip("*_$ \"'(")
        others = answer.within(number.start, min(end, number.end + _FARTHEST))
        because = _BECAUSE.search(marked, number.end, end)
        if (
            "=" in marked[number.end : because.start() if because else end]
            or len(words) > 12
            or is_operand(marked, others)
        ):
            continue
        if is_one_of_several(marked, others) or not number.plain:
            return undecided("no_verdict", ((start, end),))
        return Verdict(
            label=number.plain, rule="statement", confidence=0.93, stated=((start, end),)
        )
    return None


def _concluded(answer: NumberedText, fields: Mapping[str, str]) -> Verdict:
    told = answer.told()
    if not told or _is_concluded_in_words(answer):
        return _in_words(answer)
    impossible = _last_impossible(answer)
    if impossible and (none := _none_at_all(answer, impossible)):
        return none
    told = _behind(told, impossible.end()) if impossible else told
    known = _Given(fields)
    span, numbers = _conclusion(answer.marked, told, known)
    chosen = _answer_in(answer, span, numbers, known)
    if chosen is None:
        return undecided("conflicting_verdicts", (span,))
    final = concludes(answer.marked, span)
    if not final and is_in_a_name(answer.marked, chosen):
        return undecided("no_verdict", (span,))
    if is_in_a_range(answer, chosen) or _is_impossible(answer, impossible, chosen):
        return undecided("no_verdict", (span,))
    label = chosen.plain
    if _COMPUTED_WITH.match(answer.marked, chosen.end):
        label = equation_in(answer.text.answer[chosen.start : span[1]])
    if label is None:
        return undecided("no_verdict", (span,))
    rule, confidence = ("final-verdict", 0.9) if final else ("last-number", 0.8)
    stated = _stated(answer, span, chosen)
    return Verdict(label=label, rule=rule, confidence=confidence, stated=stated)


def _last_impossible(answer: NumberedText) -> re.Match[str] | None:
    """Where it is said last that a number `cannot be negative` or be a fraction."""
    if not any(word in answer.marked for word in _RARE):
        return None
    return next(reversed(list(_IMPOSSIBLE.finditer(answer.marked, answer.begin))), None)


def _none_at_all(answer: NumberedText, impossible: re.Match[str]) -> Verdict | None:
    """`Since she cannot have negative beads, she has none`: zero."""
    sentence = answer.sentence_at(impossible.start())
    if answer.within(impossible.end(), sentence[1]):
        return None
    if not _NONE.search(answer.marked, impossible.end(), sentence[1]):
        return None
    return Verdict(label="0", rule="in-words", confidence=0.7, stated=(sentence,))


def _behind(told: list[tuple[Span, list[Number]]], place: int) -> list[tuple[Span, list[Number]]]:
    """What is told behind this place, if anything is: there the conclusion is drawn."""
    found = [
        (span, kept)
        for span, numbers in told
        if span[1] > place and (kept := [each for each in numbers if each.start >= place])
    ]
    return found or told


def _is_impossible(answer: NumberedText, said: re.Match[str] | None, chosen: Number) -> bool:
    """Whether a number is of the kind that a later sentence calls impossible."""
    value = value_of(chosen.plain or "")
    if said is None or value is None or chosen.start >= answer.sentence_at(said.start())[0]:
        return False
    return value < 0 if said["negative"] else value != round(value)


def _in_words(answer: NumberedText) -> Verdict:
    last = answer.text.sentences[-1]
    label = _from_words(answer.marked, max(last[0], answer.begin), last[1])
    if label is None or is_one_of_a_kind(answer.marked, last[0]):
        return undecided("no_verdict")
    return Verdict(label=label, rule="in-words", confidence=0.7, stated=(last,))


def _is_concluded_in_words(answer: NumberedText) -> bool:
    """`14 - 5 = 9. So she has nine beads.`: but `one` is often no number."""
    last = answer.text.sentences[-1]
    if last[0] < answer.begin or answer.within(*last) or not concludes(answer.marked, last):
        return False
    return _from_words(answer.marked, *last) not in (None, "1")


def _from_words(text: str, start: int, end: int) -> str | None:
    """The only number in words of this part of a text."""
    found = set(numbers_in_words(text, start, end))
    return found.pop() if len(found) == 1 else None


def _conclusion(
    marked: str, told: list[tuple[Span, list[Number]]], known: _Given
) -> tuple[Span, list[Number]]:
    """The last sentence that concludes or computes; else the last that tells a new number."""
    for span, numbers in reversed(told):
        given = _GIVEN_FIRST.match(marked, *span)
        follows = given is not None and numbers[-1].start >= given.end()
        if follows or concludes(marked, span):
            return span, numbers
        if "=" in marked[span[0] : span[1]]:
            return _without_its_sign(span, numbers, told)
    for span, numbers in reversed(told):
        if any(known.lacks(each) for each in numbers):
            return span, numbers
    return told[-1]


def _without_its_sign(
    span: Span, numbers: list[Number], told: list[tuple[Span, list[Number]]]
) -> tuple[Span, list[Number]]:
    """`4 - 40 = -36. Ann has 36 more pens.`: the later sentence that says how much it is."""
    plain = numbers[-1].plain or ""
    for later, others in told[told.index((span, numbers)) + 1 :]:
        if plain.startswith("-") and any(each.plain == plain[1:] for each in others):
            return later, others
    return span, numbers


def _answer_in(
    answer: NumberedText, span: Span, numbers: list[Number], known: _Given
) -> Number | None:
    """Of a sentence's numbers the one behind `=`, else a computed one, else a new one."""
    marked = answer.marked
    equals = max(marked.rfind("=", *span), marked.rfind("\u2248", *span))
    behind = [each for each in numbers if each.start > equals >= 0]
    if behind:
        return _taken_further(marked, span, behind)
    numbers = _of_the_main_clause(marked, (max(span[0], answer.begin), span[1]), numbers)
    if (computed := _computed_before(answer, span[0], numbers)) is not None:
        return None if _another_beside(marked, computed, numbers) else computed
    if len(in_all := [each for each in numbers if _IN_ALL.match(marked, each.end)]) == 1:
        return in_all[0]
    new = [each for each in numbers if known.lacks(each)]
    if len(new) > 1 and _BOTH.fullmatch(marked, new[0].end, new[1].start):
        return None
    if _another_beside(marked, (new or numbers)[0], numbers):
        return None
    if not new and len({each.plain for each in numbers}) > 1 and not concludes(marked, span):
        return None
    return (new or numbers)[0]


def _taken_further(marked: str, span: Span, behind: list[Number]) -> Number:
    """What `=` leads to; of `= -36, so Ann has 36 more` or `= 9.8, so 10 buses` what follows."""
    result = behind[0]
    value = value_of(result.plain or "")
    if value is None or (value >= 0 and value == round(value)):
        return result
    leads = [match.end() for match in _LEADS_TO.finditer(marked, result.end, span[1])]
    further = [each for each in behind[1:] if leads and each.start > leads[0] and each.plain]
    same = (each for each in further if abs(value_of(each.plain or "") or 0) == abs(value))
    return next(same, further[0] if further else result)


def _of_the_main_clause(marked: str, span: Span, numbers: list[Number]) -> list[Number]:
    """The numbers behind `so` or `making`, or behind what is given: `Since ..., there is 1`."""
    leads = [match.end() for match in _LEADS_TO.finditer(marked, *span)]
    numbers = [each for each in numbers if leads and each.start > leads[-1]] or numbers
    given = _GIVEN_FIRST.match(marked, *span)
    return [each for each in numbers if given and each.start >= given.end()] or numbers


def _computed_before(answer: NumberedText, place: int, numbers: list[Number]) -> Number | None:
    """The number that an earlier `=` led to, the last of these first; else without its minus."""
    equals = (match.end() for match in _EQUALS.finditer(answer.marked, answer.begin, place))
    found = (answer.first(behind, min(behind + _NEAR_EQUALS, place)) for behind in equals)
    wanted = [number.plain for number in found if number and number.plain]
    for plain in reversed(wanted):
        for each in numbers:
            if same_value(each.plain or "", plain):
                return each
    # 4 - 40 = -36, so 36 fewer.
    amounts = {plain.removeprefix("-") for plain in wanted if plain.startswith("-")}
    return next((each for each in numbers if each.plain in amounts), None)


def _another_beside(marked: str, chosen: Number, numbers: list[Number]) -> bool:
    """`9 beads and 5 rings`: two amounts are no answer."""
    place = numbers.index(chosen) + 1
    if place == len(numbers) or same_value(chosen.plain or "", numbers[place].plain or ""):
        return False
    return _AND_ANOTHER.fullmatch(marked, chosen.end, numbers[place].start) is not None


def _said_again(answer: NumberedText, label: str) -> Iterator[Span]:
    """Sentences such as `So, she has 9 beads.`, which conclude and compute nothing."""
    for span in answer.text.sentences:
        if not concludes(answer.marked, span) or _computes(answer.marked, span):
            continue
        found = answer.within(*span)
        if len(found) == 1 and same_value(found[0].plain or "", label):
            yield span


def _computes(marked: str, span: Span) -> bool:
    return "=" in marked[span[0] : span[1]] or _OPERATION.search(marked, *span) is not None


def _stated(answer: NumberedText, span: Span, chosen: Number) -> tuple[Span, ...]:
    """The sentence of the answer, unless it shows the computation; then it is all reasons."""
    if _computes(answer.marked, span):
        return ()
    index = answer.text.sentences.index(span)
    whole = (span,)
    if has_reasons(answer.text, whole) or not _BECAUSE.search(answer.marked, *span):
        return whole
    return (stated_in(answer.text, index, (chosen.start, chosen.end)),)


def _numbers_of(value: str) -> Iterator[Number]:
    return numbers_in(with_plain_digits(value))
