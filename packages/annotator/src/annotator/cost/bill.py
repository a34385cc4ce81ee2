"""A bill: tokens and money of a set of answers, each counted once."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from annotator.cost.prices import FREE, Price, price_of
from annotator.request.answer import Answer, Usage
from common.manifest import Cost, Tokens

SIMULATED_MODEL = "simulated"
_DAY_S = 86_400


@dataclass(slots=True)
class _Used:
    """What the answers of one day used."""

    answers: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def usage(self) -> Usage:
        return Usage(prompt=self.prompt, completion=self.completion, cached=self.cached)


@dataclass(slots=True, kw_only=True)
class Bill:
    """Add answers, then read tokens and cost. host: where the teacher is served from.

    A price holds for a day, so tokens are summed by day and priced at the end.
    """

    host: str
    model: str
    _by_day: defaultdict[int, _Used] = field(default_factory=lambda: defaultdict(_Used))

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        used, usage = self._by_day[answer.asked_at // _DAY_S], answer.usage
        used.answers += 1
        used.prompt += usage.prompt
        used.completion += usage.completion
        used.cached += usage.cached

    @property
    def answers(self) -> int:
        """How many answers were counted."""
        return sum(used.answers for used in self._by_day.values())

    @property
    def tokens(self) -> Tokens:
        """Of all answers."""
        days = self._by_day.values()
        return Tokens(
            prompt=sum(used.prompt for used in days),
            completion=sum(used.completion for used in days),
            cached=sum(used.cached for used in days),
        )

    @property
    def cost(self) -> Cost:
        """For the manifest: usd is None when some answer's model has no known price."""
        usd, sources = Decimal(0), set[str]()
        for day, used in self._by_day.items():
            price = self._price(day)
            if price is None:
                return Cost(usd=None, price=f"no known price for {self.model}")
            usd += price.cost_usd(used.usage)
            sources.add(price.source)
        return Cost(usd=float(round(usd, 6)), price=", ".join(sorted(sources)) or "nothing asked")

    def _price(self, day: int) -> Price | None:
        return FREE if self.model == SIMULATED_MODEL else _price_on(self.model, self.host, day)


@lru_cache(maxsize=4096)
def _price_on(model: str, host: str, day: int) -> Price | None:
    """day: counted from 1970."""
    return price_of(model, host, datetime.fromtimestamp(day * _DAY_S, UTC).date())


def spent_usd(model: str, host: str, usage: Usage) -> float | None:
    """What tokens used today cost; None when the model has no known price."""
    price = FREE if model == SIMULATED_MODEL else price_of(model, host, datetime.now(UTC).date())
    return None if price is None else float(price.cost_usd(usage))
