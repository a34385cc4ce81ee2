"""Money goes from workers that have no use for it to those that wait."""

from decimal import Decimal
from pathlib import Path

from stepdistill.annotator.fleet.messages import LeaseUse
from stepdistill.annotator.fleet.shares import Leases
from stepdistill.annotator.money.reservations import reservations_under
from stepdistill.annotator.store.response_store import ResponseStore
from tests.annotator.money.test_reservations import SPEC, TARIFF, Ceiling


def test_who_has_done_all_it_was_given_keeps_nothing_that_another_waits_for(tmp_path: Path):
    with (
        ResponseStore.open(tmp_path / "store", write=True) as store,
        reservations_under(Ceiling(usd=Decimal(1), name="t"), SPEC, TARIFF, store) as reservations,
    ):
        assert reservations is not None
        leases = Leases(reservations)
        # One has spent nearly all there is, in no time, and holds a little more than it has used.
        wants = LeaseUse(wanted_usd=Decimal("0.004"))
        leases.heard("a", wants, 2)
        held = leases.of("a")
        assert held > 0
        assert reservations.lease(Leases.name("others"), reservations.left_usd - Decimal("0.001"))
        done = LeaseUse(paid_usd=held - Decimal("0.003"), ceiling_usd=held)
        leases.heard("b", wants, 2)
        assert leases.of("b") == 0
        leases.heard("a", done, 2)  # it is told to give back, and says that it has
        assert leases.of("a") == done.paid_usd
        leases.heard("a", done._replace(ceiling_usd=leases.of("a")), 2)
        leases.heard("b", wants, 2)
        assert leases.of("b") >= wants.wanted_usd
