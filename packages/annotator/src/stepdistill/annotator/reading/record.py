"""From a planned row and what the store holds for it: a record, or the reason why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.reading.filters import Filters
from stepdistill.annotator.reading.label_probs import label_probs, mean_probs
from stepdistill.annotator.reading.prose import as_prose
from stepdistill.annotator.reading.readers import Reader, Readers
from stepdistill.annotator.reading.reading import Reading, unread
from stepdistill.annotator.reading.rejection import ANSWER, DETAIL, Rejection, shortened
from stepdistill.annotator.reading.verdict.refusal import gives_no_reasons
from stepdistill.annotator.store.answer import Answer, Ending, Failure
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.record import PartRef, Record

NO_ANSWER, LOW_CONFIDENCE, TRUNCATED = "no_answer", "low_confidence", "truncated"
# The teacher did not come to these rows, or they to it: the same command asks them again.
UNREACHED = {NO_ANSWER, "teacher_error", "teacher_unavailable", "unreadable_reply"}
# Reasons that asking once more could cure: a run with such rows is not finished.
UNANSWERED = {
    *UNREACHED,
    *("bad_request", "format_refused", "content_refused", "too_long_for_limit"),
}
# Why an answer that is not whole is not read.
_UNUSABLE: dict[Ending, str] = {
    "truncated": TRUNCATED,
    "filtered": "content_filtered",
    "refused": "refused",
    "broken": "teacher_error",
}
NO_REASONS = "rationale_declined"  # the teacher said that it has none


class RowResult(NamedTuple):
    """What became of a row, and the answers that it was made from (to be billed).

    dropped: why the record lost its rationale, None where it did not.
    """

    result: Record | Rejection
    answers: list[Answer]
    dropped: str | None = None


class Vote(NamedTuple):
    """What one answer of a row says."""

    request: Request
    reading: Reading


class Majority(NamedTuple):
    """The answer that a row's label is taken from, and the one that its reasons are taken from.

    votes: label -> answers that name it, and confidence: the winner's share of all answers; both
    None where the teacher was asked once.
    """

    label: Vote
    reasons: Vote
    others: tuple[Vote, ...] = ()  # beside these reasons, of the same label
    votes: dict[str, int] | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How answers become records.

    rationale_from: `thinking` takes what the teacher thought before it answered for the reasons.
    min_confidence: a label that was read with less is none, 0 to 1.
    rationales: so many of the reasons that differ are kept at most.
    """

    kind: Kind
    readers: Readers
    filters: Filters
    rationale_from: Literal["answer", "thinking"] = "answer"
    min_confidence: float = 0.0
    rationales: int = 1

    def read(self, template: str, answer: Answer, fields: Mapping[str, str]) -> Reading:
        """What the template's reader reads, and the reasons from where they are wanted."""
        reading = self.readers.read(template, answer.words, fields)
        if self.rationale_from == "answer":
            return reading
        thoughts = answer.thoughts or reading.thoughts
        return reading._replace(rationale=as_prose(thoughts), rationale_span=None)

    def counted(self, template: str, answer: Answer, fields: Mapping[str, str]) -> Reading:
        """The same as far as a record is made of it: what was cut off or withheld is not read, and
        no label is one that the reader is not sure of."""
        if reason := unusable(answer):
            return unread(reason)
        reading = self.read(template, answer, fields)
        if reading.label is None or reading.confidence >= self.min_confidence:
            return reading
        return reading._replace(label=None, reason=LOW_CONFIDENCE)


