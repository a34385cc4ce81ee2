"""The account of a run, after it: every answer of its plan, priced, by what it was for and who
paid.

A pure function of rows, prompts and store, as the shards are. An answer that several rows share is
paid for once.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import partial
from math import inf
from typing import NamedTuple, Self

from stepdistill.annotator.estimate.workload import Part, part_requests
from stepdistill.annotator.money.prices import Tariff, day_of
from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.reading.examples import example_of
from stepdistill.annotator.reading.record import NO_ANSWER, RowResult
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.report.calibration import TeacherCalibration
from stepdistill.annotator.run.run_notes import RunNote
from stepdistill.annotator.run.write import SplitWriter
from stepdistill.annotator.store.answer import Answer, Mode
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.example_rows import ExampleRows
from stepdistill.common.kinds.kind import Kind

NO_RUN = "(no run)"
_NOWHERE = "-"
_KEY_BYTES = 12  # of a hash: enough to tell answers apart
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

    def add(self, answer: Answer, usd: Decimal) -> None:
        """One answer."""
        usage = answer.usage
        self.answers += 1
        self.prompt += usage.prompt
        self.cached += usage.cached
        self.written += usage.written
        self.completion += usage.completion
        self.reasoning += usage.reasoning
        self.uncounted += not answer.is_counted
        if answer.cost_usd is not None:
            self.reported += 1
            self.reported_usd += answer.cost_usd
        self.usd += usd


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


class Payers:
    """Which run paid for an answer: the one that was under way when it was asked, as only one
    writes to a store at a time. A batch may be collected when no run is: its answers are of the
    last that sent."""

    def __init__(self, notes: Sequence[RunNote]) -> None:
        starts = [(start, note.name) for note in notes for start in note.starts]
        starts.sort(key=lambda each: each[0].at)
        nexts = [*(start.at for start, _ in starts[1:]), inf]
        # Of a killed one nobody knows the end: it is at most when the next was started.
        self._runs = [
            (start, next_at if start.ended_at is None else start.ended_at, name)
            for (start, name), next_at in zip(starts, nexts, strict=False)
        ]

    def of(self, answer: Answer) -> str:
        """The run's name; NO_RUN for what was imported, or came before runs were remembered."""
        at = answer.asked_at  # whole seconds
        number = bisect_right(self._runs, at, key=lambda run: int(run[0].at)) - 1
        if number < 0 or answer.mode == "import":
            return NO_RUN
        # Two may share a second: its answers are of the earlier, which was under way all along.
        while number and self._runs[number - 1][1] >= at:
            number -= 1
        _, end, name = self._runs[number]
        if at <= end:
            return name
        senders = (name for start, _, name in self._runs[number::-1] if start.mode == "batch")
        return next(senders, NO_RUN) if answer.mode == "batch" else NO_RUN


class Accountant:
    """Makes the account of one run."""

    def __init__(self, run: str, tariff: Tariff, payers: Payers) -> None:
        self._run, self._payers = run, payers
        self.tariff = tariff
        self.account = Account()
        self._seen: set[bytes] = set()  # the start of each counted answer's key

    def add(self, split: SplitWriter, stored: Snapshot) -> None:
        """All rows of one split, as the run writes it. Raises ConfigError: no price is known for
        an answer."""
        for planned in split.plan.rows():
            row = split.conclude(planned, stored)
            result = row.result
            if isinstance(result, Rejection) and result.reason == NO_ANSWER and not row.answers:
                self.account.unasked += 1
            else:
                self._judge(planned, row, self._pay(planned, stored), split.rules.kind)

    def add_other(self, key: bytes, answer: Answer) -> None:
        """An answer that this run paid for: it counts here where no row of its asked for it."""
        if key[:_KEY_BYTES] not in self._seen:
            place = CostPlace(self._run, _NOWHERE, _NOWHERE, "other", answer.mode)
            self._count(place, answer, self._cost(answer, self._tariff_of(answer)))

    def _pay(self, planned: PlannedRow, stored: Snapshot) -> Decimal:
        """Count the answers of a row; what they cost, where no row before shares them."""
        account, total = self.account, ZERO
        account.rows += 1
        for request, template, part in part_requests(planned):
            answer = stored.answer(request.key)
            if answer is None:
                continue
            usd, key = self._cost(answer, self.tariff), request.key[:_KEY_BYTES]
            if key in self._seen:
                account.shared += 1
                account.saved_usd += usd
                continue
            self._seen.add(key)
            payer = self._payers.of(answer)
            self._count(
                CostPlace(payer, planned.row.split, template, part, answer.mode), answer, usd
            )
            total += usd
        return total

    def _count(self, place: CostPlace, answer: Answer, usd: Decimal) -> None:
        account = self.account
        if place.run == self._run:
            account.by_second[answer.asked_at] += 1
        else:
            account.others += 1
            account.others_usd += usd
            account.saved_usd += usd
        account.paid[place].add(answer, usd)

    def _cost(self, answer: Answer, tariff: Tariff) -> Decimal:
        price = tariff.answer_price(answer)
        if price is None and answer.cost_usd is not None:
            self.account.prices["as the provider says"] = None
            return Decimal(str(answer.cost_usd))
        if price is None:
            day = day_of(answer.asked_at)
            price = tariff.known_price(day, mode=answer.mode, tier=answer.tier)
        self.account.prices[price.stated] = None
        return price.cost_usd(answer.usage)

    def _tariff_of(self, answer: Answer) -> Tariff:
        """The teacher's, or the one of another model that answered: a search has two."""
        teacher, other = self.tariff, replace(self.tariff, model=answer.model)
        is_teacher = answer.model.startswith(teacher.model)
        for tariff in (teacher, other) if is_teacher else (other, teacher):
            if tariff.answer_price(answer) is not None:
                return tariff
        return other

    def _judge(self, planned: PlannedRow, row: RowResult, usd: Decimal, kind: Kind) -> None:
        judged, result = self.account.judged[planned.assignment.label], row.result
        judged.rows += 1
        judged.usd += usd
        judged.gold += planned.row.gold is not None
        if isinstance(result, Rejection):
            rejected = self.account.rejected[result.reason]
            rejected.rows += 1
            rejected.usd += usd
            rejected.examples.offer(
                planned.row.split, planned.row.id, partial(example_of, planned, row)
            )
            return
        judged.labels += result.label is not None
        self.account.labels[str(result.label)] += 1
        if result.rationale is not None:
            judged.rationales += 1
            judged.words += len(result.rationale.split())
        self.account.calibration.add(result, kind)
        sort = self.account.unjudged
        if result.gold is not None and result.label is not None:
            is_right = kind.same(result.label, result.gold)
            judged.correct += is_right
            sort = self.account.right if is_right else self.account.wrong
        sort.offer(planned.row.split, planned.row.id, partial(example_of, planned, row))
