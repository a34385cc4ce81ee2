"""The verdict reader: what label does an answer commit to, and which part of it is reasons?

First go thoughts and echoes of the prompt. Then a label is looked for where it is named word for
word, and only then by rules of language.
"""

import re
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Protocol, cast

from stepdistill.annotator.reading.echo import Echo
from stepdistill.annotator.reading.prose import as_prose
from stepdistill.annotator.reading.reading import Reading, Verdict, undecided, unread
from stepdistill.annotator.reading.thinking import without_thoughts
from stepdistill.annotator.reading.verdict.formats import NO_PARTS, Parts, named_parts
from stepdistill.annotator.reading.verdict.json_parts import is_object
from stepdistill.annotator.reading.verdict.names import Names
from stepdistill.annotator.reading.verdict.rationale import has_reasons, rationale_of, says_enough
from stepdistill.annotator.reading.verdict.refusal import is_refusal
from stepdistill.annotator.reading.verdict.text import Span, Text, prepare
from stepdistill.annotator.reading.verdict.word_for_word import (
    is_cut_short,
    label_part,
    set_apart,
    word_for_word,
)
from stepdistill.common.task import LabelSpec

if TYPE_CHECKING:
    from stepdistill.annotator.reading.verdict.several_classes import SeveralClassesReader

NAME = "verdict"
VERSION = 4
# Characters, some 8,000 tokens, of an answer without its thoughts. A few rules compare what they
# find with all that they found before, so the time for a longest answer is that of seconds at most.
LONGEST_ANSWER = 32_000
_PLAIN_HEADINGS = frozenset(("Label", "Answer", "Category", "label", "answer", "Class"))
_PLAIN_REASONS = frozenset(("Rationale", "Reason", "Reasons", "Explanation", "rationale", "reason"))
# Reasons without a sign that names a part, opens a tag, an object or a formula, or marks thoughts.
_PLAIN_TEXT = re.compile(r"[^\n:\uff1a{<\[`\\\u25c1]+")
_LONGEST_BARE = 30
_Found = tuple[Verdict, str | None, Span | None]
_PARTED = re.compile("[:\uff1a\u3002]")  # `Label: B`, `答案：B`


class KindReader(Protocol):
    """What each kind of label brings: the meaning of a named label, and of a whole answer."""

    quotes_say_nothing: bool

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """The row's texts that an answer may repeat without saying anything by it."""
        ...

    def names(self, fields: Mapping[str, str]) -> Names | None:
        """The names of the row's labels; None where labels have no names."""
        ...

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The label that a short text names, such as what follows `Label:`."""
        ...

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The label a whole answer commits to, and where it states it."""
        ...


def kind_reader(label: LabelSpec) -> KindReader:
    """How the labels of a kind are read; what a kind is otherwise, `common/kinds` knows."""
    # Each is imported where its kind is read: they compile patterns of their own.
    match label.kind:
        case "classes":
            from stepdistill.annotator.reading.verdict.class_reader import ClassReader

            return ClassReader(label)
        case "multi":
            from stepdistill.annotator.reading.verdict.several_classes import SeveralClassesReader

            return SeveralClassesReader(label)
        case "options":
            from stepdistill.annotator.reading.verdict.options import OptionReader

            return OptionReader(label)
        case "equation":
            from stepdistill.annotator.reading.verdict.numbers import NumberReader

            return NumberReader()
        case "number":
            from stepdistill.annotator.reading.verdict.bounded_number import BoundedNumberReader

            return BoundedNumberReader(label)
        case "text":
            from stepdistill.annotator.reading.verdict.free_text import FreeTextReader

            return FreeTextReader()


