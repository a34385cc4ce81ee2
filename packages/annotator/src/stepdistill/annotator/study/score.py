"""A template's score: its stored answers are read, and held against the gold labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, computed_field, model_validator

from stepdistill.annotator.money.bill import Bill
from stepdistill.annotator.money.tariff import Tariff
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.reading.characteristics import Characteristics, characteristics
from stepdistill.annotator.reading.readers import Readers
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import read_answer
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.intervals import wilson
from stepdistill.common.labels import same_label
from stepdistill.common.manifest import TokenTotals


class KeptModel(BaseModel):
    """A part of a file that studies keep: a field that is not known is a mistake in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Style(KeptModel):
    """How the rationales of a template are written: means over them, and a variance."""

    characters: float
    characters_variance: float | None  # None: there is no rationale to vary
    words: float
    sentences: float
    reading_ease: float | None  # Flesch's, higher is easier; None: too little text


class TemplateScore(KeptModel):
    """What one template achieved on a set of rows with gold labels: shares follow from counts."""

    prompt: str  # the template's digest: an edited template is not the one that was scored
    rows: int  # that were answered
    unanswered: int  # rows that were asked and failed
    correct: int  # rows; one without a readable label counts as wrong
    labels: int  # rows with a readable label
    rationales: int  # rows with a rationale
    style: Style | None  # None: there is no rationale
    tokens: TokenTotals
    cost_usd: float | None  # of all answers; None: the model has no known price

    @model_validator(mode="before")
    @classmethod
    def _without_accuracy(cls, content: Any) -> Any:
        # A file states the accuracy for its readers; here it follows from the counts.
        if isinstance(content, dict):
            stated = cast(dict[str, Any], content)
            return {key: value for key, value in stated.items() if key != "accuracy"}
        return content

    @computed_field
    @property
    def accuracy(self) -> float:
        """Share of the answered rows with the right label."""
        return self.correct / self.rows if self.rows else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval."""
        return wilson(self.correct, self.rows)

    @property
    def parse_rate(self) -> float:
        """Share of the answered rows with a readable label."""
        return self.labels / self.rows if self.rows else 0.0

    @property
    def rationale_rate(self) -> float:
        """Share of the answered rows with a rationale."""
        return self.rationales / self.rows if self.rows else 0.0

    @property
    def cost_per_row_usd(self) -> float | None:
        """None where the price is not known, or nothing was answered."""
        return None if self.cost_usd is None or not self.rows else self.cost_usd / self.rows

    @property
    def cost_per_correct_usd(self) -> float | None:
        """None where the price is not known, or no label is right."""
        return None if self.cost_usd is None or not self.correct else self.cost_usd / self.correct


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A template's score and the rows behind it."""

    template: str
    score: TemplateScore
    correct: dict[str, bool]  # id of an answered row -> whether its label is right

    def correct_rows(self, plan: Plan) -> list[bool]:
        """Whether the label is right, row by row of a plan; an unanswered row counts as wrong."""
        return [self.correct.get(planned.row.id, False) for planned in plan.rows()]


def score_template(plan: Plan, stored: Snapshot, readers: Readers, tariff: Tariff) -> Scored:
    """The score of a plan's one template, on the rows that have a gold label and were asked."""
    ((name, template),) = plan.templates.items()
    reader, bill = readers.by_template[name], Bill(tariff=tariff)
    readings: list[Reading] = []
    correct: dict[str, bool] = {}
    unanswered = 0
    for planned in plan.rows():
        row, answer = planned.row, stored.answer(planned.label.key)
        if row.gold is None:
            continue
        if answer is None:  # failed, or not asked (yet): that is no part of the score
            unanswered += stored.failure(planned.label.key) is not None
            continue
        bill.add(answer)
        reading = read_answer(answer, row.fields, reader)
        readings.append(reading)
        label, kind = reading.label, plan.task.label.kind
        correct[row.id] = label is not None and same_label(kind, label, row.gold)
    found = characteristics(readings)
    score = TemplateScore(
        prompt=template.digest,
        rows=found.n_answers,
        unanswered=unanswered,
        correct=sum(correct.values()),
        labels=found.n_answers - found.n_unread,
        rationales=found.n_rationales,
        style=_style(found),
        tokens=bill.tokens,
        cost_usd=bill.cost.usd,
    )
    return Scored(template=name, score=score, correct=correct)


def total_usd(amounts: Iterable[float | None]) -> float | None:
    """The sum; None where one of them is not known."""
    known = list(amounts)
    return None if None in known else sum(each or 0.0 for each in known)


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
