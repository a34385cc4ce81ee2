"""A bill: tokens and money of a set of answers, each counted once."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from annotator.cost.prices import FREE, Price, price_of
from annotator.request.answer import Answer
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
        return price_of(self.model, self.host, datetime.fromtimestamp(answer.asked_at, UTC).date())

    @property
    def cost(self) -> Cost:
        """For the manifest: usd is None when some answer's model has no known price."""
        if self.unpriced:
            return Cost(usd=None, price=f"no known price for {self.model}")
        return Cost(
            usd=float(round(self.usd, 6)), price=", ".join(sorted(self.sources)) or "nothing asked"
        )
