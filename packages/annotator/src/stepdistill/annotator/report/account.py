"""The account of a run, after it: every answer of its plan, priced, by what it was for.

A pure function of rows, prompts and store, as the shards are. An answer that several rows share is
paid for once.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from stepdistill.annotator.estimate.workload import Part, part_requests
from stepdistill.annotator.money.bill import day_of
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.reading.record import NO_ANSWER, RowResult, Rules, conclude
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.report.payers import Payers
from stepdistill.annotator.store.answer import Answer, Mode
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.labels import same_label

_EXAMPLES = 3
_NOWHERE = "-"
_KEY_BYTES = 12  # of a hash: enough to tell answers apart
ZERO = Decimal(0)


class CostPlace(NamedTuple):
    """What answers are grouped by. run: which paid."""

    run: str
    split: str
    template: str
    part: Part
    mode: Mode


@dataclass(slots=True, kw_only=True)
class Paid:
    """Answers of one place: tokens by kind, and USD. uncounted: without the teacher's count."""

    answers: int = 0
    prompt: int = 0
    cached: int = 0
    written: int = 0
    completion: int = 0
    reasoning: int = 0
    uncounted: int = 0
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
        self.uncounted += not usage.prompt and not usage.completion
        self.usd += usd

    def __add__(self, other: "Paid") -> "Paid":
        return Paid(**{name: getattr(self, name) + getattr(other, name) for name in Paid.__slots__})


@dataclass(slots=True, kw_only=True)
class Judged:
    """Rows whose label came from one template. gold: those with a gold label.

    usd: of all that these rows' labels and rationales cost; shared answers count for the first.
    """

    rows: int = 0
    labels: int = 0
    gold: int = 0
    correct: int = 0
    rationales: int = 0
    words: int = 0
    usd: Decimal = ZERO

    @property
    def accuracy(self) -> float | None:
        """Right labels among the rows with a gold one; None without any."""
        return self.correct / self.gold if self.gold else None

    def __add__(self, other: "Judged") -> "Judged":
        names = Judged.__slots__
        return Judged(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(slots=True, kw_only=True)
class Rejected:
    """Rows that gave no record, for one reason. examples: row id, detail, the answer's text."""

    rows: int = 0
    usd: Decimal = ZERO
    examples: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


@dataclass(slots=True, kw_only=True)
class Account:
    """All of it. rows: that were asked; unasked: that are still to be. others: answers that other
    runs paid for. saved_usd: what these would have cost, and answers that rows share.
    by_second: its own answers by the second in which they were asked. prices: as stated.
    """

    rows: int = 0
    unasked: int = 0
    shared: int = 0
    others: int = 0
    others_usd: Decimal = ZERO
    saved_usd: Decimal = ZERO
    paid: defaultdict[CostPlace, Paid] = field(default_factory=lambda: defaultdict(Paid))
    judged: defaultdict[str, Judged] = field(default_factory=lambda: defaultdict(Judged))
    rejected: defaultdict[str, Rejected] = field(default_factory=lambda: defaultdict(Rejected))
    labels: Counter[str] = field(default_factory=Counter[str])
    by_second: Counter[int] = field(default_factory=Counter[int])
    prices: dict[str, None] = field(default_factory=dict[str, None])

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


class Accountant:
    """Makes the account of one run. payers: who paid for which answer."""

    def __init__(self, run: str, tariff: Tariff, payers: Payers) -> None:
        self._run, self._tariff, self._payers = run, tariff, payers
        self._seen: set[bytes] = set()
        self.account = Account()

    def add(self, plan: Plan, stored: Snapshot, rules: Rules) -> None:
        """All rows of one plan. Raises ConfigError: no price is known for an answer."""
        for planned in plan.rows():
            outcome = conclude(planned, stored, rules)
            if _is_unasked(outcome):
                self.account.unasked += 1
                continue
            usd = self._pay(planned, stored)
            self._judge(planned, outcome, usd, rules)

    def add_other(self, key: bytes, answer: Answer) -> None:
        """An answer that this run paid for: it counts here where no row of its asked for it."""
        if key[:_KEY_BYTES] not in self._seen:
            place = CostPlace(self._run, _NOWHERE, _NOWHERE, "other", answer.mode)
            self._place(place, answer, self._cost(answer, self._tariff_of(answer)))

    def _pay(self, planned: PlannedRow, stored: Snapshot) -> Decimal:
        """Count the answers of a row; what they cost, where no row before shares them."""
        account, total = self.account, ZERO
        account.rows += 1
        for asked in part_requests(planned):
            answer = stored.answer(asked.request.key)
            if answer is None:
                continue
            usd, key = self._cost(answer, self._tariff), asked.request.key[:_KEY_BYTES]
            if key in self._seen:
                account.shared += 1
                account.saved_usd += usd
                continue
            self._seen.add(key)
            payer, split = self._payers.of(answer), planned.row.split
            place = CostPlace(payer, split, asked.template, asked.part, answer.mode)
            self._place(place, answer, usd)
            total += usd
        return total

    def _place(self, place: CostPlace, answer: Answer, usd: Decimal) -> None:
        account = self.account
        if place.run == self._run:
            account.by_second[answer.asked_at] += 1
        else:
            account.others += 1
            account.others_usd += usd
            account.saved_usd += usd
        account.paid[place].add(answer, usd)

    def _cost(self, answer: Answer, tariff: Tariff) -> Decimal:
        price = tariff.known_price(day_of(answer.asked_at), mode=answer.mode)
        self.account.prices[price.stated] = None
        return price.cost_usd(answer.usage)

    def _tariff_of(self, answer: Answer) -> Tariff:
        """The teacher's, or the one of another model that answered: a search has two."""
        teacher, other = self._tariff, replace(self._tariff, model=answer.model)
        is_teacher = answer.model.startswith(teacher.model)
        day = day_of(answer.asked_at)
        for tariff in (teacher, other) if is_teacher else (other, teacher):
            if tariff.price(day, mode=answer.mode) is not None:
                return tariff
        return other

    def _judge(self, planned: PlannedRow, outcome: RowResult, usd: Decimal, rules: Rules) -> None:
        judged = self.account.judged[planned.assignment.label]
        judged.rows += 1
        judged.usd += usd
        judged.gold += planned.row.gold is not None
        result = outcome.result
        if isinstance(result, Rejection):
            self._reject(result, outcome.answers, usd)
            return
        judged.labels += result.label is not None
        self.account.labels[str(result.label)] += 1
        if result.rationale is not None:
            judged.rationales += 1
            judged.words += len(result.rationale.split())
        if result.gold is not None and result.label is not None:
            judged.correct += same_label(rules.kind, result.label, result.gold)

    def _reject(self, rejection: Rejection, answers: Sequence[Answer], usd: Decimal) -> None:
        rejected = self.account.rejected[rejection.reason]
        rejected.rows += 1
        rejected.usd += usd
        if len(rejected.examples) < _EXAMPLES:
            text = answers[-1].text if answers else ""
            rejected.examples.append((rejection.id, rejection.detail, text))


def _is_unasked(outcome: RowResult) -> bool:
    result = outcome.result
    return isinstance(result, Rejection) and result.reason == NO_ANSWER and not outcome.answers
