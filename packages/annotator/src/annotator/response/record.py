"""From a planned row and what the store holds for it: a record, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from annotator.request.answer import Answer, Failure
from annotator.request.plan import PlannedRow
from annotator.request.store import Snapshot
from annotator.response.filters import Filters
from annotator.response.reader import Reader, Readers
from annotator.response.reading import Reading, unread
from annotator.response.rejection import Rejection, Stage
from annotator.response.vote import Elected, Said, elect
from common.record import PartRef, Record
from common.task import LabelKind

NO_ANSWER = "no_answer"
# Reasons that asking once more could cure: a run with such rows is not finished.
UNANSWERED = {NO_ANSWER, "bad_request", "content_refused", "teacher_error", "teacher_unavailable"}
UNUSABLE = {"length": "truncated", "content_filter": "content_filtered", "refusal": "refused"}


class Outcome(NamedTuple):
    """What became of a row, and the answers that it was made from (to be billed).

    dropped: why the record lost its rationale, None where it did not.
    """

    result: Record | Rejection
    answers: list[Answer]
    dropped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How answers become records."""

    kind: LabelKind
    readers: Readers
    filters: Filters


def conclude(planned: PlannedRow, stored: Snapshot, rules: Rules) -> Outcome:
    """The record or rejection of one row; a pure function of plan and store."""
    answers: list[Answer] = []
    for request in planned.requests:
        answer = stored.answer(request.key)
        if answer is None:
            return Outcome(_unanswered(planned, stored.failure(request.key)), answers)
        answers.append(answer)
    elected = _label(planned, answers, rules)
    if isinstance(elected, Rejection):
        return Outcome(elected, answers)
    record = _record(planned, elected, answers, rules)
    if not rules.filters.each:
        return Outcome(record, answers)
    return _filtered(planned, record, answers, rules)


def read_answer(answer: Answer, fields: Mapping[str, str], reader: Reader) -> Reading:
    """What a reader makes of a stored answer; one that was cut off or withheld is not read."""
    if answer.finish in UNUSABLE:
        return unread(UNUSABLE[answer.finish])
    return reader.read(answer.text, fields)


def _unanswered(planned: PlannedRow, failure: Failure | None) -> Rejection:
    if failure is None:
        return _reject(
            planned, "request", NO_ANSWER, "the store has no answer to this row's request"
        )
    return _reject(planned, "request", failure.reason, failure.detail)


def _label(planned: PlannedRow, answers: list[Answer], rules: Rules) -> Elected | Rejection:
    """The label that the answers name; what is wrong with the first, where none names one."""
    first = _read(planned, answers[0], rules)
    if not planned.votes:
        if isinstance(first, Rejection):
            return first
        said = Said(planned.label, first)
        return Elected(said, said)
    asked = (planned.label, *planned.votes)
    readings = (first, *(_read(planned, answer, rules) for answer in answers[1 : len(asked)]))
    said = [
        Said(request, reading)
        for request, reading in zip(asked, readings, strict=True)
        if isinstance(reading, Reading)
    ]
    if not said:
        assert isinstance(first, Rejection)
        return first
    return elect(rules.kind, said, len(asked))


def _read(planned: PlannedRow, answer: Answer, rules: Rules) -> Reading | Rejection:
    if answer.finish in UNUSABLE:
        reason = UNUSABLE[answer.finish]
        return _reject(planned, "response", reason, f"finish_reason {answer.finish}")
    reading = rules.readers.read(planned.assignment.label, answer.text, planned.row.fields)
    if reading.label is None:
        return _reject(planned, "response", reading.reason or "no_verdict", f"rule {reading.rule}")
    return reading


def _record(planned: PlannedRow, elected: Elected, answers: list[Answer], rules: Rules) -> Record:
    row, label = planned.row, elected.label
    key, other, reasons = label.request.key.hex(), None, None
    if planned.rationale is planned.label:
        reasons = elected.reasons.reading.rationale
        other = key if elected.reasons is label else elected.reasons.request.key.hex()
    elif planned.rationale is not None:
        other, reasons = planned.rationale.key.hex(), _rationale(planned, answers[-1], rules)
    return Record(
        id=row.id,
        split=row.split,
        index=row.index,
        input=row.fields,
        label=label.reading.label,
        rationale=reasons,
        gold=row.gold,
        gold_rationale=row.gold_rationale,
        templates=_templates(
            planned.assignment.label, planned.rationale and planned.assignment.rationale
        ),
        keys=PartRef(label=key, rationale=other),
        confidence=label.reading.confidence,
        label_votes=elected.votes,
        label_confidence=elected.confidence,
    )


def _rationale(planned: PlannedRow, answer: Answer, rules: Rules) -> str | None:
    """The reasons in an answer of their own, kept even where its verdict could not be read."""
    template = planned.assignment.rationale
    if answer.finish in UNUSABLE or template is None:
        return None
    return rules.readers.read(template, answer.text, planned.row.fields).rationale


def _filtered(planned: PlannedRow, record: Record, answers: list[Answer], rules: Rules) -> Outcome:
    finding = rules.filters.first(record)
    if finding is None:
        return Outcome(record, answers)
    if finding.whole:
        return Outcome(_reject(planned, "response", finding.reason, finding.detail), answers)
    return Outcome(replace(record, rationale=None), answers, finding.reason)


@lru_cache(maxsize=1024)
def _templates(label: str, rationale: str | None) -> PartRef:
    """The same few for all rows."""
    return PartRef(label=label, rationale=rationale)


def _reject(planned: PlannedRow, stage: Stage, reason: str, detail: str) -> Rejection:
    row = planned.row
    return Rejection(
        id=row.id, split=row.split, index=row.index, stage=stage, reason=reason, detail=detail
    )
