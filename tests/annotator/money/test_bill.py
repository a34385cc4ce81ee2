"""Money: tokens counted without network, priced by model and day, and each answer billed once."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.money.bill import Bill, spent_usd
from stepdistill.annotator.money.prices import (
    FREE,
    OwnPrice,
    OwnPrices,
    Price,
    Tariff,
    price_of,
)
from stepdistill.annotator.money.tokens import count_tokens
from stepdistill.annotator.store.answer import Mode, Usage
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.common.manifest import CostEntry, TokenTotals
from tests.annotator.made import an_answer

OPENAI = "api.openai.com"
IN_2023 = int(datetime(2023, 10, 1, tzinfo=UTC).timestamp())
MILLION = Decimal(1_000_000)


def a_bill(model: str = "gpt-3.5-turbo") -> Bill:
    return Bill(tariff=Tariff(host=OPENAI, model=model))


def a_price(prompt: int = 0, completion: int = 0, cached: int = 0, written: int = 0) -> Price:
    return Price(
        prompt=Decimal(prompt),
        completion=Decimal(completion),
        cached=Decimal(cached),
        written=Decimal(written),
        source="made up",
    )


TOKENS = st.integers(0, 9999)
UNCACHED = st.builds(
    Usage,
    prompt=TOKENS,
    completion=TOKENS,
    cached=st.just(0),
    reasoning=st.just(0),
    written=st.just(0),
    is_whole=st.just(True),
)


@given(st.lists(UNCACHED))
def test_a_bill_is_the_sum_of_its_answers(usages: list[Usage]):
    bill = a_bill()
    for usage in usages:
        bill.add(an_answer(usage=usage, asked_at=IN_2023))

    prompt = sum(usage.prompt for usage in usages)
    completion = sum(usage.completion for usage in usages)
    assert bill.answers == len(usages)
    silent = sum(not (usage.prompt and usage.completion) for usage in usages)
    tokens = TokenTotals(prompt=prompt, completion=completion, cached=0, uncounted=silent)
    assert bill.tokens == tokens
    usd = prompt * Decimal("1.5") / MILLION + completion * Decimal(2) / MILLION
    assert bill.cost.usd == pytest.approx(float(usd), abs=1e-6)


def test_the_teacher_of_2023_costs_what_it_cost_then():
    price = price_of("gpt-3.5-turbo", OPENAI, date(2023, 10, 1))

    assert price is not None
    assert (price.prompt * MILLION, price.completion * MILLION) == (Decimal("1.5"), Decimal(2))
    assert price.source == "openai 2023-06-13"


def test_prices_follow_the_day():
    before = price_of("gpt-3.5-turbo", OPENAI, date(2024, 1, 24))
    after = price_of("gpt-3.5-turbo", OPENAI, date(2024, 1, 25))

    assert before is not None
    assert after is not None
    assert after.prompt * MILLION == Decimal("0.5")
    assert after.completion < before.completion


@pytest.mark.parametrize(
    ("model", "prompt", "completion", "cached"),
    [("gpt-4o-mini", "0.15", "0.6", "0.075"), ("gpt-4o", "2.5", "10", "1.25")],
)
def test_known_models_have_known_prices(model: str, prompt: str, completion: str, cached: str):
    price = price_of(model, OPENAI, date(2025, 6, 1))

    assert price is not None
    found = [part * MILLION for part in (price.prompt, price.completion, price.cached)]
    assert found == [Decimal(prompt), Decimal(completion), Decimal(cached)]


def test_cached_tokens_are_inside_the_prompt_and_cheaper():
    price = a_price(prompt=4, completion=10, cached=1)

    assert price.cost_usd(Usage(prompt=100, cached=30, completion=5)) == 70 * 4 + 30 * 1 + 5 * 10


def test_what_is_written_to_the_cache_is_inside_the_prompt_and_dearer():
    price = a_price(prompt=4, written=5)
    usage = Usage(prompt=100, written=60)

    assert price.cost_usd(usage) == 40 * 4 + 60 * 5
    assert price.worst_usd(100, 0) == 500


def test_reasoning_tokens_are_inside_the_completion():
    price = a_price(completion=1)

    assert price.cost_usd(Usage(completion=9, reasoning=7)) == 9


def test_a_model_without_a_known_price_makes_the_cost_unknown_and_not_zero():
    bill = a_bill("no-such-model-of-mine")
    bill.add(an_answer())

    assert bill.cost == CostEntry(usd=None, price="no known price for no-such-model-of-mine")
    assert bill.tokens.prompt == 10


def test_the_simulated_teacher_is_free():
    bill = Bill(tariff=Tariff(host="localhost", model="simulated"))
    bill.add(an_answer())

    assert bill.cost == CostEntry(usd=0.0, price=FREE.source)


def test_a_bill_of_nothing_is_nothing():
    assert a_bill().cost == CostEntry(usd=0.0, price="nothing asked")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("hello world", 2), ("Zürich", 3), ("tiktoken is great!", 6), ("a" * 1000, 125)],
)
def test_tokens_are_counted_as_openai_counts_them(text: str, tokens: int):
    assert count_tokens(text) == tokens


def test_text_that_looks_like_a_special_token_is_counted_as_text():
    assert count_tokens("<|endoftext|>") > 1
    assert count_tokens("a <|im_start|> b <|endoftext|>") > 8


@given(st.text(max_size=60))
def test_any_text_has_at_most_one_token_a_byte(text: str):
    assert count_tokens(text) <= len(text.encode())


@pytest.mark.parametrize(
    ("model", "prompt", "completion"), [("gpt-6-luna", "0.05", "0.25"), ("gpt-4o", "1.25", "5")]
)
def test_batches_have_prices_of_their_own(model: str, prompt: str, completion: str):
    price = price_of(model, OPENAI, date(2026, 11, 25), is_batch=True)

    assert price is not None
    assert (price.prompt * MILLION, price.completion * MILLION) == (
        Decimal(prompt),
        Decimal(completion),
    )
    assert price.source.startswith("genai-prices") and price.source.endswith(" (batch)")


def test_where_the_list_has_no_batch_price_it_is_half_and_says_so():
    day = date(2023, 10, 1)
    tariff = Tariff(model="gpt-4", host=OPENAI)
    online, batch = tariff.price(day), tariff.price(day, mode="batch")

    assert online is not None
    assert batch is not None
    assert (batch.prompt, batch.completion) == (online.prompt / 2, online.completion / 2)
    assert batch.source == f"half of {online.source} (batch)"


def test_where_nobody_gives_a_discount_none_is_assumed():
    day = date(2026, 11, 25)
    tariff = Tariff(model="deepseek-chat", host="api.deepseek.com")
    online, batch = tariff.price(day), tariff.price(day, mode="batch")

    assert online is not None and batch is not None
    assert (batch.prompt, batch.completion) == (online.prompt, online.completion)
    assert batch.source == f"{online.source} (no batch price there: as online)"


def test_an_answer_is_priced_by_the_tier_that_its_reply_names():
    usage = Usage(prompt=1_000_000, completion=1_000_000)
    at = int(datetime(2026, 11, 25, tzinfo=UTC).timestamp())
    bill = a_bill("gpt-6-luna")
    bill.add(an_answer(usage=usage, asked_at=at))
    assert bill.cost.usd == 0.6
    bill.add(an_answer(usage=usage, asked_at=at, tier="flex"))
    assert bill.cost.usd == 0.9 and "x 0.5 (flex)" in bill.cost.price
    bill.add(an_answer(usage=usage, asked_at=at, tier="priority"))
    assert bill.cost.usd is None
    assert bill.cost.price == "no known price for gpt-6-luna at tier priority"


def test_what_the_provider_says_is_kept_beside_where_it_says_it_of_all():
    bill = a_bill("nobody-lists-this")
    bill.add(an_answer(cost_usd=0.25))
    assert (bill.cost.usd, bill.cost.reported_usd) == (0.25, 0.25)
    assert bill.cost.price == "as the provider says"
    bill.add(an_answer())
    assert (bill.cost.usd, bill.cost.reported_usd) == (None, None)


def test_a_bill_prices_each_answer_by_its_mode():
    usage = Usage(prompt=1_000_000, completion=1_000_000)
    at = int(datetime(2026, 11, 25, tzinfo=UTC).timestamp())
    bill = a_bill("gpt-6-luna")
    bill.add(an_answer(usage=usage, asked_at=at))
    bill.add(an_answer(usage=usage, asked_at=at, mode="batch"))

    assert bill.cost.usd == 0.9
    assert bill.cost.price.count("genai-prices") == 2
    assert bill.cost.price.count("(batch)") == 1


def test_what_a_run_spent_is_the_sum_over_its_modes():
    progress = Progress()
    usage = Usage(prompt=1_000_000, completion=1_000_000)
    for mode in ("online", "batch"):
        progress.count(an_answer(usage=usage, mode=mode))

    for model, usd in (("gpt-6-luna", 0.9), ("no-such-model-of-mine", None)):
        assert spent_usd(Tariff(model=model, host=OPENAI), progress) == usd
    assert spent_usd(Tariff(model="simulated", host="localhost"), progress) == 0.0


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_what_a_run_has_spent_counts_what_the_teacher_put_into_its_cache(mode: Mode):
    price = OwnPrice(
        valid_from=date(2020, 1, 1),
        source="made up",
        input=Decimal(1_000_000),
        output=Decimal(0),
        written=Decimal(2_000_000),
    )
    own = OwnPrices(models={"any-model": [price]})
    progress = Progress()
    progress.count(an_answer(usage=Usage(prompt=3, written=2), mode=mode))
    assert spent_usd(Tariff(model="any-model", host="", own=own), progress) == 5


def test_a_bill_of_counts_and_times_that_cannot_be_is_no_less_than_nothing():
    bill = a_bill()
    bill.add(an_answer(usage=Usage.of([-9_000, 50, 7_000, 0]), asked_at=10**17))
    bill.add(an_answer(usage=Usage(prompt=10, completion=5, cached=900)))

    assert bill.usd is not None and bill.usd >= 0
    assert bill.uncounted == 1
    assert bill.tokens.uncounted == 1
