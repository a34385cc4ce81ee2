"""An answer with its numbers and its concluding sentences."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import takewhile

from stepdistill.annotator.reading.verdict.lexicon import CONCLUDING_WORDS
from stepdistill.annotator.reading.verdict.text import FILLER, HIDDEN, Span, Text
from stepdistill.annotator.reading.verdict.written_numbers import (
    Number,
    numbers_in,
    with_plain_digits,
)

_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
_CONCLUDING = (
    "in total",
    "in conclusion",
    "in other words",
    "this means",
    "that means",
    "rounding",
)
_IN_A_NUMBER = re.compile(r"[\d.,'{}\\/^\s]*")
# An answer's last characters, where its verdict stands: of 8 MB of `1+1+...` no more is read.
MOST_READ = 40_000


class NumberedText:
    """An answer with its numbers, which are looked for when they are first asked for.

    text: its sentences; marked: in lower case, without calculator marks, at the answer's length;
    begin: where its last 40,000 characters begin, which alone are looked at.
    """

    def __init__(self, text: Text) -> None:
        self.text = text
        self.begin = _after_the_cut(text.answer, max(0, len(text.answer) - MOST_READ))
        tail = without_marks(with_plain_digits(text.hidden[self.begin :]))
        self.marked = text.hidden[: self.begin] + tail

    @cached_property
    def numbers(self) -> list[Number]:
        """The numbers, from left to right; none of what the answer only quotes."""
        return list(self._from(self.begin))

    @cached_property
    def conclusion(self) -> int:
        """Where the last sentence like `Therefore, Ann has 36 more pens` begins; -1 for none."""
        for span in reversed(self.text.sentences):
            if span[0] >= self.begin and concludes(self.marked, span) and self.within(*span):
                return span[0]
        return -1

    def within(self, start: int, end: int) -> list[Number]:
        """The numbers that begin in this part; no more than these are looked for."""
        if "numbers" not in self.__dict__:
            start = max(start, self.begin)
            return list(takewhile(lambda number: number.start < end, self._from(start)))
        first = bisect_left(self._starts, start)
        return self.numbers[first : bisect_left(self._starts, end, first)]

    def first(self, start: int, end: int) -> Number | None:
        """The first number that begins in this part."""
        if "numbers" not in self.__dict__:
            found = next(self._from(max(start, self.begin)), None)
        else:
            index = bisect_left(self._starts, start)
            found = self.numbers[index] if index < len(self.numbers) else None
        return found if found and found.start < end else None

    def sentence_at(self, place: int) -> Span:
        """The sentence that this character is of."""
        index = bisect_right(self.text.sentences, place, key=lambda span: span[0]) - 1
        if index >= 0 and place < self.text.sentences[index][1]:
            return self.text.sentences[index]
        return place, place

    def told(self) -> list[tuple[Span, list[Number]]]:
        """The sentences that hold numbers, with them; times and dates where nothing else is."""
        found: list[tuple[Span, list[Number]]] = []
        if not self.numbers:
            return found
        for span in self.text.sentences:
            if span[1] > self.begin and (numbers := self.within(*span)):
                amounts = [each for each in numbers if not each.moment]
                found.append((span, amounts or numbers))
        return found

    def _from(self, start: int) -> Iterator[Number]:
        hidden = self.text.hidden
        for number in numbers_in(self._written, start):
            if hidden[number.end - 1] not in (HIDDEN, FILLER):
                yield number

    @cached_property
    def _written(self) -> str:
        tail = without_marks(with_plain_digits(self.text.answer[self.begin :]))
        return " " * self.begin + tail

    @cached_property
    def _starts(self) -> list[int]:
        return [number.start for number in self.numbers]


def _after_the_cut(answer: str, cut: int) -> int:
    """The cut, or behind the number that it goes through."""
    through = _IN_A_NUMBER.match(answer, cut) if cut else None
    return through.end() if through else cut


def concludes(marked: str, span: Span) -> bool:
    """Whether a sentence opens as a conclusion does: `Therefore, ...`, `In total, ...`."""
    words = marked[span[0] : span[1]].split(maxsplit=1)
    opening = words[0].strip(",*_") if words else ""
    return opening in CONCLUDING_WORDS or marked.startswith(_CONCLUDING, span[0])


def without_marks(text: str) -> str:
    """Calculator marks (`<<4-1=3>>`) blanked out at their length."""
    return _CALCULATOR.sub(lambda match: " " * len(match.group()), text) if "<<" in text else text
