"""A price: what a token costs, by what was done with it, and who says so since when."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from stepdistill.annotator.store.answer import Usage

MILLION = Decimal(1_000_000)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per token. cached: prompt tokens that the provider found in its cache; written: those
    that it wrote there. source: who says so; since: the day from which it holds, None if unknown.
    """

    prompt: Decimal
    completion: Decimal
    cached: Decimal
    written: Decimal
    source: str
    since: date | None = None

    def cost_usd(self, usage: Usage) -> Decimal:
        """What these tokens cost; cached and written ones are inside the prompt's count, and
        reasoning is inside the completion."""
        plain = usage.prompt - usage.cached - usage.written
        return (
            plain * self.prompt
            + usage.cached * self.cached
            + usage.written * self.written
            + usage.completion * self.completion
        )

    def worst_usd(self, prompt: int, completion: int) -> Decimal:
        """The most that so many tokens may cost."""
        return prompt * max(self.prompt, self.cached, self.written) + completion * self.completion

    @property
    def stated(self) -> str:
        """In words, with its source."""
        since = "" if self.since is None else f", since {self.since:%Y-%m-%d}"
        a_million = f"{_usd(self.prompt)} in, {_usd(self.completion)} out"
        return f"{a_million} USD for 1M tokens ({self.source}{since})"


def _usd(a_token: Decimal) -> str:
    return f"{(a_token * MILLION).normalize():f}"


FREE = Price(prompt=ZERO, completion=ZERO, cached=ZERO, written=ZERO, source="simulated: free")
