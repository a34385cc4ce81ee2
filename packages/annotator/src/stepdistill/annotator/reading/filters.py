"""Filters: what a person would rather not train a student on, each with its reason.

    contradiction   the reasons argue for another label: the row is rejected
    repetition      the reasons repeat the row, word for word: they are dropped
    unsure          the teacher was less sure of the label than `--min-sureness`, by its
                    log-probabilities or votes: the row is rejected
    judged_wrong    people judged the label wrong (`--judgements`): the row is rejected
    length          more tokens than the student reads (the row is rejected) or should write (the
                    reasons are dropped)

Answers that were cut off, refused or filtered by the provider never become records at all.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from stepdistill.annotator.reading.readers import Readers
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.judgements import read_judgements
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import filler
from stepdistill.common.record import Record
from stepdistill.common.task import TaskSpec

JUDGED_WRONG = "judged_wrong"
FILTERS = ("contradiction", "repetition", JUDGED_WRONG)
# English text has about so many of T5's tokens for each word.
TOKENS_PER_WORD = 1.4
_CERTAIN = 0.9
_SAID_BEFORE = 0.8
_WORD = re.compile(r"[^\W_]+")
_RUN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterHit:
    """Why a record is not kept as it is: the whole of it, or its rationale alone."""

    reason: str
    detail: str
    whole: bool


Filter = Callable[[Record], FilterHit | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The filters of a run, in the order in which they are asked."""

    each: tuple[Filter, ...] = field(default=())

    def first(self, record: Record) -> FilterHit | None:
        """What the first filter that minds says; one that rejects comes before all others."""
        found = [finding for mind in self.each if (finding := mind(record)) is not None]
        return min(found, key=lambda finding: not finding.whole, default=None)


def make_filters(settings: ShardSettings, task: TaskSpec, readers: Readers) -> Filters:
    """Raises ConfigError: a filter that nobody knows, a tokenizer that cannot be read."""
    for name in sorted(settings.filters - set(FILTERS)):
        raise ConfigError(f"--filter {name}: choose from {', '.join(FILTERS)}")
    each: list[Filter] = []
    if settings.max_student_tokens is not None:
        count = _counter(settings.student_tokenizer)
        each.append(_length(settings.max_student_tokens, count, task))
    if "contradiction" in settings.filters:
        each.append(_contradiction(task, readers))
    if "repetition" in settings.filters:
        each.append(_repetition)
    if settings.min_sureness:
        each.append(_unsure(settings.min_sureness))
    if JUDGED_WRONG in settings.filters:
        each.append(_judged_wrong(settings, kind_of(task.label)))
    return Filters(each=tuple(each))


def filters_content(settings: ShardSettings) -> list[object]:
    """All that decides what the filters do. Raises ConfigError for an unreadable tokenizer."""
    path = settings.student_tokenizer
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path else None
    except OSError as error:
        why = error.strerror
        raise ConfigError(f"--student-tokenizer {path}: cannot be read ({why})") from None
    content: list[object] = [sorted(settings.filters), settings.max_student_tokens, digest]
    return [*content, settings.min_sureness] if settings.min_sureness else content


def _length(most: int, count: Callable[[str], int], task: TaskSpec) -> Filter:
    student_input = filler(task.student.input)

    def too_long(record: Record) -> FilterHit | None:
        read = {"input": student_input(record.input), "label": record.label or ""}
        for part, text in read.items():
            if (n := count(text)) > most:
                detail = f"the student's {part} has {n} tokens, more than {most}"
                return FilterHit(reason="too_long", detail=detail, whole=True)
        n = count(record.rationale or "")
        if n <= most:
            return None
        detail = f"the rationale has {n} tokens, more than {most}"
        return FilterHit(reason="rationale_too_long", detail=detail, whole=False)

    return too_long


def _contradiction(task: TaskSpec, readers: Readers) -> Filter:
    kind = kind_of(task.label)

    def contradicts(record: Record) -> FilterHit | None:
        template = record.templates.rationale
        if record.rationale is None or template is None:
            return None
        reading = readers.read(template, record.rationale, record.input)
        label = reading.label
        if label is None or reading.confidence < _CERTAIN:
            return None
        if kind.same(label, record.label or "", kind.choices(record.input)):
            return None
        detail = f"label {record.label}, but the reasons say {label} (rule {reading.rule})"
        return FilterHit(reason="contradiction", detail=detail, whole=True)

    return contradicts


def _unsure(least: float) -> Filter:
    def is_unsure(record: Record) -> FilterHit | None:
        sureness = record.sureness
        if sureness is None or sureness >= least:
            return None
        detail = f"label {record.label}, of which the teacher is sure by {sureness:g}"
        return FilterHit(reason="unsure", detail=detail, whole=True)

    return is_unsure


def _judged_wrong(settings: ShardSettings, kind: Kind) -> Filter:
    if settings.judgements is None:
        raise ConfigError("--filter judged_wrong goes with --judgements FILE (annotate audit)")
    judgements = read_judgements(settings.judgements)

    def is_wrong(record: Record) -> FilterHit | None:
        found = judgements.correction(record)
        label, choices = record.label or "", kind.choices(record.input)
        if found is None or (found.label and kind.same(found.label, label, choices)):
            return None
        detail = f"label {label}, but people say {found.label or 'that it is wrong'}"
        return FilterHit(reason=JUDGED_WRONG, detail=detail, whole=True)

    return is_wrong


def _repetition(record: Record) -> FilterHit | None:
    words = _words(record.rationale or "")
    length = min(_RUN, len(words))
    said = _runs(words, length)
    if not said:
        return None
    known = {run for text in record.input.values() for run in _runs(_words(text), length)}
    share = sum(run in known for run in said) / len(said)
    if share < _SAID_BEFORE:
        return None
    detail = f"{share:.0%} of the rationale stands in the row, word for word"
    return FilterHit(reason="rationale_repeats_row", detail=detail, whole=False)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: list[str], length: int) -> list[tuple[str, ...]]:
    """Every so many words in a row."""
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)] if length else []


def _counter(tokenizer: Path | None) -> Callable[[str], int]:
    """Counts a text's tokens: with the student's own tokenizer, or by estimate."""
    if tokenizer is None:
        return lambda text: round(len(text.split()) * TOKENS_PER_WORD)
    try:
        from tokenizers import Tokenizer  # not everybody has it: it comes with the trainer

        made = cast(Any, Tokenizer).from_file(str(tokenizer))
    except ImportError:
        raise ConfigError(
            "--student-tokenizer needs the package `tokenizers`: install it, or leave the option "
            "out and let tokens be estimated"
        ) from None
    except Exception as error:  # noqa: BLE001  # the library raises nothing narrower
        raise ConfigError(f"--student-tokenizer {tokenizer}: not readable ({error})") from None
    return lambda text: len(made.encode(text).ids)
