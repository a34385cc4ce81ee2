"""What tokens cost: unit prices from the genai-prices package, by model and day.

A price is looked up once per model and day; an answer's cost is its tokens at that price. Prices of
the past that the package has forgotten stand below with their source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from annotator.request.answer import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per token. cached: for the prompt tokens that the provider found in its cache."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal
    source: str

    def cost_usd(self, usage: Usage) -> Decimal:
        """What one answer's tokens cost; cached tokens are inside the prompt's count."""
        return (
            (usage.prompt - usage.cached) * self.prompt
            + usage.cached * self.cached
            + usage.completion * self.completion
        )


FREE = Price(prompt=Decimal(0), completion=Decimal(0), cached=Decimal(0), source="simulated: free")

# OpenAI's announcement of 2023-06-13, in force until the cut of 2024-01-25.
_EARLIER = {
    "gpt-3.5-turbo": (date(2024, 1, 25), Decimal("1.5") / _MILLION, Decimal("2") / _MILLION),
}


# Where the list has no batch price: OpenAI's Batch API charges half of what is asked online.
_HALF = Decimal("0.5")
_BATCH = {"processing": "batch"}


@lru_cache(maxsize=4096)
def price_of(model: str, host: str, day: date, *, is_batch: bool = False) -> Price | None:
    """The price of a model served by a host on a day; None when nobody knows it.

    is_batch: of answers from the Batch API.
    """
    price = _listed(model, host, day, {})
    if not is_batch or price is None:
        return price
    batch = _listed(model, host, day, _BATCH)
    if batch is None or (batch.prompt, batch.completion) == (price.prompt, price.completion):
        return _half(price)
    return replace(batch, source=f"{batch.source} (batch)")


def _half(price: Price) -> Price:
    return Price(
        prompt=price.prompt * _HALF,
        completion=price.completion * _HALF,
        cached=price.cached * _HALF,
        source=f"half of {price.source} (batch)",
    )


def _listed(model: str, host: str, day: date, context: Mapping[str, str]) -> Price | None:
    if model in _EARLIER and day < _EARLIER[model][0]:
        _, prompt, completion = _EARLIER[model]
        return Price(
            prompt=prompt, completion=completion, cached=prompt, source="openai 2023-06-13"
        )
    if host == "localhost":
        return None  # a server of one's own has no list price; the price list takes 0.1 s to load
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    used_cached = PricedUsage(input_tokens=1, cache_read_tokens=1)
    try:
        prompt = _unit(model, host, at, PricedUsage(input_tokens=1), context)
        cached = _unit(model, host, at, used_cached, context)
        completion = _unit(model, host, at, PricedUsage(output_tokens=1), context)
    except LookupError:
        return None
    return Price(prompt=prompt, completion=completion, cached=cached, source="genai-prices")


def _unit(
    model: str, host: str, at: datetime, usage: PricedUsage, context: Mapping[str, str]
) -> Decimal:
    # By who serves it: a server of one's own has no list price, whatever its model is called.
    url = f"https://{host}/"
    found = calc_price(
        usage,
        model_ref=model,
        provider_api_url=url,
        genai_request_timestamp=at,
        price_context=context,
    )
    return found.total_price
