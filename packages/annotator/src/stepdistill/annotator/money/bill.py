"""A bill: tokens and money of a set of answers, each counted once."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from stepdistill.annotator.money.prices import ZERO, Price, Tariff, day_of
from stepdistill.annotator.store.answer import Answer, Mode
from stepdistill.annotator.teacher.progress import Progress, TokenCounts
from stepdistill.common.manifest import CostEntry, CutOff, TokenTotals

_DAY_S = 86_400
_SAME_COST = 0.02  # a difference that is no more than this share is none
# Days since 1970, how it was asked, and at which tier: answers of one price.
_At = tuple[int, Mode, str | None]


@dataclass(slots=True, kw_only=True)
class AnswerSums:
    """What a set of answers comes to, each counted once; without prices."""

    answers: int = 0  # how many were counted
    uncounted: int = (
        0  # of these, whose tokens the teacher did not say: they cost what nobody knows
    )
    cut_off: CutOff | None = None  # of these, where some were
    reported: int = 0  # of these, with what the provider says that they cost
    reported_sum: Decimal = ZERO  # what it says in USD, the same in whichever order it is added
    # A price holds for a day and a mode, so tokens are summed by these and priced at the end.
    used: defaultdict[_At, TokenCounts] = field(default_factory=lambda: defaultdict(TokenCounts))

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.answers += 1
        self.uncounted += not answer.is_counted
        self.used[answer.asked_at // _DAY_S, answer.mode, answer.tier].add(answer.usage)
        if answer.cost_usd is not None:
            self.reported += 1
            self.reported_sum += Decimal(repr(answer.cost_usd))
        if answer.finish != "stop" and answer.is_cut_off:
            cut_off = CutOff(
                answers=1,
                limit=answer.limit,
                completion=answer.usage.completion,
                reasoning=answer.thinking,
            )
            self.cut_off = cut_off_of([self.cut_off, cut_off])

    @property
    def reported_usd(self) -> float:
        """What the provider says of all, in USD."""
        return float(self.reported_sum)

    def include(self, others: "AnswerSums") -> None:
        """Count all of these, too."""
        self.answers += others.answers
        self.uncounted += others.uncounted
        self.reported += others.reported
        self.reported_sum += others.reported_sum
        self.cut_off = cut_off_of([self.cut_off, others.cut_off])
        for at, used in others.used.items():
            self.used[at].add(used.usage)


def cut_off_of(sets: Iterable[CutOff | None]) -> CutOff | None:
    """What was cut off of several sets of answers; None where nothing was in any."""
    found = [each for each in sets if each is not None]
    if not found:
        return None
    return CutOff(
        answers=sum(each.answers for each in found),
        limit=min((each.limit for each in found if each.limit is not None), default=None),
        completion=sum(each.completion for each in found),
        reasoning=sum(each.reasoning for each in found),
    )


@dataclass(slots=True, kw_only=True)
class Bill(AnswerSums):
    """Add answers, then read tokens and cost."""

    tariff: Tariff

    @property
    def tokens(self) -> TokenTotals:
        """Of all answers."""
        each = self.used.values()
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
        for at, used in self.used.items():
            price = self._price(at)
            if price is None:
                return None
            total += price.cost_usd(used.usage)
        return total

    @property
    def cost(self) -> CostEntry:
        """For the manifest: usd is None when some answer's model has no known price."""
        usd, is_reported = self.usd, bool(self.answers) and self.reported == self.answers
        said = round(self.reported_usd, 6) if is_reported else None
        if usd is None:
            # Where no list has the model, the provider's own word is better than none.
            why = "as the provider says" if is_reported else f"no known price for {self._whose}"
            return CostEntry(usd=said, price=why, reported_usd=said)
        prices = (self._price(at) for at in self.used)
        sources = {price.source for price in prices if price is not None}
        return CostEntry(
            usd=float(round(usd, 6)),
            price=", ".join(sorted(sources)) or "nothing asked",
            reported_usd=said,
        )

    @property
    def _whose(self) -> str:
        """Whose price is not known: the model's, or that of a tier of it."""
        day, mode, tier = next(at for at in self.used if self._price(at) is None)
        is_listed = tier is not None and self._price((day, mode, None)) is not None
        return f"{self.tariff.model} at tier {tier}" if is_listed else self.tariff.model

    def _price(self, at: _At) -> Price | None:
        day, mode, tier = at
        return self.tariff.price(day_of(day * _DAY_S), mode=mode, tier=tier)


def reported_remark(usd: float, reported_usd: float) -> str | None:
    """What is to be said where a provider names another cost than its prices come to; None where
    both are the same, or nearly."""
    if abs(reported_usd - usd) <= _SAME_COST * max(reported_usd, usd):
        return None
    more = f" ({reported_usd / usd - 1:+.0%})" if usd else ""
    return (
        f"The provider says that they cost {reported_usd:.4f} USD{more}: who served them may have "
        "another price, which prices.yaml can state"
    )


def spent_usd(tariff: Tariff, progress: Progress) -> float | None:
    """What a run's own answers cost at today's prices; None when the model has no known price."""
    today = datetime.now(UTC).date()
    asked = [
        (tariff.price(today), progress.online),
        (tariff.price(today, mode="batch"), progress.batch),
        *((tariff.price(today, tier=tier), used) for tier, used in progress.tiers.items()),
    ]
    if any(price is None for price, _ in asked):
        return progress.reported_usd if 0 < progress.reported == progress.asked else None
    return float(sum((price.cost_usd(used.usage) for price, used in asked if price), ZERO))
