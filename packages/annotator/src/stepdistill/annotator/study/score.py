"""A template's score: its stored answers are read, and held against the gold labels."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypedDict

from stepdistill.annotator.money.bill import Bill
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.reading.characteristics import Characteristics, characteristics
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import Rules
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.study.metadata import Style, TemplateScore
from stepdistill.common.kinds.kind import Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A template's score and the rows behind it."""

    template: str
    score: TemplateScore
    correct: dict[str, bool]  # id of an answered row -> whether its label is right
    failed: frozenset[str] = frozenset()  # ids of rows that were asked in vain

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
    """The score of a plan's one template, on the rows that have a gold label and were asked; where
    `only` is given, on those of these ids."""
    ((name, template),) = plan.templates.items()
    bill, kind = Bill(tariff=tariff), rules.kind
    readings: list[Reading] = []
    answered: list[Answered] = []
    correct: dict[str, bool] = {}
    failed: set[str] = set()
    for planned in plan.rows():
        row, answer = planned.row, stored.answer(planned.label.key)
        if row.gold is None or (only is not None and row.id not in only):
            continue
        if answer is None:  # failed, or not asked (yet): that is no part of the score
            if stored.failure(planned.label.key) is not None:
                failed.add(row.id)
            continue
        bill.add(answer)
        reading = rules.counted(name, answer, row.fields)
        readings.append(reading)
        label = reading.label
        answered.append((label, row.gold))
        correct[row.id] = label is not None and kind.same(label, row.gold, kind.choices(row.fields))
    found = characteristics(readings)
    score = TemplateScore(
        prompt=template.digest,
        unanswered=len(failed),
        correct=sum(correct.values()),
        tokens=bill.tokens,
        cost_usd=bill.cost.usd,
        measures=kind.scores(answered) if answered else {},
        **_counts(found),
    )
    return Scored(template=name, score=score, correct=correct, failed=frozenset(failed))


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
