"""Prices of one's own: `prices.yaml`, which goes before every list.

models:
  my-model:                      # as given to --teacher
    - valid_from: 2026-11-01     # the latest entry that has begun is in force
      source: offer of October
      input: 0.10                # USD for 1,000,000 tokens
      output: 0.40
      cached: 0.01               # what the provider found in its cache; default: input
      written: 0.125             # what it wrote there; default: input
      batch: {input: 0.05, output: 0.20}    # default: as online
  my-server:
    - valid_from: 2026-11-01
      source: electricity and rent
      gpu_hour_usd: 2.50         # for all GPUs that serve it together
      tokens_per_second: 3000    # prompts and answers together, as a run's progress shows them
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stepdistill.annotator.money.price import MILLION, Price
from stepdistill.annotator.prompt.yaml_file import read_yaml

_HOUR_S = 3600


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Units(_Part):
    """USD for a million tokens."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached: Decimal | None = Field(default=None, ge=0)
    written: Decimal | None = Field(default=None, ge=0)

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


class OwnPrice(_Part):
    """What a model costs from a day on: by tokens, or by the hour of the GPUs that serve it."""

    valid_from: date
    source: str = Field(min_length=1)
    input: Decimal | None = Field(default=None, ge=0)
    output: Decimal | None = Field(default=None, ge=0)
    cached: Decimal | None = Field(default=None, ge=0)
    written: Decimal | None = Field(default=None, ge=0)
    batch: Units | None = None
    gpu_hour_usd: Decimal | None = Field(default=None, ge=0)
    tokens_per_second: Decimal | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_way_or_the_other(self) -> Self:
        by_token = self.input is not None and self.output is not None
        by_hour = self.gpu_hour_usd is not None and self.tokens_per_second is not None
        some_token = any(
            part is not None
            for part in (self.input, self.output, self.cached, self.written, self.batch)
        )
        some_hour = self.gpu_hour_usd is not None or self.tokens_per_second is not None
        if by_token == by_hour or (by_hour and some_token) or (by_token and some_hour):
            raise ValueError(
                "a price needs input and output (USD for 1,000,000 tokens), or gpu_hour_usd and "
                "tokens_per_second, and not some of both"
            )
        return self

    def price(self, *, is_batch: bool) -> Price:
        """The price of one token of each kind."""
        if self.gpu_hour_usd is not None and self.tokens_per_second is not None:
            token = self.gpu_hour_usd / _HOUR_S / self.tokens_per_second
            rate = f"{self.gpu_hour_usd:f} USD a GPU-hour, {self.tokens_per_second:f} tokens/s"
            units = Units(input=token * MILLION, output=token * MILLION)
            return units.price(f"{self.source}: {rate}", self.valid_from)
        if is_batch and self.batch is not None:
            return self.batch.price(f"{self.source} (batch)", self.valid_from)
        assert self.input is not None
        assert self.output is not None
        units = Units(
            input=self.input, output=self.output, cached=self.cached, written=self.written
        )
        price = units.price(self.source, self.valid_from)
        if is_batch:
            return replace(price, source=f"{self.source} (no batch price there: as online)")
        return price


class OwnPrices(_Part):
    """The content of a `prices.yaml`."""

    models: dict[str, list[OwnPrice]] = {}

    def price(self, model: str, day: date, *, is_batch: bool) -> Price | None:
        """The price in force on a day; None where the file has none for it."""
        begun = [each for each in self.models.get(model, []) if each.valid_from <= day]
        latest = max(begun, key=lambda each: each.valid_from, default=None)
        return None if latest is None else latest.price(is_batch=is_batch)


NONE_OF_ONES_OWN = OwnPrices()


def load_own_prices(path: Path | None) -> OwnPrices:
    """The file's prices; none without a file. Raises PromptError: it cannot be read."""
    return OwnPrices() if path is None else read_yaml(path, OwnPrices)
