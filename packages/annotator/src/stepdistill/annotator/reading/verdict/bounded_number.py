"""Which number an answer commits to, where a label is a rating or another quantity.

First what is said to be the rating, with or without its scale (`4/5`, `4 out of 5`, `4 stars`);
else the one number that is within the task's bounds; else what the rules for computed numbers read.
"""

import re
from collections.abc import Mapping

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.numbers import NumberReader
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.text import Span, Text
from stepdistill.common.kinds.number import BoundedNumber, written
from stepdistill.common.labels import value_of
from stepdistill.common.task import LabelSpec

# `4`, `-0.5`, `3,5` is none of them; a word to ten is left to the reader of numbers.
_ONE = r"[-\u2212+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?![\d,.]*\d)"
_SCALE = r"(?:\s?/\s?|\s+out\s+of\s+|\s+of\s+)(?P<most>\d+(?:\.\d+)?)"
_SCALED = re.compile(rf"(?<![\w.])(?P<number>{_ONE}){_SCALE}(?![\w/])", re.IGNORECASE)
_STARS = re.compile(rf"(?<![\w.])(?P<number>{_ONE})[\s-]?(?:stars?|points?)\b", re.IGNORECASE)
_ANNOUNCED = re.compile(
    # `The rating is 4`, `I would rate it 4`, `a score of 4`, `label: 4`
    r"\b(?:rat(?:ing|ed?)|scored?|label|answer|value|number|grade|result|estimate[ds]?"
    rf"|predict(?:ion|ed)?|give|assign)\b[^.\d\n+\u2212-]{{0,40}}?(?P<number>{_ONE})",
    re.IGNORECASE,
)
_PLACES = (_SCALED, _ANNOUNCED, _STARS)
_ANY = re.compile(rf"(?<![\w.,/])(?:{_ONE})(?!\w|\s?/)")


class BoundedNumberReader:
    """Reads the label of a task of kind `number`."""

    quotes_say_nothing = True

    def __init__(self, label: LabelSpec) -> None:
        self._kind = BoundedNumber(label)
        self._numbers = NumberReader()

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """All of the row: a number that it quotes is no rating."""
        return sorted(fields.values(), key=len, reverse=True)

    def names(self, fields: Mapping[str, str]) -> None:
        """A number has no names."""
        return

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The number that a short text is, within the task's bounds."""
        if (scaled := _SCALED.search(text)) and self._is_scale(scaled["most"]):
            return self._label(scaled["number"])
        if starred := _STARS.search(text):
            return self._label(starred["number"])
        return self._label(self._numbers.named(text, fields))

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The number that the answer commits to, and where it says so."""
        for pattern in _PLACES:
            found = [
                match
                for match in pattern.finditer(text.hidden)
                if pattern is not _SCALED or self._is_scale(match["most"])
            ]
            label = self._label(found[-1]["number"]) if found else None
            if label is not None:
                return self._verdict(text, label, found[-1].span(), "statement", 0.95)
        within = [
            (label, match.span())
            for match in _ANY.finditer(text.hidden)
            if (label := self._label(match.group())) is not None
        ]
        if len({label for label, _ in within}) == 1:
            return self._verdict(text, *within[-1], "only-number", 0.8)
        read = self._numbers.read(text, fields)
        label = self._label(read.label)
        if label is None:
            return undecided(read.reason or "out_of_bounds", read.stated)
        return read._replace(label=label)

    def _label(self, text: str | None) -> str | None:
        """The number as labels have it; None where it is none, or out of bounds."""
        label = None if text is None else self._kind.gold(text)
        if label is None and text is not None and (value := value_of(text)) is not None:
            label = written(value)  # `1/2`, `3 + 1`
        return label if label is not None and self._kind.check(label, {}) is None else None

    def _is_scale(self, most: str) -> bool:
        """Whether `of 5` is the task's own scale: of another one, the number would mean less."""
        maximum = self._kind.spec.maximum
        return maximum is None or float(most) == maximum

    def _verdict(
        self, text: Text, label: str, place: Span, rule: str, confidence: float
    ) -> Verdict:
        number = next(
            (n for n, (start, end) in enumerate(text.sentences) if start <= place[0] < end), 0
        )
        stated = (stated_in(text, number, place),)
        if not has_reasons(text, stated):
            stated = text.sentences
        return Verdict(label=label, rule=rule, confidence=confidence, stated=stated)
