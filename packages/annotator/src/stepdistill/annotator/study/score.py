"""A template's score: its stored answers are read, and held against the gold labels."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypedDict

from stepdistill.annotator.money.bill import Bill
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.characteristics import Characteristics, characteristics
from stepdistill.annotator.reading.examples import example_row
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import Rules
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.study.metadata import Style, TemplateScore
from stepdistill.common.example_rows import ExampleRow, ExampleRows
from stepdistill.common.kinds.kind import Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A template's score and the rows behind it."""

    template: str
    score: TemplateScore
    correct: dict[str, bool]  # id of an answered row -> whether its label is right
    failed: frozenset[str] = frozenset()  # ids of rows that were asked in vain
    words: Template | None = None  # the template itself
    wrong: ExampleRows = field(default_factory=ExampleRows)  # some of the rows that it got wrong

    @property
    def asked(self) -> set[str]:
        """The rows that it was asked, by id."""
        return {*self.correct, *self.failed}

    def correct_rows(self, plan: Plan) -> list[bool]:
        """Whether the label is right, row by row of a plan; an unanswered row counts as wrong."""
        return [self.correct.get(planned.row.id, False) for planned in plan.rows()]


def score_template(
    plan: Plan,
    stored: Snapshot,
    rules: Rules,
    tariff: Tariff,
    only: Collection[str] | None = None,
) -> Scored:
    """The score of a plan's one template on the rows with gold that were asked; only: their ids."""
    ((name, template),) = plan.templates.items()
    bill, kind = Bill(tariff=tariff), rules.kind
    readings, answered = list[Reading](), list[Answered]()
    correct, failed, wrong = dict[str, bool](), set[str](), ExampleRows()
    for planned, gold, answer in _judged(plan, stored, only, failed):
        row = planned.row
        bill.add(answer)
        reading = rules.counted(name, answer, row.fields)
        readings.append(reading)
        label = reading.label
        answered.append((label, gold))
        is_right = label is not None and kind.same(label, gold, kind.choices(row.fields))
        correct[row.id] = is_right
        if not is_right:
            wrong.offer(row.split, row.id, partial(_wrong_row, planned, reading, answer))
    score = TemplateScore(
        prompt=template.digest,
        unanswered=len(failed),
        correct=sum(correct.values()),
        tokens=bill.tokens,
        cost_usd=bill.cost.usd,
        measures=kind.scores(answered) if answered else {},
        **_counts(characteristics(readings)),
    )
    return Scored(
        template=name,
        score=score,
        correct=correct,
        failed=frozenset(failed),
        words=template,
        wrong=wrong,
    )


def _wrong_row(planned: PlannedRow, reading: Reading, answer: Answer) -> ExampleRow:
    return example_row(planned, reading.label, reading.rationale, reading.reason, answer.text)


def _judged(
    plan: Plan, stored: Snapshot, only: Collection[str] | None, failed: set[str]
) -> Iterator[tuple[PlannedRow, str, Answer]]:
    """The rows that count, with their gold label and answer. failed: the ids of those that were
    asked in vain are added to it; they and those not asked (yet) are no part of the score."""
    for planned in plan.rows():
        row, key = planned.row, planned.label.key
        if row.gold is None or (only is not None and row.id not in only):
            continue
        answer = stored.answer(key)
        if answer is not None:
            yield planned, row.gold, answer
        elif stored.failure(key) is not None:
            failed.add(row.id)


def total_usd(amounts: Iterable[float | None]) -> float | None:
    """The sum; None where one of them is not known."""
    known = list(amounts)
    return None if None in known else sum(each or 0.0 for each in known)


class _Counts(TypedDict):
    rows: int
    labels: int
    rationales: int
    style: Style | None


def _counts(found: Characteristics) -> _Counts:
    return {
        "rows": found.n_answers,
        "labels": found.n_answers - found.n_unread,
        "rationales": found.n_rationales,
        "style": _style(found),
    }


def _style(found: Characteristics) -> Style | None:
    if not found.n_rationales:
        return None
    variance, ease = found.characters_variance, found.reading_ease
    return Style(
        characters=round(found.per_rationale(found.characters), 2),
        characters_variance=None if variance is None else round(variance, 3),
        words=round(found.per_rationale(found.words), 2),
        sentences=round(found.per_rationale(found.sentences), 2),
        reading_ease=None if ease is None else round(ease, 1),
    )