def conclude(planned: PlannedRow, stored: Snapshot, rules: Rules) -> RowResult:
    """The record or rejection of one row; a pure function of plan and store."""
    answers: list[Answer] = []
    for request in planned.requests:
        answer = stored.answer(request.key)
        if answer is None:
            return RowResult(_unanswered(planned, request, stored.failure(request.key)), answers)
        answers.append(answer)
    elected = _elected(planned, answers, rules) if planned.votes else _only(planned, answers, rules)
    if isinstance(elected, Rejection):
        return RowResult(elected, answers)
    record = _record(planned, elected, answers, rules)
    dropped = None
    if record.rationale is not None and gives_no_reasons(record.rationale):
        record, dropped = record.without_rationale(), NO_REASONS
    if record.rationale and rules.rationales > 1 and planned.rationale is planned.label:
        record = replace(record, other_rationales=_others(record, elected, rules))
    if not rules.filters.each:
        return RowResult(record, answers, dropped)
    found = _filtered(planned, elected.label.request, record, answers, rules)
    is_kept = isinstance(found.result, Record)
    return found._replace(dropped=found.dropped or dropped) if is_kept else found


def read_answer(answer: Answer, fields: Mapping[str, str], reader: Reader) -> Reading:
    """What a reader makes of a stored answer; one that was cut off or withheld is not read."""
    if reason := unusable(answer):
        return unread(reason)
    return reader.read(answer.words, fields)


def unusable(answer: Answer) -> str | None:
    """The reason why an answer is not read; None where it is whole."""
    # All answers pass here, and nearly all of them end so.
    return None if answer.finish == "stop" else _UNUSABLE.get(answer.ending)


def _unanswered(planned: PlannedRow, request: Request, failure: Failure | None) -> Rejection:
    if failure is None:
        failure = Failure(reason=NO_ANSWER, detail="the store has no answer to this row's request")
    return _reject(planned, request, failure.reason, failure.detail)


def _only(planned: PlannedRow, answers: list[Answer], rules: Rules) -> Majority | Rejection:
    """The label that the one answer names, or what is wrong with it."""
    reading = read_label(planned, planned.label, answers[0], rules)
    if isinstance(reading, Rejection):
        return reading
    said = Vote(planned.label, reading)
    return Majority(said, said)


def _elected(planned: PlannedRow, answers: list[Answer], rules: Rules) -> Majority | Rejection:
    """The label that most answers name, or what is wrong with the first, where none names one."""
    asked = (planned.label, *planned.votes)
    readings = [
        read_label(planned, request, answer, rules)
        for request, answer in zip(asked, answers, strict=False)
    ]
    said = [
        Vote(request, reading)
        for request, reading in zip(asked, readings, strict=True)
        if isinstance(reading, Reading)
    ]
    if said:
        return elect(rules.kind, said, len(asked))
    return next(each for each in readings if isinstance(each, Rejection))


def elect(kind: Kind, said: Sequence[Vote], n_asked: int) -> Majority:
    """said: the answers that name a label, at least one, of the n_asked in the order of asking.

    Most votes win, the earlier of two labels with as many. Reasons are those of the first answer
    that names the winner and has some: never those of an answer that decided otherwise.
    """
    parties: list[list[Vote]] = []
    for each in said:
        party = next((p for p in parties if _agree(kind, p[0].reading, each.reading)), None)
        if party is None:
            parties.append([each])
        else:
            party.append(each)
    winners = max(parties, key=len)
    reasons = next((each for each in winners if each.reading.rationale), winners[0])
    return Majority(
        label=winners[0],
        reasons=reasons,
        others=tuple(each for each in winners if each is not reasons and each.reading.rationale),
        votes={str(party[0].reading.label): len(party) for party in parties},
        confidence=round(len(winners) / n_asked, 4),
    )


def _agree(kind: Kind, one: Reading, other: Reading) -> bool:
    return kind.same(str(one.label), str(other.label))


def read_label(
    planned: PlannedRow, request: Request, answer: Answer, rules: Rules
) -> Reading | Rejection:
    """What an answer to the label's question says, or why it does not count."""
    if reason := unusable(answer):
        return _reject(planned, request, reason, f"finish_reason {answer.finish}", answer)
    reading = rules.read(planned.assignment.label, answer, planned.row.fields)
    if reading.label is None:
        reason, detail = reading.reason or "no_verdict", f"rule {reading.rule}"
        return _reject(planned, request, reason, detail, answer)
    if reading.confidence < rules.min_confidence:
        detail = f"rule {reading.rule}, confidence {reading.confidence:g}"
        return _reject(planned, request, LOW_CONFIDENCE, detail, answer)
    return reading


