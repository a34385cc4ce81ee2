"""A bill: tokens and money of a set of answers, each counted once."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from annotator.cost.prices import FREE, Price, price_of
from annotator.request.answer import Answer, Usage
from common.manifest import Cost, Tokens

SIMULATED_MODEL = "simulated"


@dataclass(slots=True, kw_only=True)
class Bill:
    """Add answers, then read tokens and cost. host: where the teacher is served from."""

    host: str
    model: str
    usd: Decimal = Decimal(0)
    unpriced: int = 0
    answers: int = 0
    sources: set[str] = field(default_factory=set[str])
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Tokens.model_fields, 0))

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.answers += 1
        for name in self.tokens:
            self.tokens[name] += getattr(answer.usage, name)
        price = self._price(answer)
        if price is None:
            self.unpriced += 1
            return
        self.usd += price.cost_usd(answer.usage)
        self.sources.add(price.source)

    def _price(self, answer: Answer) -> Price | None:
        if self.model == SIMULATED_MODEL:
            return FREE
        return _price_on(self.model, self.host, answer.asked_at // 86_400)

    @property
    def cost(self) -> Cost:
        """For the manifest: usd is None when some answer's model has no known price."""
        if self.unpriced:
            return Cost(usd=None, price=f"no known price for {self.model}")
        return Cost(
            usd=float(round(self.usd, 6)), price=", ".join(sorted(self.sources)) or "nothing asked"
        )


@lru_cache(maxsize=4096)
def _price_on(model: str, host: str, day: int) -> Price | None:
    """day: counted from 1970."""
    return price_of(model, host, datetime.fromtimestamp(day * 86_400, UTC).date())


def spent_usd(model: str, host: str, usage: Usage) -> float | None:
    """What tokens used today cost; None when the model has no known price."""
    price = FREE if model == SIMULATED_MODEL else price_of(model, host, datetime.now(UTC).date())
    return None if price is None else float(price.cost_usd(usage))
