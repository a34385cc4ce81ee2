"""From a template's stored answers to its score: each is read and held against the gold label."""

from dataclasses import dataclass, field

from stepdistill.annotator.money.bill import Bill
from stepdistill.annotator.money.tariff import Tariff
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.characteristics import Characteristics, characteristics
from stepdistill.annotator.reading.readers import Reader
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import read_answer
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.study.score import Style, TemplateScore
from stepdistill.common.labels import same_label
from stepdistill.common.manifest import TokenTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A template's score and the rows behind it. right: id of an answered row -> label right?"""

    template: str
    score: TemplateScore
    right: dict[str, bool]


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What is counted while the answers are read."""

    bill: Bill
    right: dict[str, bool] = field(default_factory=dict[str, bool])
    readings: list[Reading] = field(default_factory=list[Reading])
    unanswered: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def pay(self, answer: Answer) -> None:
        self.bill.add(answer)
        self.prompt += answer.usage.prompt
        self.completion += answer.usage.completion
        self.cached += answer.usage.cached


def score_template(plan: Plan, stored: Snapshot, reader: Reader, tariff: Tariff) -> Scored:
    """The score of a plan's one template on those of its rows that have a gold label and were
    asked."""
    tally = _Tally(bill=Bill(tariff=tariff))
    for planned in plan.rows():
        row, answer = planned.row, stored.answer(planned.label.key)
        if row.gold is None:
            continue
        if answer is None:
            tally.unanswered += stored.failure(planned.label.key) is not None
            continue
        tally.pay(answer)
        reading = read_answer(answer, row.fields, reader)
        tally.readings.append(reading)
        label, kind = reading.label, plan.task.label.kind
        tally.right[row.id] = label is not None and same_label(kind, label, row.gold)
    ((name, template),) = plan.templates.items()
    return Scored(template=name, score=_score(template, tally), right=tally.right)


def _score(template: Template, tally: _Tally) -> TemplateScore:
    found = characteristics(tally.readings)
    tokens = TokenTotals(prompt=tally.prompt, completion=tally.completion, cached=tally.cached)
    return TemplateScore(
        prompt=template.digest,
        rows=found.n_answers,
        unanswered=tally.unanswered,
        correct=sum(tally.right.values()),
        labels=found.n_answers - found.n_unread,
        rationales=found.n_rationales,
        style=_style(found),
        tokens=tokens,
        cost_usd=tally.bill.cost.usd,
    )


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
