"""Whether a number stands alone: what is several, or computed with, is no answer."""

import re

from stepdistill.annotator.reading.verdict.numbered_text import NumberedText
from stepdistill.annotator.reading.verdict.written_numbers import Number
from stepdistill.common.labels import same_value

_ONE_OF_SEVERAL = re.compile(r"[%*)$]*\s*(?:to|or|and|through|,|-|\u2013|\u2014)\s*[*($]*")
_OPERATORS = frozenset("+-*/x\u00d7\u00f7\u2212")
_ALTERNATIVES = frozenset(("to", "or", "through", "-", "\u2013", "\u2014"))
_NOTHING_MORE = re.compile(r"[*)$\s]*(?:\"|[.;]?\s*\Z|\.\s|\n|,? and \d)")
# `2 hours 30 minutes`, `5 ft 3 in`: one amount in two numbers.
_UNIT = re.compile(
    r"\s?(?:hours?|hrs?|h|minutes?|mins?|weeks?|days?|years?|months?|feet|foot|ft|yards?|met(?:er|re)s?"
    r"|m|kg|kilograms?|lbs?|pounds?|dollars?|euros?|gallons?)\.?,?(?: and)?\s?|'"
)
_SMALLER_UNIT = re.compile(
    r"\s?(?:minutes?|mins?|m|seconds?|secs?|hours?|h|days?|weeks?|months?|inch(?:es)?|in|cm"
    r"|centimet(?:er|re)s?|g|grams?|ounces?|oz|cents?|pints?)\b|\""
)
# `One thing that matters`, `One sentence: ...`
_ONE_OF_A_KIND = re.compile(
    r"\W*one (?:of|can|could|may|might|must|should|has to|needs to|way|thing|example|sentence|line"
    r"|word|step|number|expression|equation|answer|solution|that|which)\b"
)
_IN_A_NAME = re.compile(r"-[a-z]")  # `a 3-step process`
_NEAR = 40  # characters around a number in which another may belong to it


def is_one_of_several(text: str, numbers: list[Number]) -> bool:
    """`3 to 5`, `3 or 4`, `3, 4`, `3 ft 4 in`: the first number is not meant alone."""
    if len(numbers) < 2:
        return False
    one, other = numbers[:2]
    together = _ONE_OF_SEVERAL.fullmatch(text, one.end, other.start) is not None
    if not together and not _is_compound(text, one, other):
        return False
    return not same_value(one.plain or "", other.plain or "")


def _is_compound(text: str, one: Number, other: Number) -> bool:
    unit = _UNIT.fullmatch(text, one.end, other.start)
    return unit is not None and _SMALLER_UNIT.match(text, other.end) is not None


def is_one_of_a_kind(text: str, place: int) -> bool:
    """Whether the words here begin with a `one` that counts nothing of what is asked for."""
    return _ONE_OF_A_KIND.match(text, place) is not None


def is_in_a_name(text: str, number: Number) -> bool:
    """`a 3-step process`: the number says which kind of thing it is."""
    return _IN_A_NAME.match(text, number.end) is not None


def is_operand(text: str, numbers: list[Number]) -> bool:
    """`14 + 5 beads`: the first number is computed with, and is no answer."""
    if len(numbers) < 2:
        return False
    between = text[numbers[0].end : numbers[1].start + 1].strip(" *)")
    return between != "" and between[0] in _OPERATORS


def is_in_a_range(answer: NumberedText, chosen: Number) -> bool:
    """`3-4`, `between 3 and 5`, `3 or 4`: no single number."""
    if chosen.plain is None:
        return True
    near = answer.within(max(0, chosen.start - _NEAR), chosen.end + _NEAR)
    place = near.index(chosen)
    pairs = zip(near[max(0, place - 1) :], near[max(1, place) : place + 2], strict=False)
    return any(_are_alternatives(answer.marked, *pair) for pair in pairs)


def _are_alternatives(marked: str, one: Number, other: Number) -> bool:
    between = marked[one.end : other.start].strip("%*)($ ")
    if between == "and":
        return marked.endswith("between ", 0, one.start)
    if between == ",":
        return _NOTHING_MORE.match(marked, other.end) is not None
    return between in _ALTERNATIVES or _is_compound(marked, one, other)