class VerdictReader:
    """Reads answers of one task; never raises. An undecidable label is None, with a reason."""

    def __init__(self, label: LabelSpec) -> None:
        self._label = label
        self._kind = kind_reader(label)
        self._lists = cast("SeveralClassesReader", self._kind) if label.kind == "multi" else None
        self._echo: Echo | None = None

    def of_prompt(self, system: str, user: str) -> "VerdictReader":
        """The same reader for the answers to one template: its own words are no answer."""
        names = [n for name, spec in self._label.classes.items() for n in (name, *spec.aliases)]
        other = copy(self)
        other._echo = Echo((system, user), names)
        return other

    def read(self, answer: str, fields: Mapping[str, str]) -> Reading:
        """The label and rationale of an answer; `fields` are the row's texts by placeholder."""
        names = self._kind.names(fields)
        if names is not None and (plain := self._plainest(answer, names)):
            return plain
        thoughts, start, end, unfinished = without_thoughts(answer)
        if unfinished:
            return unread("truncated", thoughts)
        body = answer if thoughts is None else answer[start:end]
        if len(body) > LONGEST_ANSWER:
            return unread("too_long_to_read", thoughts)
        if self._echo is not None:
            body = self._echo.without(body)
        reading = _reading(*self._read(body, names, fields))
        rationale, span = as_prose(reading.rationale), reading.rationale_span
        if rationale is reading.rationale and thoughts is None:
            return reading
        return reading._replace(
            rationale=rationale,
            rationale_span=(span[0] + start, span[1] + start) if span and rationale else None,
            thoughts=thoughts,
        )

    def stated(self, answer: str, fields: Mapping[str, str]) -> tuple[Span, ...]:
        """The characters of an answer that state the label which `read` reads in it."""
        _, start, end, unfinished = without_thoughts(answer)
        body = answer[start:end]
        if unfinished or not 0 < len(body) <= LONGEST_ANSWER:
            return ()
        if self._echo is not None:
            body = self._echo.without(body)
        verdict, _, _ = self._read(body, self._kind.names(fields), fields)
        if verdict.label is None:
            return ()
        whole = ((len(body) - len(body.lstrip()), len(body.rstrip())),)
        spans = whole if verdict.rule == "bare" else verdict.stated
        return tuple((start + first, start + last) for first, last in spans)

    def _plainest(self, answer: str, names: Names) -> Reading | None:
        """`positive`, `Label: positive`, and this with `Rationale: ...` on the next line: what most
        templates ask for. The same reading as by the rules below, in a part of their time."""
        if (label := names.as_written(answer)) is not None:
            return Reading(label, None, None, "bare", 0.99, None)
        heading, _, rest = answer.partition(": ")
        if heading not in _PLAIN_HEADINGS:
            return None
        if (label := names.as_written(rest)) is not None:
            return Reading(label, None, None, "label-line", 0.99, None)
        name, _, reasons = rest.partition("\n")
        heading, _, text = reasons.partition(": ")
        if heading not in _PLAIN_REASONS or self._lists or not _PLAIN_TEXT.fullmatch(text):
            return None
        label, reason = names.as_written(name), text.strip()
        # A class may be called as a mark of thoughts is: that is not what is usual.
        if label is None or not _PLAIN_TEXT.fullmatch(name):
            return None
        if not says_enough(reason) or as_prose(reason) is not reason:
            return None
        if self._echo is not None and self._echo.without(answer) is not answer:
            return None
        span = len(answer) - len(text), len(answer)
        return Reading(label, reason, span, "label-line", 0.99, None)

    def _read(self, answer: str, names: Names | None, fields: Mapping[str, str]) -> _Found:
        if not answer.strip():
            return undecided("empty"), None, None
        if bare := self._bare(answer, names, fields):
            return bare, None, None
        parts = named_parts(answer, takes_lists=self._lists is not None)
        named = self._listed(parts, fields) or self._named(parts, names, fields)
        if named and parts.reason_text is not None:
            return named, *_named_reason(parts)
        if parts is NO_PARTS and is_object(answer):
            return undecided("no_verdict"), None, None
        text = prepare(
            answer, self._kind.quotable(fields), hide_quotations=self._kind.quotes_say_nothing
        )
        if named is None and names is not None:
            named = set_apart(text, names)
            if named is None and is_cut_short(text, parts.label_text, names):
                return undecided("no_verdict"), *_rationale(text, parts, undecided(""))
        verdict = self._kind.read(text, fields)
        if named is None and names is not None:
            verdict = word_for_word(text, names, verdict)
        if named:
            verdict = _with_what_repeats_it(text, named, verdict)
        if verdict.label is None and is_refusal(answer):
            return undecided("refusal"), None, None
        rationale, span = _rationale(text, parts, verdict)
        if rationale and names is not None and names.short(rationale) is not None:
            rationale = None  # the label once more
        return verdict, rationale, span

    def _bare(self, answer: str, names: Names | None, fields: Mapping[str, str]) -> Verdict | None:
        """A label and nothing else, or not to be read this way."""
        label = names.short(answer) if names is not None else None
        if label is None:
            if len(answer) > _LONGEST_BARE or len(answer.split()) > 2 or _PARTED.search(answer):
                return None
            label = self._kind.named(answer, fields)
        return Verdict(label=label, rule="bare", confidence=0.99) if label is not None else None

    def _listed(self, parts: Parts, fields: Mapping[str, str]) -> Verdict | None:
        """The classes that the label's part lists; undecided where one is none of the task's."""
        if self._lists is None or parts.label_text is None or parts.label is None:
            return None
        found = self._lists.part(parts.label_text, fields)
        if found is None:
            return None
        if found.label is None:
            return undecided("no_verdict")
        start, end = parts.label
        stated = tuple((start + first, start + last) for first, last in found.places)
        if end - start != len(parts.label_text):  # of JSON
            stated = (parts.label,)
        return Verdict(label=found.label, rule="label-line", confidence=0.99, stated=stated)

    def _named(
        self, parts: Parts, names: Names | None, fields: Mapping[str, str]
    ) -> Verdict | None:
        if parts.label_text is None or parts.label is None:
            return None
        start, end = parts.label
        found = label_part(parts.label_text, names) if names is not None else None
        if found is not None:
            label = found[0]
            # What follows the name on its line is reasons.
            end = start + found[1] if end - start == len(parts.label_text) else end
        else:
            label = self._kind.named(parts.label_text, fields)
        if label is None:
            return None
        return Verdict(label=label, rule="label-line", confidence=0.99, stated=((start, end),))


def _with_what_repeats_it(text: Text, named: Verdict, read: Verdict) -> Verdict:
    """The named label; and what the rest says of the same label, if that leaves any reasons."""
    stated = tuple(sorted({*named.stated, *read.stated}))
    same = read.label == named.label and has_reasons(text, stated)
    return named._replace(stated=stated) if same else named


def _rationale(text: Text, parts: Parts, verdict: Verdict) -> tuple[str | None, Span | None]:
    if parts is NO_PARTS:
        return rationale_of(text, verdict.stated)
    return rationale_of(text, tuple(sorted((*verdict.stated, *parts.headings))))


def _named_reason(parts: Parts) -> tuple[str | None, Span | None]:
    reason = (parts.reason_text or "").strip()
    return (reason, parts.reason) if says_enough(reason) else (None, None)


def _reading(verdict: Verdict, rationale: str | None, span: Span | None) -> Reading:
    return Reading(
        label=verdict.label,
        rationale=rationale,
        rationale_span=span if rationale else None,
        rule=verdict.rule,
        confidence=verdict.confidence,
        reason=verdict.reason,
    )
