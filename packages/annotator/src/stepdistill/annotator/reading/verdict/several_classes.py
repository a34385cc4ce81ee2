"""Which classes an answer commits to, where a label may name several of them, or none.

A list of names says it best, in whatever form: with commas, semicolons or `and`, one a line, as
JSON. In sentences the names count that a conclusion has, else those that the first sentence has
which names any. The order means nothing: the label is written in the task's own.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.class_reader import ClassReader
from stepdistill.annotator.reading.verdict.lexicon import CONCLUDING_WORDS
from stepdistill.annotator.reading.verdict.listed_names import (
    LIST_MARK,
    Line,
    ListedNames,
    NamedClass,
)
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.text import Span, Text
from stepdistill.common.kinds.multi import Multi
from stepdistill.common.task import NO_CLASS, LabelSpec

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
_LINE = re.compile(r"[^\n]*\w[^\n]*")
_LIST_SIGN = re.compile("[;,|]")
_WORD = re.compile(r"\w+")
_FENCE = re.compile(r"\W*(?:json|text|plaintext)?\W*", re.IGNORECASE)
_FEW_WORDS = 2
_LOOKED_BACK = 60  # characters before a name in which a negation of it may stand
_MOST_OF_A_LIST = 2_000  # characters: a longer text is no list of names


class ListedLabel(NamedTuple):
    """The label of a list at the beginning of a text; None where a name is none of the task's.

    places: the characters that name it, a span for each line.
    """

    label: str | None
    places: tuple[Span, ...]


class _Run(NamedTuple):
    """Sentences that are lines of one list. label: None where one of them cannot be read."""

    label: str | None
    stated: tuple[Span, ...]
    last: int  # sentence


class SeveralClassesReader:
    """Reads the label of a task of kind `multi`."""

    quotes_say_nothing = True

    def __init__(self, label: LabelSpec) -> None:
        self._kind = Multi(label)
        self._one = ClassReader(label)  # knows other forms of a single name
        self._listed = ListedNames(label)

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
        decided = [self._listed.decided(line) for line in text.splitlines() if line.strip()]
        if decided and None not in decided:
            return self._kind.joined(name for names in decided for name in names or ())
        labels = self._listed.listed(text)
        if labels is None:
            parts = [part for part in re.split(r"[;,\n|]|\band\b", text) if part.strip(" .[]\"'")]
            found = [self._one.named(part.strip(" .[]\"'"), fields) for part in parts]
            labels = [each for each in found if each is not None]
            if not labels or len(labels) < len(found):
                labels = None
        if labels is None:
            return NO_CLASS if _NONE.fullmatch(text) else None
        return self._kind.joined(labels)

    def part(self, text: str, fields: Mapping[str, str]) -> ListedLabel | None:
        """The label that the first lines of a text list, such as what follows `Label:`."""
        labels: list[str] = []
        places: list[Span] = []
        is_marked: bool | None = None
        for match in _LINE.finditer(text[:_MOST_OF_A_LIST]):
            if is_marked not in (None, _is_marked(match.group())):
                break  # `Label: joy`, and reasons listed below it
            is_marked = _is_marked(match.group())
            line = self._line(match.group(), fields)
            if line is None:
                break
            if line.is_foreign:
                return ListedLabel(None, ())
            labels += line.labels
            places.append((match.start() + line.place[0], match.start() + line.place[1]))
        if not places:
            whole = self.named(text, fields)  # `[]`, which has no word
            return None if whole is None else ListedLabel(whole, ((0, len(text)),))
        return ListedLabel(self._kind.joined(labels), tuple(places))

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The classes that the answer commits to, and where it says so."""
        if not text.sentences:
            return undecided("no_verdict")
        run = self._last_run(text, fields)
        if run and run.last == len(text.sentences) - 1:
            return self._of_run(text, run, "last-line", 0.95)
        if self._lists_another(text.hidden):
            return undecided("no_verdict")
        told = [(number, self._said(text, span)) for number, span in enumerate(text.sentences)]
        told = [(number, named) for number, named in told if named]
        concluding = [pair for pair in told if self._concludes(text, pair[0])]
        if run and not any(number > run.last for number, _ in concluding):
            return self._of_run(text, run, "list", 0.9)
        if not told:
            return self._none(text)
        number, named = (concluding or told)[-1 if concluding else 0]
        label = self._kind.joined(each.label for each in named)
        place = named[0].start, named[-1].end
        confidence = 0.93 if concluding else 0.8
        return self._verdict(
            text, label, (stated_in(text, number, place),), "statement", confidence
        )

    def _line(self, line: str, fields: Mapping[str, str]) -> Line | None:
        """A line of a list: names and nothing else, or names and what is said of them."""
        found = self._listed.line(line)
        if found is None or found.is_foreign:
            named = self.named(line, fields)
            if named is not None:
                return Line(self._kind.classes_in(named), (0, len(line)))
        return found

    def _last_run(self, text: Text, fields: Mapping[str, str]) -> _Run | None:
        """The last list of an answer: names one a line, or all in one line. A list of all classes
        says which there are and not which are meant, but where nothing follows it."""
        runs: list[list[tuple[int, Line]]] = [[]]
        was_marked = False
        for number, (start, end) in enumerate(text.sentences):
            sentence = text.answer[start:end]
            line = self._sentence(sentence, fields)
            if line is None and runs[-1] and _FENCE.fullmatch(sentence):
                line = Line((), (0, 0))
            elif runs[-1] and (line is None or _is_marked(sentence) != was_marked):
                runs.append([])
            if line is not None:
                runs[-1].append((number, line))
                was_marked = _is_marked(sentence)
        last, every = len(text.sentences) - 1, len(self._kind.spec.classes)
        for lines in reversed(runs):
            if all(line.is_foreign for _, line in lines):
                continue  # a list of something else
            run = self._run(text, lines)
            if (
                run.label is None
                or run.last == last
                or len(self._kind.classes_in(run.label)) < every
            ):
                return run
        return None

    def _sentence(self, sentence: str, fields: Mapping[str, str]) -> Line | None:
        """A sentence that is a line of a list. Without a mark it is names and nothing else."""
        if _is_marked(sentence):
            return self._line(sentence, fields)
        named = self.named(sentence, fields)
        return None if named is None else Line(self._kind.classes_in(named), (0, len(sentence)))

    def _run(self, text: Text, lines: list[tuple[int, Line]]) -> _Run:
        labels = [label for _, line in lines for label in line.labels]
        starts = [text.sentences[number][0] for number, _ in lines]
        return _Run(
            label=None if any(line.is_foreign for _, line in lines) else self._kind.joined(labels),
            stated=tuple(
                (start + line.place[0], start + line.place[1])
                for start, (_, line) in zip(starts, lines, strict=True)
            ),
            last=lines[-1][0],
        )

    def _of_run(self, text: Text, run: _Run, rule: str, confidence: float) -> Verdict:
        if run.label is None:
            return undecided("no_verdict")
        return self._verdict(text, run.label, run.stated, rule, confidence)

    def _verdict(
        self, text: Text, label: str, stated: tuple[Span, ...], rule: str, confidence: float
    ) -> Verdict:
        spans = stated if has_reasons(text, stated) else text.sentences
        return Verdict(label=label, rule=rule, confidence=confidence, stated=spans)

    def _none(self, text: Text) -> Verdict:
        for span in reversed(text.sentences):
            if _NONE_SAID.search(text.hidden, *span):
                return self._verdict(text, NO_CLASS, (span,), "statement", 0.8)
        return undecided("no_verdict")

    def _lists_another(self, text: str) -> bool:
        """`joy, hope`: a list with a name that the task does not have: to leave it out is wrong."""
        rest = _WORD.findall(self._listed.without(text))
        return _LIST_SIGN.search(text) is not None and 0 < len(rest) <= _FEW_WORDS

    def _concludes(self, text: Text, number: int) -> bool:
        start, end = text.sentences[number]
        first = text.hidden[start:end].split(maxsplit=1)[0].strip(",*:")
        return first in CONCLUDING_WORDS or _ANNOUNCED.search(text.hidden, start, end) is not None

    def _said(self, text: Text, span: Span) -> list[NamedClass]:
        """The names of a sentence that it does not deny."""
        return [
            each
            for each in self._listed.found(text.hidden, span)
            if not _NEGATED.search(text.hidden, max(span[0], each.start - _LOOKED_BACK), each.start)
        ]


def _is_marked(line: str) -> bool:
    return LIST_MARK.match(line) is not None
