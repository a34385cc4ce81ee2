"""Reservations under a ceiling: promised before it is sent, settled, and written down."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stepdistill.annotator.errors import BadRequest, CeilingReached, ConnectionLost, ContentRefused
from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.money.ceiling import Ceiling, budget_key
from stepdistill.annotator.money.prices import OwnPrice, OwnPrices, Tariff
from stepdistill.annotator.money.reservations import (
    BudgetReservations,
    reservations_under,
)
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import ConfigError
from tests.annotator.made import a_request, an_answer
from tests.annotator.teacher.asking import a_spec
from tests.annotator.teacher.batch.test_capacity import a_part

MILLION = 1_000_000
PRICE = OwnPrice(valid_from=date(2020, 1, 1), source="made up", input=Decimal(1), output=Decimal(4))
TARIFF = Tariff(model="any-model", host="localhost", own=OwnPrices(models={"any-model": [PRICE]}))
SPEC = a_spec("http://localhost/v1", max_tokens=100)
REQUEST = a_request("one")
# A prompt costs a token for each byte of the body at worst, and 16 for what a chat adds.
WORST = Decimal(len(SPEC.body(REQUEST)) + 16 + 4 * 100) / MILLION


@contextmanager
def opened(store: ResponseStore, ceiling: str, tariff: Tariff = TARIFF) -> Generator[Any]:
    under = Ceiling(usd=Decimal(ceiling), name="spring")
    with reservations_under(under, SPEC, tariff, store) as reservations:
        yield reservations


def written(store: ResponseStore) -> bytes | None:
    return SealedEntries(store, "accounts").get(b"budget-spring")


async def reserved(reservations: BudgetReservations) -> bool:
    """Reserve once there is room for it."""
    return reservations.reserve(REQUEST) or (
        await reservations.make_room(REQUEST) and reservations.reserve(REQUEST)
    )


def test_without_a_ceiling_nobody_reserves_and_nothing_is_written(store: ResponseStore):
    with reservations_under(Ceiling(usd=None, name="spring"), SPEC, TARIFF, store) as reservations:
        assert reservations is None
    assert written(store) is None


def test_a_ceiling_needs_a_price(store: ResponseStore):
    unpriced = Tariff(model="unpriced", host="localhost")
    with pytest.raises(ConfigError, match="no price is known"), opened(store, "1", unpriced):
        pass


async def test_what_is_written_of_a_budget(store: ResponseStore):
    with opened(store, "1") as reservations:
        assert not reservations.reserve(REQUEST), "nothing is granted yet"
        assert await reserved(reservations)
        reservations.answered(REQUEST, an_answer(usage=Usage(prompt=10, completion=5)))
    assert written(store) == (
        b'{"paid_usd":"0.000030","lost_usd":"0","granted_usd":"0.000030","held":{}}'
    )


@pytest.mark.parametrize(
    ("said", "paid"),
    [
        ({}, "0.000030"),
        ({"cost_usd": 0.00001}, "0.000030"),  # less than the list says is not believed
        ({"cost_usd": 0.00004}, "0.00004"),
        ({"tier": "rapid"}, "0.0000750"),  # of a price that nobody knows
    ],
)
async def test_an_answer_costs_what_its_reply_says_of_tier_and_cost(
    store: ResponseStore, said: dict[str, Any], paid: str
):
    with opened(store, "1") as reservations:
        assert await reserved(reservations)
        usage = Usage(prompt=10, completion=5)
        reservations.answered(REQUEST, an_answer(usage=usage, **said))
    assert BudgetState.of(written(store)).paid_usd == Decimal(paid)


async def test_an_error_gives_back_what_cannot_have_been_billed_and_writes_off_what_may(
    store: ResponseStore,
):
    with opened(store, "1") as reservations:
        assert await reserved(reservations)
        reservations.failed(REQUEST, BadRequest("400"))
    assert BudgetState.of(written(store)) == BudgetState()
    with opened(store, "1") as reservations:
        for outcome in ("lost", "uncounted"):
            assert await reserved(reservations)
            if outcome == "lost":
                reservations.failed(REQUEST, ConnectionLost("torn"))
            else:
                reservations.answered(REQUEST, an_answer(usage=Usage()))
    assert f'"lost_usd":"{2 * WORST}"'.encode() in (written(store) or b"")


async def test_a_request_that_the_ceiling_cannot_bear_ends_the_run(store: ResponseStore):
    with opened(store, str(WORST)) as reservations:
        assert await reserved(reservations)
        assert not await reservations.make_room(REQUEST), "what is in flight may come back"
        reservations.failed(REQUEST, ConnectionLost("torn"))
        with pytest.raises(
            CeilingReached, match=r"--max-cost .* written off .* see first why so much is lost"
        ):
            await reservations.make_room(REQUEST)


async def test_nobody_waits_online_for_what_batches_hold(store: ResponseStore):
    """They are another run's, and collected by it."""
    with opened(store, "0.0018") as reservations:
        assert reservations.hold(a_part(3, requests=1, bytes=1000, limit=100))
        with pytest.raises(CeilingReached, match=r"0.0014 USD are promised to batches"):
            await reservations.make_room(REQUEST)


