"""Which classes an answer commits to, where a label may name several of them, or none.

A list of names says it best, in whatever form: with commas, semicolons or `and`, one a line, as
JSON. In sentences the names count that a conclusion has, else those that the first sentence has
which names any. The order means nothing: the label is written in the task's own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.class_reader import ClassReader
from stepdistill.annotator.reading.verdict.lexicon import CONCLUDING_WORDS
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.text import Span, Text
from stepdistill.common.kinds.multi import Multi
from stepdistill.common.task import NO_CLASS, LabelSpec

# What stands between the names of a list: `, `, ` and `, `"], ["`, a line with `- ` or `1. `.
_BETWEEN = re.compile(
    r"(?:[\s\[\](){}\"'`*•·;,|/&+.、，；]+|(?:and|or|both|as well as|plus|und|et|y)(?=[\s\"'`*])"
    r"|(?:(?<=\n)|^)[ \t]*(?:[-–]|\d{1,2}[.):]))+",
    re.IGNORECASE,
)
_NONE = re.compile(
    # `none`, `none of them`, `no label applies`, `[]`
    r"\W*(?:(?:none|neither|nothing)(?: of (?:them|these|the|those)(?: \w+){0,3})?"
    r"(?: (?:apply|applies|fits?|is|are)\b(?: \w+)?)?"
    r"|no (?:\w+ ){0,2}(?:labels?|class(?:es)?|categor(?:y|ies)|tags?|names?)(?: \w+)?"
    r"|empty(?: (?:set|list))?|n/a|\[\s*\])\W*",
    re.IGNORECASE,
)
_NONE_SAID = re.compile(
    # within a sentence: `none of the labels`, `no category applies`
    r"\bnone of (?:them|these|those|the)\b"
    r"|\bno (?:\w+ )?(?:labels?|class(?:es)?|categor(?:y|ies)|tags?) (?:\w+ )?(?:appl|fit)"
)
_ANNOUNCED = re.compile(
    # `The labels are`, `final answer:`, `it should be tagged as`
    r"\b(?:labels?|answers?|class(?:es)?|categor(?:y|ies)|tags?|names?|topics?|emotions?)\b"
    r"[\w ]{0,20}?(?:\bare\b|\bis\b|\binclude\b|:)"
    r"|\b(?:tagged|labell?ed|classified|categori[sz]ed) (?:as|with|under)\b"
)
_NEGATED = re.compile(
    # before a name: `not`, `no signs of`, `rather than`
    r"(?:\b(?:not?|nor|neither|without|rather than|instead of|absence of)\b|n't\b)"
    r"[\w ,]{0,30}\Z"
)
_LIST_SIGN = re.compile("[;,|]")
_WORD = re.compile(r"\w+")
_FEW_WORDS = 2
_JOINTS = re.compile(r"[\s_-]+")
_LOOKED_BACK = 60  # characters before a name in which a negation of it may stand
_MOST_OF_A_LIST = 2_000  # characters: a longer text is no list of names


class _Named(NamedTuple):
    """A class named at a place of the answer."""

    label: str
    start: int
    end: int


class SeveralClassesReader:
    """Reads the label of a task of kind `multi`."""

    quotes_say_nothing = True

    def __init__(self, label: LabelSpec) -> None:
        self._kind = Multi(label)
        self._one = ClassReader(label)  # knows other forms of a single name
        written = [(each, name) for name, spec in label.classes.items()
                   for each in (name, *spec.aliases) if each.strip()]  # fmt: skip
        self._labels: dict[str, str] = {}
        for each, name in written:
            self._labels.setdefault(_joined(each), name)
        # The longest first: of `severe toxic` and `toxic` the one that is there.
        longest = sorted({each for each, _ in written}, key=len, reverse=True)
        self._names = re.compile("|".join(map(_pattern, longest)), re.IGNORECASE)

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """All of the row, as for a single class."""
        return self._one.quotable(fields)

    def names(self, fields: Mapping[str, str]) -> None:
        """No name alone is the label: what names are found word for word, is found here."""
        return

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The label that a list of names is, and nothing else; None where a part is no name."""
        if len(text) > _MOST_OF_A_LIST:
            return None
        labels = self._listed(text)
        if labels is None:
            parts = [part for part in re.split(r"[;,\n|]|\band\b", text) if part.strip(" .[]\"'")]
            found = [self._one.named(part.strip(" .[]\"'"), fields) for part in parts]
            labels = [each for each in found if each is not None]
            if not labels or len(labels) < len(found):
                labels = None
        if labels is None:
            return NO_CLASS if _NONE.fullmatch(text) else None
        return self._kind.joined(labels)

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The classes that the answer commits to, and where it says so."""
        if not text.sentences:
            return undecided("no_verdict")
        if listed := self._last_lines(text, fields):
            return listed
        if self._lists_another(text.hidden):
            return undecided("no_verdict")
        told = [(number, self._said(text, span)) for number, span in enumerate(text.sentences)]
        told = [(number, named) for number, named in told if named]
        concluding = [pair for pair in told if self._concludes(text, pair[0])]
        if not told:
            return self._none(text)
        number, named = (concluding or told)[-1 if concluding else 0]
        label = self._kind.joined(each.label for each in named)
        place = named[0].start, named[-1].end
        confidence = 0.93 if concluding else 0.8
        stated = [stated_in(text, number, place)]
        return self._verdict(text, label, stated, "statement", confidence)

    def _last_lines(self, text: Text, fields: Mapping[str, str]) -> Verdict | None:
        """What the last lines name that are names and nothing else: one a line, or all in one."""
        labels: list[str] = []
        stated: list[Span] = []
        for start, end in reversed(text.sentences):
            named = self.named(text.answer[start:end], fields)
            if named is None or (stated and named == NO_CLASS):
                break
            labels += self._kind.classes_in(named)
            stated.insert(0, (start, end))
        if not stated:
            return None
        return self._verdict(text, self._kind.joined(labels), stated, "last-line", 0.95)

    def _verdict(
        self, text: Text, label: str, stated: list[Span], rule: str, confidence: float
    ) -> Verdict:
        spans = tuple(stated) if has_reasons(text, tuple(stated)) else text.sentences
        return Verdict(label=label, rule=rule, confidence=confidence, stated=spans)

    def _none(self, text: Text) -> Verdict:
        for span in reversed(text.sentences):
            if _NONE_SAID.search(text.hidden, *span):
                return self._verdict(text, NO_CLASS, [span], "statement", 0.8)
        return undecided("no_verdict")

    def _lists_another(self, text: str) -> bool:
        """`joy, hope`: a list with a name that the task does not have: to leave it out is wrong."""
        rest = _WORD.findall(self._names.sub("", text))
        return _LIST_SIGN.search(text) is not None and 0 < len(rest) <= _FEW_WORDS

    def _concludes(self, text: Text, number: int) -> bool:
        start, end = text.sentences[number]
        first = text.hidden[start:end].split(maxsplit=1)[0].strip(",*:")
        return first in CONCLUDING_WORDS or _ANNOUNCED.search(text.hidden, start, end) is not None

    def _said(self, text: Text, span: Span) -> list[_Named]:
        """The names of a sentence that it does not deny."""
        return [
            each
            for each in self._found(text.hidden, span)
            if not _NEGATED.search(text.hidden, max(span[0], each.start - _LOOKED_BACK), each.start)
        ]

    def _found(self, text: str, span: Span) -> Iterator[_Named]:
        for match in self._names.finditer(text, *span):
            yield _Named(self._labels[_joined(match.group())], *match.span())

    def _listed(self, text: str) -> list[str] | None:
        """The classes of a text that is made of names and what stands between them."""
        labels: list[str] = []
        place = 0
        while place < len(text):
            if match := self._names.match(text, place):
                labels.append(self._labels[_joined(match.group())])
            else:
                match = _BETWEEN.match(text, place)
            if match is None:
                return None
            place = match.end()
        return labels or None


def _joined(name: str) -> str:
    return _JOINTS.sub(" ", name.strip()).casefold()


def _pattern(name: str) -> str:
    """A name where it is no part of a longer word; `card_arrival` may be said `card arrival`."""
    words = [re.escape(word) for word in _JOINTS.split(name.strip()) if word]
    before = r"(?<!\w)" if name.strip()[0].isalnum() else ""
    behind = r"(?!\w)" if name.strip()[-1].isalnum() else ""
    return before + _JOINTS.pattern.join(words) + behind if words else re.escape(name)
