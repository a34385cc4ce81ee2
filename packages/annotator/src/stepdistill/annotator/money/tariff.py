"""What a model's tokens cost on a day: one's own prices first, then the package genai-prices.

A price is looked up once per model and day; an answer's cost is its tokens at that price. Prices of
the past that the package has forgotten stand below with their source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    PriceCalculation,
    StartDateConstraint,
)

from stepdistill.annotator.money.own_prices import NONE_OF_ONES_OWN, OwnPrices
from stepdistill.annotator.money.price import FREE, MILLION, Price
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.store.answer import Mode
from stepdistill.common.errors import ConfigError

SIMULATED_MODEL = "simulated"
# Where the list has no batch price: OpenAI's Batch API charges half of what is asked online.
_HALF = Decimal("0.5")
_BATCH = {"processing": "batch"}

# OpenAI's announcement of 2023-06-13, in force until the cut of 2024-01-25.
_EARLIER = {
    "gpt-3.5-turbo": (date(2024, 1, 25), Decimal("1.5") / MILLION, Decimal("2") / MILLION),
}
_ANNOUNCED = date(2023, 6, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What one model costs that is served by one host. own: goes before every list."""

    model: str
    host: str
    own: OwnPrices = NONE_OF_ONES_OWN

    def price(self, day: date, *, mode: Mode = "online") -> Price | None:
        """The price on a day; None when nobody knows it."""
        is_batch = mode == "batch"
        own = self.own.price(self.model, day, is_batch=is_batch)
        if own is not None or self.model != SIMULATED_MODEL:
            return own or price_of(self.model, self.host, day, is_batch=is_batch)
        return FREE

    def known_price(self, day: date, *, mode: Mode = "online") -> Price:
        """The price on a day. Raises ConfigError, which says how to add one."""
        price = self.price(day, mode=mode)
        if price is None:
            raise ConfigError(unknown_price(self))
        return price


def tariff_of(plan: Plan, own: OwnPrices = NONE_OF_ONES_OWN) -> Tariff:
    """What a plan's teacher costs."""
    return Tariff(model=plan.model, host=plan.endpoint.name, own=own)


def unknown_price(tariff: Tariff) -> str:
    """What a person reads who wants to know the cost of a model without a price."""
    return (
        f"no price is known for {tariff.model} at {tariff.host}: state it in prices.yaml (or "
        f"--prices FILE), as `models: {{{tariff.model}: [{{valid_from: 2026-01-01, source: offer, "
        "input: 0.10, output: 0.40}]}` in USD for 1,000,000 tokens; 0 for a server of your own"
    )


@lru_cache(maxsize=4096)
def price_of(model: str, host: str, day: date, *, is_batch: bool = False) -> Price | None:
    """The list price of a model served by a host on a day; None when nobody knows it.

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
        written=price.written * _HALF,
        source=f"half of {price.source} (batch)",
        since=price.since,
    )


def _listed(model: str, host: str, day: date, context: Mapping[str, str]) -> Price | None:
    if model in _EARLIER and day < _EARLIER[model][0]:
        _, prompt, completion = _EARLIER[model]
        return Price(
            prompt=prompt,
            completion=completion,
            cached=prompt,
            written=prompt,
            source="openai 2023-06-13",
            since=_ANNOUNCED,
        )
    if host == "localhost":
        return None  # a server of one's own has no list price; the price list takes 0.1 s to load
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)

    def price(**tokens: int) -> PriceCalculation:
        return calc_price(
            PricedUsage(**tokens),
            model_ref=model,
            # By who serves it: a server of one's own has no list price, whatever its model is.
            provider_api_url=f"https://{host}/",
            genai_request_timestamp=at,
            price_context=context,
        )

    try:
        prompt = price(input_tokens=1)
    except LookupError:
        return None
    return Price(
        prompt=prompt.total_price,
        completion=price(output_tokens=1).total_price,
        cached=price(input_tokens=1, cache_read_tokens=1).total_price,
        written=price(input_tokens=1, cache_write_tokens=1).total_price,
        source=f"genai-prices {version('genai-prices')}",
        since=_since(prompt.model, at),
    )


def _since(model: ModelInfo, at: datetime) -> date | None:
    """The day from which the price at a moment holds, where the list says so."""
    if not isinstance(model.prices, list):
        return None
    begun = [
        each.constraint.start_date
        for each in model.prices
        if _has_begun(each, at) and isinstance(each.constraint, StartDateConstraint)
    ]
    return max(begun, default=None)


def _has_begun(price: ConditionalPrice, at: datetime) -> bool:
    return price.constraint is not None and price.constraint.active(at)