def test_a_part_is_held_on_the_disk_and_settled_once(store: ResponseStore):
    part = a_part(3, requests=2, bytes=1000, limit=100)
    worst = Decimal(1000 + 2 * 16 + 2 * 100 * 4) / MILLION
    with opened(store, "1") as reservations:
        assert reservations.hold(part) and reservations.hold(part)
        assert f'"held":{{"3":"{worst}"}}'.encode() in (written(store) or b"")
        answers = [an_answer(usage=Usage(prompt=10, completion=5), mode="batch")]
        for _ in range(2):
            reservations.settle(part, answers, 0)
        assert b'"paid_usd":"0.000030"' in (written(store) or b"")


def test_what_was_held_for_a_part_that_nobody_waits_for_is_written_off(store: ResponseStore):
    with opened(store, "1") as reservations:
        reservations.hold(a_part(3, requests=1, bytes=1000, limit=100))
    with opened(store, "1"):
        pass
    assert b'"lost_usd":"0.001416"' in (written(store) or b"")
    assert b'"held":{}' in (written(store) or b"")


PROMPT = Decimal(len(SPEC.body(REQUEST)) + 16) / MILLION


@pytest.mark.parametrize(
    ("usage", "paid", "lost"),
    [
        (Usage(prompt=10, completion=5), "0.00003", "0"),
        (Usage(prompt=10, is_whole=False), "0.00001", "0.0004"),  # the longest answer
        (Usage(prompt=10), "0.00001", "0.0004"),
        (Usage(completion=5, is_whole=False), "0.00002", str(PROMPT)),
        (Usage(is_whole=False), "0", str(WORST)),
    ],
)
async def test_what_the_teacher_does_not_count_costs_its_worst(
    store: ResponseStore, usage: Usage, paid: str, lost: str
):
    with opened(store, "1") as reservations:
        assert await reserved(reservations)
        reservations.answered(REQUEST, an_answer(usage=usage))
    state = BudgetState.of(written(store))
    assert (state.paid_usd, state.lost_usd) == (Decimal(paid), Decimal(lost))


async def test_a_prompt_that_a_filter_read_and_refused_is_written_off(store: ResponseStore):
    with opened(store, "1") as reservations:
        assert await reserved(reservations)
        reservations.failed(REQUEST, ContentRefused("400 content_filter"))
    assert BudgetState.of(written(store)).lost_usd == PROMPT


async def test_a_teacher_that_does_not_heed_the_limit_is_promised_as_much_from_then_on(
    store: ResponseStore,
):
    with opened(store, str(10 * WORST)) as reservations:
        assert await reserved(reservations)
        reservations.answered(REQUEST, an_answer(usage=Usage(prompt=10, completion=1_000)))
        assert BudgetState.of(written(store)).paid_usd == 0  # only what is granted is there yet
        with pytest.raises(CeilingReached):  # nine worst cases are more than is left, at this rate
            while await reserved(reservations):
                reservations.answered(REQUEST, an_answer(usage=Usage(prompt=10, completion=100)))
    assert BudgetState.of(written(store)).bound_usd <= 10 * WORST


def test_a_parts_answers_without_a_count_cost_their_worst(store: ResponseStore):
    part = a_part(3, requests=4, bytes=1000, limit=100, beyond=50)
    with opened(store, "1") as reservations:
        reservations.hold(part)
        answers = [
            an_answer(usage=Usage(prompt=10, completion=5), mode="batch"),
            an_answer(usage=Usage(prompt=10), mode="batch"),
        ]
        reservations.settle(part, answers, 1, 1)
    state = BudgetState.of(written(store))
    assert state.paid_usd == Decimal(10 + 4 * 5 + 10) / MILLION
    assert state.lost_usd == Decimal(1000 + 2 * 16 + 2 * 150 * 4) / MILLION


def test_a_budget_takes_over_what_was_spent_of_earlier_ones(store: ResponseStore):
    entries = SealedEntries(store, "accounts")
    ended = BudgetState(paid_usd=Decimal("0.2"), granted_usd=Decimal("0.2"))
    killed = BudgetState(paid_usd=Decimal("0.1"), granted_usd=Decimal("0.3"))
    own = BudgetState(lost_usd=Decimal("0.05"), granted_usd=Decimal("0.05"))
    for name, state in (("plan-1", ended), ("plan-2", killed), ("demo", own)):
        entries.write(budget_key(name), state.body)

    for _ in range(2):
        earlier = ("plan-1", "plan-2", "plan-3", "demo")
        ceiling = Ceiling(usd=Decimal(1), name="demo", earlier=earlier)
        with reservations_under(ceiling, SPEC, TARIFF, store):
            pass
        (body,) = entries.starting_with(b"budget-")
        state = BudgetState.of(body)
        assert (state.paid_usd, state.lost_usd) == (Decimal("0.3"), Decimal("0.25"))
        assert state.granted_usd == state.bound_usd
