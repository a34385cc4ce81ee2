"""The account of a run, after it: every answer of its plan, priced, by what it was for and who
paid.

A pure function of rows, prompts and store, as the shards are. An answer that several rows share is
paid for once.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import NamedTuple, Self

from stepdistill.annotator.estimate.workload import Part
from stepdistill.annotator.report.calibration import TeacherCalibration
from stepdistill.annotator.store.answer import Answer, Mode
from stepdistill.common.example_rows import ExampleRows

NO_RUN = "(no run)"
ZERO = Decimal(0)


class CostPlace(NamedTuple):
    """What answers are grouped by."""

    run: str  # which paid
    split: str
    template: str
    part: Part
    mode: Mode


@dataclass(slots=True)
class _Sums:
    """Counts that are added field by field."""

    def __add__(self, other: Self) -> Self:
        names = [each.name for each in fields(self)]
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(slots=True, kw_only=True)
class Paid(_Sums):
    """Answers of one place: tokens by kind, and USD."""

    answers: int = 0
    prompt: int = 0
    cached: int = 0  # of prompt
    written: int = 0  # of prompt
    completion: int = 0
    reasoning: int = 0  # of completion
    uncounted: int = 0  # answers without the teacher's count
    reported: int = 0  # answers with what the provider says that they cost
    reported_usd: float = 0.0  # what it says, together
    usd: Decimal = ZERO

    def add(self, answer: Answer, usd: Decimal, n: int = 1) -> None:
        """One answer; n: -1 to take it back."""
        usage = answer.usage
        self.answers += n
        self.prompt += n * usage.prompt
        self.cached += n * usage.cached
        self.written += n * usage.written
        self.completion += n * usage.completion
        self.reasoning += n * usage.reasoning
        self.uncounted += n * (not answer.is_counted)
        if answer.cost_usd is not None:
            self.reported += n
            self.reported_usd += n * answer.cost_usd
        self.usd += n * usd


@dataclass(slots=True, kw_only=True)
class Judged(_Sums):
    """Rows whose label came from one template."""

    rows: int = 0
    labels: int = 0  # rows with a label
    gold: int = 0  # rows with a gold label
    correct: int = 0  # rows whose label is the gold one
    rationales: int = 0
    words: int = 0  # of all rationales
    usd: Decimal = ZERO  # of these rows' answers; one that rows share counts for the first

    @property
    def accuracy(self) -> float | None:
        """Correct labels among the rows with a gold one; None without any, or without any label:
        what could not be read at all was not judged."""
        return self.correct / self.gold if self.gold and self.labels else None

    @property
    def row_usd(self) -> float:
        """What a row cost."""
        return float(self.usd) / self.rows if self.rows else 0.0


@dataclass(slots=True, kw_only=True)
class Rejected:
    """Rows that gave no record, for one reason."""

    rows: int = 0
    usd: Decimal = ZERO
    examples: ExampleRows = field(default_factory=ExampleRows)

    def include(self, other: Self) -> None:
        """Rows of another account."""
        self.rows += other.rows
        self.usd += other.usd
        self.examples.include(other.examples)


@dataclass(slots=True, kw_only=True)
class Account:
    """All of it."""

    rows: int = 0  # that were asked
    unasked: int = 0  # rows that are still to be asked
    shared: int = 0  # answers that a row shares with one before
    others: int = 0  # answers that other runs paid for
    others_usd: Decimal = ZERO
    saved_usd: Decimal = ZERO  # what shared answers and those of other runs would have cost
    paid: defaultdict[CostPlace, Paid] = field(default_factory=lambda: defaultdict(Paid))
    judged: defaultdict[str, Judged] = field(default_factory=lambda: defaultdict(Judged))
    rejected: defaultdict[str, Rejected] = field(default_factory=lambda: defaultdict(Rejected))
    labels: Counter[str] = field(default_factory=Counter[str])  # label -> records
    # Records whose label is the gold one, is another, or whose gold label is not known.
    right: ExampleRows = field(default_factory=ExampleRows)
    wrong: ExampleRows = field(default_factory=ExampleRows)
    unjudged: ExampleRows = field(default_factory=ExampleRows)
    calibration: TeacherCalibration = field(default_factory=TeacherCalibration)
    by_second: Counter[int] = field(default_factory=Counter[int])  # when its own answers were asked
    prices: dict[str, None] = field(default_factory=dict[str, None])  # in words, as first used

    def include(self, other: Self) -> None:
        """What was counted of rows that come after those of this one."""
        for name in ("rows", "unasked", "shared", "others", "others_usd", "saved_usd"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for place, paid in other.paid.items():
            self.paid[place] += paid
        for template, judged in other.judged.items():
            self.judged[template] += judged
        for reason, rejected in other.rejected.items():
            self.rejected[reason].include(rejected)
        self.labels.update(other.labels)
        self.right.include(other.right)
        self.wrong.include(other.wrong)
        self.unjudged.include(other.unjudged)
        self.calibration.include(other.calibration)
        self.by_second.update(other.by_second)
        self.prices |= other.prices

    @property
    def total(self) -> Paid:
        """All answers."""
        return sum(self.paid.values(), Paid())

    @property
    def whole(self) -> Judged:
        """All rows."""
        return sum(self.judged.values(), Judged())

    @property
    def paid_usd(self) -> Decimal:
        """What the run itself paid: without the answers that others paid for."""
        return self.total.usd - self.others_usd

    @property
    def wasted_usd(self) -> Decimal:
        """What rejected rows cost."""
        return sum((each.usd for each in self.rejected.values()), ZERO)
