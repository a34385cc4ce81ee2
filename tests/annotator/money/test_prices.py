"""A user's own prices: by day, by mode, by token or by the hour; they go before every list."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from stepdistill.annotator.money.prices import OwnPrices, Tariff, load_own_prices
from stepdistill.annotator.store.answer import Usage
from stepdistill.common.errors import ConfigError, PromptError

DAY = date(2026, 11, 25)
FILE = """
models:
  mine:
    - {valid_from: 2026-12-01, source: the next offer, input: 9, output: 9}
    - {valid_from: 2026-11-01, source: offer, input: 0.10, output: 0.40, cached: 0.01,
       written: 0.125, batch: {input: 0.05, output: 0.20},
       tiers: {priority: {input: 0.20, output: 0.80}}}
    - {valid_from: 2026-01-01, source: an older offer, input: 7, output: 7}
  house:
    - {valid_from: 2026-01-01, source: rent, gpu_hour_usd: 3.60, tokens_per_second: 1000}
  free:
    - {valid_from: 2026-01-01, source: ours, input: 0, output: 0}
  simulated:
    - {valid_from: 2026-01-01, source: as if, input: 1, output: 2}
"""
MILLION = Usage(prompt=1_000_000, completion=1_000_000)


@pytest.fixture
def own(tmp_path: Path) -> OwnPrices:
    path = tmp_path / "prices.yaml"
    path.write_text(FILE)
    return load_own_prices(path)


def tariff(own: OwnPrices, model: str, host: str = "localhost") -> Tariff:
    return Tariff(model=model, host=host, own=own)


def test_the_latest_price_that_has_begun_is_in_force(own: OwnPrices):
    price = tariff(own, "mine").known_price(DAY)

    assert price.cost_usd(MILLION) == Decimal("0.50")
    assert price.stated == "0.1 in, 0.4 out USD for 1M tokens (offer, since 2026-11-01)"
    assert tariff(own, "mine").known_price(date(2026, 2, 1)).source == "an older offer"
    assert tariff(own, "mine").price(date(2025, 12, 31)) is None


def test_cached_and_written_tokens_have_prices_of_their_own(own: OwnPrices):
    price = tariff(own, "mine").known_price(DAY)

    assert price.cost_usd(Usage(prompt=1_000_000, cached=1_000_000)) == Decimal("0.01")
    assert price.cost_usd(Usage(prompt=1_000_000, written=1_000_000)) == Decimal("0.125")


def test_a_batch_costs_what_the_file_says_and_as_much_as_online_where_it_says_nothing(
    own: OwnPrices,
):
    assert tariff(own, "mine").known_price(DAY, mode="batch").cost_usd(MILLION) == Decimal("0.25")
    without = tariff(own, "simulated").known_price(DAY, mode="batch")
    assert without.cost_usd(MILLION) == 3
    assert without.source == "as if (no batch price there: as online)"


def test_a_tier_costs_what_the_file_says_else_the_providers_share(own: OwnPrices):
    openai = "api.openai.com"
    mine = tariff(own, "mine", openai)
    assert mine.known_price(DAY, tier="priority").cost_usd(MILLION) == Decimal("1.0")
    assert mine.known_price(DAY, tier="flex").cost_usd(MILLION) == Decimal("0.25")
    assert tariff(own, "mine", "api.groq.com").known_price(DAY, tier="flex").prompt == (
        mine.known_price(DAY).prompt
    )
    with pytest.raises(ConfigError, match="mine at tier scale: state it in"):
        mine.known_price(DAY, tier="scale")


def test_a_gpu_hour_is_spread_over_the_tokens_of_an_hour(own: OwnPrices):
    price = tariff(own, "house").known_price(DAY)

    assert price.cost_usd(MILLION) == 2  # 0.001 USD a second, 1,000 tokens a second
    assert price.source == "rent: 3.6 USD a GPU-hour, 1000 tokens/s"


def test_own_prices_go_before_the_list_and_before_the_free_simulator(own: OwnPrices):
    listed = OwnPrices(models={"gpt-4o-mini": own.models["mine"]})

    assert tariff(listed, "gpt-4o-mini", "api.openai.com").known_price(DAY).source == "offer"
    assert tariff(own, "simulated").known_price(DAY).cost_usd(MILLION) == 3
    assert tariff(own, "free").known_price(DAY).cost_usd(MILLION) == 0


def test_a_listed_price_names_its_list_and_a_batch_is_cheaper():
    listed = Tariff(model="gpt-6-luna", host="api.openai.com")
    online, batch = listed.known_price(DAY), listed.known_price(DAY, mode="batch")

    assert online.source.startswith("genai-prices ")
    assert online.cost_usd(MILLION) == Decimal("0.6")
    assert batch.cost_usd(MILLION) == Decimal("0.3")
    assert online.worst_usd(1_000_000, 0) == Decimal("0.125")  # all of it written to the cache


def test_a_model_without_a_price_is_an_error_that_says_how_to_add_it(own: OwnPrices):
    with pytest.raises(ConfigError, match=r"no price is known for other .*prices\.yaml.*other: "):
        tariff(own, "other").known_price(DAY)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{valid_from: 2026-01-01, source: x, input: 1}", "needs input and output"),
        ("{valid_from: 2026-01-01, source: x, gpu_hour_usd: 1}", "needs input and output"),
        (
            "{valid_from: 2026-01-01, source: x, input: 1, output: 1, gpu_hour_usd: 1}",
            "not some of both",
        ),
        ("{valid_from: 2026-01-01, source: x, input: -1, output: 1}", "greater than or equal to 0"),
        ("{source: x, input: 1, output: 1}", "valid_from"),
        ("{valid_from: 2026-01-01, input: 1, output: 1}", "source"),
        ("{valid_from: 2026-01-01, source: x, input: 1, output: 1, euro: 1}", "not a field here"),
    ],
)
def test_a_price_that_says_half_of_it_is_refused(tmp_path: Path, entry: str, message: str):
    path = tmp_path / "prices.yaml"
    path.write_text(f"models: {{mine: [{entry}]}}")

    with pytest.raises(PromptError, match=message) as caught:
        load_own_prices(path)
    assert str(path) in str(caught.value)