def _record(planned: PlannedRow, elected: Majority, answers: list[Answer], rules: Rules) -> Record:
    row, assigned, rationale = planned.row, planned.assignment, planned.rationale
    (label_request, label), (reasons_request, reasons_reading) = elected.label, elected.reasons
    key, other, reasons = label_request.key.hex(), None, None
    if rationale is planned.label:
        other = key if reasons_request is label_request else reasons_request.key.hex()
        reasons = reasons_reading.rationale
    elif rationale is not None:
        other, reasons = rationale.key.hex(), _rationale(planned, answers[-1], rules)
    return Record(
        id=row.id,
        split=row.split,
        index=row.index,
        input=row.fields,
        label=label.label,
        rationale=reasons,
        gold=row.gold,
        gold_rationale=row.gold_rationale,
        templates=_templates(assigned.label, rationale and assigned.rationale),
        keys=PartRef(label=key, rationale=other),
        confidence=label.confidence,
        label_votes=elected.votes,
        label_confidence=elected.confidence,
        label_probs=_probs(planned, answers, rules),
    )


def _others(record: Record, elected: Majority, rules: Rules) -> list[str] | None:
    """Reasons beside the record's own: of other answers that voted for its label, as far as no
    filter minds; None where there are none."""
    told = (each.reading.rationale for each in elected.others)
    found = dict.fromkeys(text for text in told if text and not gives_no_reasons(text))
    others = [
        text
        for text in found
        if text != record.rationale and rules.filters.first(replace(record, rationale=text)) is None
    ]
    return others[: rules.rationales - 1] or None


def _probs(planned: PlannedRow, answers: list[Answer], rules: Rules) -> dict[str, float] | None:
    """How probable each label was: the mean over the answers to the label's question."""
    template, fields = planned.assignment.label, planned.row.fields
    asked = answers[: 1 + len(planned.votes)]
    if all(answer.logprobs is None for answer in asked):
        return None
    reader = rules.readers.by_template[template]
    readings = [rules.counted(template, answer, fields) for answer in asked]
    return mean_probs(
        label_probs(answer, reading.label, rules.kind, reader, fields)
        for answer, reading in zip(asked, readings, strict=True)
        if reading.label is not None
    )


def _rationale(planned: PlannedRow, answer: Answer, rules: Rules) -> str | None:
    """The reasons in an answer of their own, kept even where its verdict could not be read."""
    template = planned.assignment.rationale
    if template is None or unusable(answer):
        return None
    return rules.read(template, answer, planned.row.fields).rationale


def _filtered(
    planned: PlannedRow, request: Request, record: Record, answers: list[Answer], rules: Rules
) -> RowResult:
    """request: the label's."""
    finding = rules.filters.first(record)
    if finding is None:
        return RowResult(record, answers)
    if finding.whole:
        answer = answers[planned.requests.index(request)]
        rejection = _reject(planned, request, finding.reason, finding.detail, answer)
        return RowResult(rejection, answers)
    return RowResult(record.without_rationale(), answers, finding.reason)


@lru_cache(maxsize=1024)
def _templates(label: str, rationale: str | None) -> PartRef:
    """The same few for all rows."""
    return PartRef(label=label, rationale=rationale)


def _reject(
    planned: PlannedRow, request: Request, reason: str, detail: str, answer: Answer | None = None
) -> Rejection:
    row = planned.row
    return Rejection(
        id=row.id,
        split=row.split,
        index=row.index,
        stage="request" if answer is None else "response",
        reason=reason,
        detail=shortened(detail, DETAIL),
        key=request.key.hex(),
        answer=answer.text[:ANSWER] or None if answer else None,
    )
