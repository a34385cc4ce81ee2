"""A bill: tokens and money of a set of answers, each counted once."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from stepdistill.annotator.money.prices import ZERO, Price, Tariff
from stepdistill.annotator.store.answer import TIME_BOUND, Answer, Mode
from stepdistill.annotator.teacher.progress import Progress, TokenCounts
from stepdistill.common.manifest import CostEntry, CutOff, TokenTotals

_DAY_S = 86_400
_At = tuple[int, Mode]  # days since 1970, and how it was asked: answers of one price


@dataclass(slots=True, kw_only=True)
class Bill:
    """Add answers, then read tokens and cost."""

    tariff: Tariff
    answers: int = 0  # how many were counted
    uncounted: int = (
        0  # of these, whose tokens the teacher did not say: they cost what nobody knows
    )
    cut_off: CutOff | None = None  # of these, where some were
    # A price holds for a day and a mode, so tokens are summed by these and priced at the end.
    _used: defaultdict[_At, TokenCounts] = field(default_factory=lambda: defaultdict(TokenCounts))

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.answers += 1
        self.uncounted += not answer.is_counted
        self._used[answer.asked_at // _DAY_S, answer.mode].add(answer.usage)
        if answer.finish != "stop" and answer.is_cut_off:
            self.cut_off = _with(self.cut_off, answer)

    @property
    def tokens(self) -> TokenTotals:
        """Of all answers."""
        each = self._used.values()
        return TokenTotals(
            prompt=sum(used.prompt for used in each),
            completion=sum(used.completion for used in each),
            cached=sum(used.cached for used in each),
            uncounted=self.uncounted,
        )

    @property
    def usd(self) -> Decimal | None:
        """What they cost; None when some answer's model has no known price."""
        total = ZERO
        for at, used in self._used.items():
            price = self._price(at)
            if price is None:
                return None
            total += price.cost_usd(used.usage)
        return total

    @property
    def cost(self) -> CostEntry:
        """For the manifest: usd is None when some answer's model has no known price."""
        usd = self.usd
        if usd is None:
            return CostEntry(usd=None, price=f"no known price for {self.tariff.model}")
        prices = (self._price(at) for at in self._used)
        sources = {price.source for price in prices if price is not None}
        return CostEntry(
            usd=float(round(usd, 6)), price=", ".join(sorted(sources)) or "nothing asked"
        )

    def _price(self, at: _At) -> Price | None:
        day, mode = at
        return self.tariff.price(day_of(day * _DAY_S), mode=mode)


def _with(before: CutOff | None, answer: Answer) -> CutOff:
    before = before or CutOff(answers=0, limit=None, completion=0, reasoning=0)
    limits = [limit for limit in (before.limit, answer.limit) if limit is not None]
    return CutOff(
        answers=before.answers + 1,
        limit=min(limits, default=None),
        completion=before.completion + answer.usage.completion,
        reasoning=before.reasoning + answer.thinking,
    )


def day_of(at_s: float) -> date:
    """The day of a moment, in UTC, in which prices are given."""
    return datetime.fromtimestamp(min(at_s, TIME_BOUND), UTC).date()


def spent_usd(tariff: Tariff, progress: Progress) -> float | None:
    """What a run's own answers cost at today's prices; None when the model has no known price."""
    today = datetime.now(UTC).date()
    online, batch = tariff.price(today), tariff.price(today, mode="batch")
    if online is None or batch is None:
        return None
    usd = online.cost_usd(progress.online.usage) + batch.cost_usd(progress.batch.usage)
    return float(usd)
