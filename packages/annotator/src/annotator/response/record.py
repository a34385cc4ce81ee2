"""From a planned row and what the store holds for it: a record, or the reason why there is none."""

from functools import lru_cache
from typing import NamedTuple

from annotator.request.answer import Answer, Failure
from annotator.request.plan import PlannedRow
from annotator.request.store import Snapshot
from annotator.response.read_verdict import VerdictReader
from annotator.response.reading import Reading
from annotator.response.rejection import Rejection, Stage
from common.record import PartRef, Record

NO_ANSWER = "no_answer"
# Reasons that asking once more could cure: a run with such rows is not finished.
UNANSWERED = {NO_ANSWER, "bad_request", "content_refused", "teacher_error", "teacher_unavailable"}
UNUSABLE = {"length": "truncated", "content_filter": "content_filtered", "refusal": "refused"}


class Outcome(NamedTuple):
    """What became of a row, and the answers that it was made from (to be billed)."""

    result: Record | Rejection
    answers: list[Answer]


def conclude(planned: PlannedRow, stored: Snapshot, reader: VerdictReader) -> Outcome:
    """The record or rejection of one row; a pure function of plan and store."""
    answers: list[Answer] = []
    for request in planned.requests:
        answer = stored.answer(request.key)
        if answer is None:
            failure = stored.failure(request.key)
            return Outcome(result=_unanswered(planned, failure), answers=answers)
        answers.append(answer)
    label = _read(planned, answers[0], reader)
    if isinstance(label, Rejection):
        return Outcome(result=label, answers=answers)
    return Outcome(result=_record(planned, label, answers, reader), answers=answers)


def _unanswered(planned: PlannedRow, failure: Failure | None) -> Rejection:
    if failure is None:
        return _reject(
            planned, "request", NO_ANSWER, "the store has no answer to this row's request"
        )
    return _reject(planned, "request", failure.reason, failure.detail)


def _read(planned: PlannedRow, answer: Answer, reader: VerdictReader) -> Reading | Rejection:
    if answer.finish in UNUSABLE:
        reason = UNUSABLE[answer.finish]
        return _reject(planned, "response", reason, f"finish_reason {answer.finish}")
    reading = reader.read(answer.text, planned.row.fields)
    if reading.label is None:
        return _reject(planned, "response", reading.reason or "no_verdict", f"rule {reading.rule}")
    return reading


def _record(
    planned: PlannedRow, label: Reading, answers: list[Answer], reader: VerdictReader
) -> Record:
    row, rationale = planned.row, planned.rationale
    reasons = label.rationale if rationale is planned.label else None
    if rationale is not None and rationale is not planned.label:
        # A rationale is kept even where its own answer's verdict could not be read.
        answer = answers[-1]
        reading = None if answer.finish in UNUSABLE else reader.read(answer.text, row.fields)
        reasons = reading and reading.rationale
    key = planned.label.key.hex()
    other = key if rationale is planned.label else rationale and rationale.key.hex()
    return Record(
        id=row.id,
        split=row.split,
        index=row.index,
        input=row.fields,
        label=label.label,
        rationale=reasons,
        gold=row.gold,
        gold_rationale=row.gold_rationale,
        templates=_templates(planned.assignment.label, planned.assignment.rationale),
        keys=PartRef(label=key, rationale=other),
        confidence=label.confidence,
    )


@lru_cache(maxsize=1024)
def _templates(label: str, rationale: str | None) -> PartRef:
    """The same few for all rows."""
    return PartRef(label=label, rationale=rationale)


def _reject(planned: PlannedRow, stage: Stage, reason: str, detail: str) -> Rejection:
    row = planned.row
    return Rejection(
        id=row.id, split=row.split, index=row.index, stage=stage, reason=reason, detail=detail
    )
