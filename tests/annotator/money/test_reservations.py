"""Reservations under a ceiling: promised before it is sent, settled, and written down."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stepdistill.annotator.errors import BadRequest, CeilingReached, ConnectionLost
from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.money.prices import OwnPrice, OwnPrices, Tariff
from stepdistill.annotator.money.reservations import BudgetReservations, reservations_under
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
    with reservations_under(Decimal(ceiling), "spring", SPEC, tariff, store) as reservations:
        yield reservations


def written(store: ResponseStore) -> bytes | None:
    return SealedEntries(store, "accounts").get(b"budget-spring")


async def reserved(reservations: BudgetReservations) -> bool:
    """Reserve once there is room for it."""
    return reservations.reserve(REQUEST) or (
        await reservations.make_room(REQUEST) and reservations.reserve(REQUEST)
    )


def test_without_a_ceiling_nobody_reserves_and_nothing_is_written(store: ResponseStore):
    with reservations_under(None, "spring", SPEC, TARIFF, store) as reservations:
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
        with pytest.raises(CeilingReached, match=r"--max-cost .* may be paid for nothing"):
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
