"""The reader of class labels: the verdict, and the sentences that state it and nothing else."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from stepdistill.annotator.reading.reading import Verdict
from stepdistill.annotator.reading.verdict.class_words import ClassWords
from stepdistill.annotator.reading.verdict.classes import Assertion, ClassVerdict
from stepdistill.annotator.reading.verdict.mentions import SOFT
from stepdistill.annotator.reading.verdict.names import Names
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.text import Span, Text
from stepdistill.common.task import LabelSpec

_YES_OR_NO = re.compile(r"\s*(?:yes|no)(?:[,.:;!]+\s*|\s+[-\u2013\u2014]\s+|\n+)", re.IGNORECASE)
_FEW_WORDS = 3
_MANY_WORDS = 10


class ClassReader:
    """Reads the label of a task with classes."""

    quotes_say_nothing = True

    def __init__(self, label: LabelSpec) -> None:
        self._words = ClassWords(label)
        self._verdict = ClassVerdict(self._words)
        # The same few label lines come again and again.
        self._named = lru_cache(maxsize=1024)(self._verdict.named)
        self._names = Names(
            (each, name)
            for aliases in (False, True)
            for name, spec in label.classes.items()
            for each in (spec.aliases if aliases else [name])
        )

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """All of the row: a class name inside a quoted premise is no verdict."""
        return sorted(fields.values(), key=len, reverse=True)

    def names(self, fields: Mapping[str, str]) -> Names:
        """The classes' names, and behind them their aliases."""
        return self._names

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The class that a short text names."""
        return self._named(text)

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The class the answer commits to, and the parts of the answer that only state it."""
        text = Text(text.answer, self._words.joined(text.hidden, text.answer), text.sentences)
        verdict, said = self._verdict.read(text)
        if not said:
            return verdict
        return verdict._replace(stated=self._taken_out(text, said))

    def _taken_out(self, text: Text, said: list[Assertion]) -> tuple[Span, ...]:
        """The first way that leaves any reasons; the strictest, if none does."""
        strictest = None
        for way in self._ways_to_take_out(text, said):
            stated = tuple(sorted(way))
            if has_reasons(text, stated):
                return stated
            strictest = strictest or stated
        return strictest or ()

    def _ways_to_take_out(self, text: Text, said: list[Assertion]) -> Iterator[list[Span]]:
        """From the strictest on: the first that leaves any reasons is the one to take."""
        main, *others = said
        opening = self._opening(text, said)
        repeats = [span for each in others if (span := _repeated(text, each))]
        if main.concluding:
            yield [*opening, *repeats, text.sentences[main.sentence]]
        stated = _stated(text, main)
        yield [*opening, *repeats, stated]
        yield [*opening, stated]
        if main.content > _MANY_WORDS:
            yield opening

    def _opening(self, text: Text, said: list[Assertion]) -> list[Span]:
        """`Yes,` or a first sentence that only says that the claim can be judged."""
        if all(each.sentence for each in said) and self._verdict.can_be_told(text):
            return [text.sentences[0]]
        return [match.span()] if (match := _YES_OR_NO.match(text.answer)) else []


def _repeated(text: Text, said: Assertion) -> Span | None:
    """What a sentence says of the verdict besides the main one: all of it, or a clause."""
    if said.mention.strength < SOFT and not said.only_judges:
        return None
    whole = text.sentences[said.sentence]
    if said.concluding or (said.only_judges and said.sentence):
        return whole
    stated = _stated(text, said)
    only_states = said.sentence == 0 or said.content <= _FEW_WORDS
    return stated if only_states or stated != whole else None


def _stated(text: Text, said: Assertion) -> Span:
    """The sentence, but for the reasons it may give before or behind the verdict."""
    mention, hidden, end = said.mention, text.hidden, text.sentences[said.sentence][0]
    for token in said.tokens[: mention.place]:
        end = hidden.index(token, end) + len(token)
    start = hidden.index(said.tokens[mention.place], end)
    for token in said.tokens[mention.place : mention.until]:
        end = hidden.index(token, end) + len(token)
    return stated_in(text, said.sentence, (start, end))
