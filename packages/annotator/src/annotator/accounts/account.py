"""The account of a run, after it: every answer of its plan, priced, by what it was for.

A pure function of rows, prompts and store, as the shards are. An answer that several rows share is
paid for once.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from annotator.accounts.parts import Asked, Part, parts_of
from annotator.cost.bill import day_of
from annotator.cost.prices import Tariff
from annotator.request.answer import Answer, Mode
from annotator.request.plan import Plan, PlannedRow
from annotator.request.store_snapshot import Snapshot
from annotator.response.record import Outcome, Rules, conclude
from annotator.response.rejection import Rejection
from common.labels import same_label

_EXAMPLES = 3
_MINUTE_S = 60
ZERO = Decimal(0)


class Place(NamedTuple):
    """What answers are grouped by."""

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


@dataclass(slots=True, kw_only=True)
class Rejected:
    """Rows that gave no record, for one reason. examples: row id, detail, the answer's text."""

    rows: int = 0
    usd: Decimal = ZERO
    examples: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


@dataclass(slots=True, kw_only=True)
class Account:
    """All of it. saved_usd: what answers would have cost that were there before the run, or that
    rows share. by_minute: answers asked in each minute since 1970. prices: as stated.
    """

    rows: int = 0
    shared: int = 0
    older: int = 0
    older_usd: Decimal = ZERO
    saved_usd: Decimal = ZERO
    paid: defaultdict[Place, Paid] = field(default_factory=lambda: defaultdict(Paid))
    judged: defaultdict[str, Judged] = field(default_factory=lambda: defaultdict(Judged))
    rejected: defaultdict[str, Rejected] = field(default_factory=lambda: defaultdict(Rejected))
    labels: Counter[str] = field(default_factory=Counter[str])
    by_minute: Counter[int] = field(default_factory=Counter[int])
    prices: dict[str, None] = field(default_factory=dict[str, None])

    @property
    def total(self) -> Paid:
        """All answers."""
        total = Paid()
        for each in self.paid.values():
            for name in Paid.__slots__:
                setattr(total, name, getattr(total, name) + getattr(each, name))
        return total

    @property
    def whole(self) -> Judged:
        """All rows."""
        whole = Judged()
        for each in self.judged.values():
            for name in Judged.__slots__:
                setattr(whole, name, getattr(whole, name) + getattr(each, name))
        return whole

    @property
    def paid_usd(self) -> Decimal:
        """What the run itself paid: without the answers that were there before."""
        return self.total.usd - self.older_usd

    @property
    def wasted_usd(self) -> Decimal:
        """What rejected rows cost."""
        return sum((each.usd for each in self.rejected.values()), ZERO)


class Accountant:
    """Makes the account. began_at: the run's first start, in seconds since 1970."""

    def __init__(self, tariff: Tariff, began_at: float) -> None:
        self._tariff, self._began_at = tariff, int(began_at)
        self._seen: set[bytes] = set()
        self.account = Account()

    def add(self, plan: Plan, stored: Snapshot, rules: Rules) -> None:
        """All rows of one split. Raises ConfigError: no price is known for an answer."""
        for planned in plan.rows():
            outcome = conclude(planned, stored, rules)
            usd = self._pay(planned, stored)
            self._judge(planned, outcome, usd, rules)

    def _pay(self, planned: PlannedRow, stored: Snapshot) -> Decimal:
        """Count the answers of a row; what they cost, where no row before shares them."""
        account, total = self.account, ZERO
        account.rows += 1
        for asked in parts_of(planned):
            answer = stored.answer(asked.request.key)
            if answer is None:
                continue
            usd = self._cost(answer)
            if asked.request.key[:12] in self._seen:
                account.shared += 1
                account.saved_usd += usd
                continue
            self._seen.add(asked.request.key[:12])
            self._place(planned, asked, answer, usd)
            total += usd
        return total

    def _place(self, planned: PlannedRow, asked: Asked, answer: Answer, usd: Decimal) -> None:
        account = self.account
        if answer.asked_at < self._began_at:
            account.older += 1
            account.older_usd += usd
            account.saved_usd += usd
        else:
            account.by_minute[answer.asked_at // _MINUTE_S] += 1
        place = Place(planned.row.split, asked.template, asked.part, answer.mode)
        account.paid[place].add(answer, usd)

    def _cost(self, answer: Answer) -> Decimal:
        price = self._tariff.known_price(day_of(answer.asked_at), mode=answer.mode)
        self.account.prices[price.stated] = None
        return price.cost_usd(answer.usage)

    def _judge(self, planned: PlannedRow, outcome: Outcome, usd: Decimal, rules: Rules) -> None:
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
