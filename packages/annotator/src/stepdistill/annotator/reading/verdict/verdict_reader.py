"""The verdict reader: what label does an answer commit to, and which part of it is reasons?"""

from collections.abc import Mapping
from typing import Protocol

from stepdistill.annotator.reading.reading import Reading, Verdict, undecided
from stepdistill.annotator.reading.verdict.class_reader import ClassReader
from stepdistill.annotator.reading.verdict.formats import NO_PARTS, Parts, named_parts
from stepdistill.annotator.reading.verdict.free_text import FreeTextReader
from stepdistill.annotator.reading.verdict.numbers import NumberReader
from stepdistill.annotator.reading.verdict.options import OptionReader
from stepdistill.annotator.reading.verdict.rationale import has_reasons, rationale_of
from stepdistill.annotator.reading.verdict.refusal import is_refusal
from stepdistill.annotator.reading.verdict.text import Text, prepare
from stepdistill.common.task import LabelSpec

NAME = "verdict"
VERSION = 3
_LONGEST_BARE = 30


class KindReader(Protocol):
    """What each kind of label brings: the meaning of a named label, and of a whole answer."""

    quotes_say_nothing: bool

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """The row's texts that an answer may repeat without saying anything by it."""
        ...

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The label that a short text names, such as what follows `Label:`."""
        ...

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The label a whole answer commits to, and where it states it."""
        ...


def _kind_reader(label: LabelSpec) -> KindReader:
    if label.kind == "classes":
        return ClassReader(label)
    if label.kind == "options":
        return OptionReader(label)
    return NumberReader() if label.kind == "equation" else FreeTextReader()


class VerdictReader:
    """Reads answers of one task; never raises. An undecidable label is None, with a reason."""

    def __init__(self, label: LabelSpec) -> None:
        self._kind = _kind_reader(label)

    def read(self, answer: str, fields: Mapping[str, str]) -> Reading:
        """The label and rationale of an answer; `fields` are the row's texts by placeholder."""
        if not answer.strip():
            return _reading(undecided("empty"), None, None)
        if bare := self._bare(answer, fields):
            return _reading(bare, None, None)
        parts = named_parts(answer)
        named = self._named(parts, fields)
        if named and parts.reason_text is not None:
            return _reading(named, *_named_reason(parts))
        text = prepare(
            answer, self._kind.quotable(fields), hide_quotations=self._kind.quotes_say_nothing
        )
        verdict = self._kind.read(text, fields)
        if named:
            verdict = _with_what_repeats_it(text, named, verdict)
        if verdict.label is None and is_refusal(answer):
            return _reading(undecided("refusal"), None, None)
        return _reading(verdict, *_rationale(text, parts, verdict))

    def _bare(self, answer: str, fields: Mapping[str, str]) -> Verdict | None:
        """One or two words: a label and nothing else, or not to be read this way."""
        if len(answer) > _LONGEST_BARE or ":" in answer or len(answer.split()) > 2:
            return None
        label = self._kind.named(answer, fields)
        return Verdict(label=label, rule="bare", confidence=0.99) if label is not None else None

    def _named(self, parts: Parts, fields: Mapping[str, str]) -> Verdict | None:
        if parts.label_text is None or parts.label is None:
            return None
        label = self._kind.named(parts.label_text, fields)
        if label is None:
            return None
        stated = (parts.label,)
        return Verdict(label=label, rule="label-line", confidence=0.99, stated=stated)


def _with_what_repeats_it(text: Text, named: Verdict, read: Verdict) -> Verdict:
    """The named label; and what the rest says of the same label, if that leaves any reasons."""
    stated = tuple(sorted({*named.stated, *read.stated}))
    same = read.label == named.label and has_reasons(text, stated)
    return named._replace(stated=stated) if same else named


def _rationale(
    text: Text, parts: Parts, verdict: Verdict
) -> tuple[str | None, tuple[int, int] | None]:
    if parts is NO_PARTS or verdict.rule != "label-line":
        return rationale_of(text, verdict.stated)
    return rationale_of(text, tuple(sorted((*verdict.stated, *parts.headings))))


def _named_reason(parts: Parts) -> tuple[str | None, tuple[int, int] | None]:
    reason = (parts.reason_text or "").strip()
    return (reason, parts.reason) if len(reason.split()) > 2 else (None, None)


def _reading(verdict: Verdict, rationale: str | None, span: tuple[int, int] | None) -> Reading:
    return Reading(
        label=verdict.label,
        rationale=rationale,
        rationale_span=span if rationale else None,
        rule=verdict.rule,
        confidence=verdict.confidence,
        reason=verdict.reason,
    )
