"""Settings: prices, and what may be spent."""

from dataclasses import field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepdistill.common.command_line import Settings, options, read_by
from stepdistill.common.errors import ConfigError

_PRICES = Path("prices.yaml")


def _prices_file() -> Path | None:
    return _PRICES if _PRICES.is_file() else None


def _usd(option: str) -> Parameter:
    """An option in US dollars."""

    def read(text: str) -> Decimal:
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal(-1)
        if not amount.is_finite() or amount < 0:
            raise ConfigError(f"{option} {text}: US dollars, as 5 or 0.25")
        return amount

    return read_by(read)


@options("Money", 5)
class PriceSettings(Settings):
    """What tokens cost."""

    prices: Path | None = field(default_factory=_prices_file)
    """YAML of your own prices by model; default: ./prices.yaml where one stands."""


@options("Money", 5)
class CeilingSettings(Settings):
    """What may be spent."""

    max_cost_usd: Annotated[Decimal | None, _usd("--max-cost"), Parameter(name="--max-cost")] = None
    """US dollars that all runs of this task on this store may cost together: then they stop."""
    budget: str | None = None
    """Count --max-cost under this name, with all runs on the store that name it, of any task."""

    def check(self) -> None:
        super().check()
        if self.budget is not None and self.max_cost_usd is None:
            raise ConfigError(
                f"--budget {self.budget} needs --max-cost: the USD that its runs may cost"
            )


@options("Money", 5)
class WorthSettings(Settings):
    """What accuracy is worth."""

    point_worth_usd: Annotated[
        Decimal | None, _usd("--point-worth"), Parameter(name="--point-worth")
    ] = None
    """US dollars that one more percentage point of the student's accuracy is worth: what brings
    less than it costs is not bought."""
