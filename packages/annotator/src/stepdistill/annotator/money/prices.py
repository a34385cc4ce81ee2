"""Prices: one's own first, then those of the package genai-prices.

A price is looked up once per model and day; an answer's cost is its tokens at that price. Prices of
the past that the package has forgotten stand below with their source. One's own are in a file:

models:
  my-model:                      # as given to --teacher
    - valid_from: 2026-11-01     # the latest entry that has begun is in force
      source: offer of October
      input: 0.10                # USD for 1,000,000 tokens
      output: 0.40
      cached: 0.01               # what the provider found in its cache; default: input
      written: 0.125             # what it wrote there; default: input
      batch: {input: 0.05, output: 0.20}    # default: as online
      tiers: {priority: {input: 0.20, output: 0.80}}    # default: the provider's share of online
  my-server:
    - valid_from: 2026-11-01
      source: electricity and rent
      gpu_hour_usd: 2.50         # for all GPUs that serve it together
      tokens_per_second: 3000    # prompts and answers together, as a run's progress shows them
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import serving
from stepdistill.annotator.store.answer import TIME_BOUND, Answer, Mode, Usage
from stepdistill.common.errors import ConfigError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, PriceCalculation

MILLION = Decimal(1_000_000)
ZERO = Decimal(0)
SIMULATED_MODEL = "simulated"
_HOUR_S = 3600
_KINDS = ("prompt", "completion", "cached", "written")  # of tokens, as fields of Price
_BATCH = {"processing": "batch"}
# OpenAI's announcement of 2023-06-13, in force until the cut of 2024-01-25.
_ANNOUNCED = date(2023, 6, 13)
_EARLIER = {  # model -> the day on which it ended, prompt, completion
    "gpt-3.5-turbo": (date(2024, 1, 25), Decimal("1.5") / MILLION, Decimal("2") / MILLION),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD for one token, by what was done with it."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal  # of prompts: found in the provider's cache
    written: Decimal  # of prompts: put into it
    source: str  # who says so
    since: date | None = None  # the day from which it holds, where that is known

    def cost_usd(self, usage: Usage) -> Decimal:
        """What these tokens cost."""
        # Cached and written ones are inside the prompt's count, reasoning inside the completion's.
        plain = usage.prompt - usage.cached - usage.written
        return (
            max(0, plain) * self.prompt
            + usage.cached * self.cached
            + usage.written * self.written
            + usage.completion * self.completion
        )

    def worst_usd(self, prompt: int, completion: int) -> Decimal:
        """The most that this many tokens may cost."""
        return prompt * max(self.prompt, self.cached, self.written) + completion * self.completion

    def times(self, share: Decimal, source: str) -> "Price":
        """A share of it, and who says so."""
        shares = {kind: getattr(self, kind) * share for kind in _KINDS}
        return replace(self, **shares, source=source)

    def or_more(self, other: "Price") -> "Price":
        """The higher of two, of each kind of token."""
        kinds = ("prompt", "completion", "cached", "written")
        return replace(
            self, **{kind: max(getattr(self, kind), getattr(other, kind)) for kind in kinds}
        )

    @property
    def stated(self) -> str:
        """In words, with its source."""
        since = "" if self.since is None else f", since {self.since:%Y-%m-%d}"
        a_million = f"{_usd(self.prompt)} in, {_usd(self.completion)} out"
        return f"{a_million} USD for 1M tokens ({self.source}{since})"


FREE = Price(prompt=ZERO, completion=ZERO, cached=ZERO, written=ZERO, source="simulated: free")
Usd = Annotated[Decimal, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Units(_Strict):
    """USD for 1,000,000 tokens."""

    input: Usd
    output: Usd
    cached: Usd | None = None  # default: input
    written: Usd | None = None  # default: input

    def price(self, source: str, since: date) -> Price:
        """The price of one token of each kind."""
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.written is None else self.written
        return Price(
            prompt=self.input / MILLION,
            completion=self.output / MILLION,
            cached=cached / MILLION,
            written=written / MILLION,
            source=source,
            since=since,
        )


class OwnPrice(_Strict):
    """What a model costs from a day on: by tokens, or by the hour of the GPUs that serve it."""

    valid_from: date
    source: str = Field(min_length=1)
    input: Usd | None = None
    output: Usd | None = None
    cached: Usd | None = None
    written: Usd | None = None
    batch: Units | None = None
    tiers: dict[str, Units] = {}  # by name, as --tier has it
    gpu_hour_usd: Usd | None = None
    tokens_per_second: Decimal | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_way_or_the_other(self) -> Self:
        by_token = (self.input, self.output, self.cached, self.written, self.batch)
        by_hour = (self.gpu_hour_usd, self.tokens_per_second)
        whole_token, some_token = None not in by_token[:2], any(x is not None for x in by_token)
        whole_hour, some_hour = None not in by_hour, any(x is not None for x in by_hour)
        if whole_token == whole_hour or (whole_hour and some_token) or (whole_token and some_hour):
            raise ValueError(
                "a price needs input and output (USD for 1,000,000 tokens), or gpu_hour_usd and "
                "tokens_per_second, and not some of both"
            )
        return self

    def price(self, *, is_batch: bool, tier: str | None = None) -> Price:
        """The price of one token of each kind. tier: that the file has a price of, or none."""
        if tier in self.tiers:
            return self.tiers[tier].price(f"{self.source} ({tier})", self.valid_from)
        if self.gpu_hour_usd is not None and self.tokens_per_second is not None:
            token = self.gpu_hour_usd / _HOUR_S / self.tokens_per_second
            rate = f"{self.gpu_hour_usd:f} USD a GPU-hour, {self.tokens_per_second:f} tokens/s"
            units = Units(input=token * MILLION, output=token * MILLION)
            return units.price(f"{self.source}: {rate}", self.valid_from)
        if is_batch and self.batch is not None:
            return self.batch.price(f"{self.source} (batch)", self.valid_from)
        units = Units.model_validate(self.model_dump(include={*Units.model_fields}))
        online = f"{self.source} (no batch price there: as online)" if is_batch else self.source
        return units.price(online, self.valid_from)


class OwnPrices(_Strict):
    """The content of a `prices.yaml`."""

    models: dict[str, list[OwnPrice]] = {}

    def entry(self, model: str, day: date) -> OwnPrice | None:
        """The price in force on a day; None where the file has none for it."""
        begun = [each for each in self.models.get(model, []) if each.valid_from <= day]
        return max(begun, key=lambda each: each.valid_from, default=None)


def load_own_prices(path: Path | None) -> OwnPrices:
    """The file's prices; none without a file. Raises PromptError: it cannot be read."""
    return OwnPrices() if path is None else read_yaml(path, OwnPrices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What one model costs that is served by one host."""

    model: str
    host: str  # as in a request's key; `localhost` for a server on this machine
    own: OwnPrices = field(default_factory=OwnPrices)  # they go before every list
    provider: Provider | None = None  # who serves it; None: whoever is at the host

    def price(self, day: date, *, mode: Mode = "online", tier: str | None = None) -> Price | None:
        """The price on a day; None when nobody knows it. tier: as the reply calls it, None for the
        usual one; batches have none."""
        entry, is_batch = self.own.entry(self.model, day), mode == "batch"
        if tier is not None and not is_batch and (entry is None or tier not in entry.tiers):
            usual, share = self.price(day), self._served_by.tiers.get(tier)
            if usual is None or share is None:
                return FREE if usual is FREE else None
            return usual.times(share, f"{usual.source} x {share} ({tier})")
        if entry is not None:
            return entry.price(is_batch=is_batch, tier=None if is_batch else tier)
        if self.model == SIMULATED_MODEL:
            return FREE
        price = price_of(self.model, self.host, day, is_batch=is_batch)
        return self._batch_price(price, day) if is_batch else price

    @property
    def _served_by(self) -> Provider:
        """Who says which share of the price batches and tiers cost."""
        return self.provider or serving(self.model, f"https://{self.host}").provider

    def _batch_price(self, listed: Price | None, day: date) -> Price | None:
        """The price of batches: as listed, else the provider's share, else what is asked online."""
        online = price_of(self.model, self.host, day)
        if listed is not None or online is None:
            return listed
        share = self._served_by.batch_share
        if share is None:
            return replace(online, source=f"{online.source} (no batch price there: as online)")
        how = "half" if share == Decimal("0.5") else f"{share}"
        return online.times(share, f"{how} of {online.source} (batch)")

    def answer_price(self, answer: Answer) -> Price | None:
        """The price of an answer, on the day on which it was asked; None when nobody knows it."""
        return self.price(day_of(answer.asked_at), mode=answer.mode, tier=answer.tier)

    def answer_usd(self, answer: Answer) -> Decimal | None:
        """What an answer cost: by its price, else as the provider says; None when nobody knows."""
        price = self.answer_price(answer)
        if price is not None:
            return price.cost_usd(answer.usage)
        return None if answer.cost_usd is None else Decimal(str(answer.cost_usd))

    def known_price(self, day: date, *, mode: Mode = "online", tier: str | None = None) -> Price:
        """The price on a day. Raises ConfigError, which says how to add one."""
        price = self.price(day, mode=mode, tier=tier)
        if price is None and tier is not None and self.price(day) is not None:
            raise ConfigError(
                f"no price is known for {self.model} at tier {tier}: state it in prices.yaml (or "
                f"--prices FILE), as `tiers: {{{tier}: {{input: 0.2, output: 0.8}}}}` of its entry"
            )
        if price is None:
            raise ConfigError(
                f"no price is known for {self.model} at {self.host}: state it in prices.yaml (or "
                f"--prices FILE), as `models: {{{self.model}: [{{valid_from: 2026-01-01, source: "
                "offer, input: 0.10, output: 0.40}]}` in USD for 1,000,000 tokens; 0 for a server "
                "of your own"
            )
        return price


def day_of(at_s: float) -> date:
    """The day of a moment, in UTC, in which prices are given."""
    return datetime.fromtimestamp(min(at_s, TIME_BOUND), UTC).date()


@lru_cache(maxsize=4096)
def price_of(model: str, host: str, day: date, *, is_batch: bool = False) -> Price | None:
    """The list price of a model served by a host on a day; None when no list has it. is_batch: of
    answers in batches."""
    price = _listed(model, host, day, {})
    if not is_batch or price is None:
        return price
    batch = _listed(model, host, day, _BATCH)
    if batch is None or (batch.prompt, batch.completion) == (price.prompt, price.completion):
        return None
    return replace(batch, source=f"{batch.source} (batch)")


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
    if host == "localhost":  # has no list price, and the package takes its time to load
        return None
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    at = datetime(day.year, day.month, day.day, tzinfo=UTC)

    def price(**tokens: int) -> "PriceCalculation":
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


def _since(model: "ModelInfo", at: datetime) -> date | None:
    """The day from which the price at a moment holds, where the list says so."""
    from genai_prices.types import StartDateConstraint

    if not isinstance(model.prices, list):
        return None
    begun = [
        each.constraint.start_date
        for each in model.prices
        if isinstance(each.constraint, StartDateConstraint) and each.constraint.active(at)
    ]
    return max(begun, default=None)


def _usd(a_token: Decimal) -> str:
    return f"{(a_token * MILLION).normalize():f}"
