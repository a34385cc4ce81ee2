"""Faults come at their rates, by hash, and never for ever."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.common.errors import ConfigError


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_no_rates_no_faults():
    assert not any(FaultPlan().fault(0, digest(n), 0) for n in range(100))


def test_each_fault_comes_at_its_rate():
    plan = FaultPlan(rates={Fault.DROPPED: 0.2, Fault.SERVER_ERROR: 0.1}, seed=3)

    met = Counter(plan.fault(0, digest(n), 0) for n in range(4000))

    assert set(met) == {None, Fault.DROPPED, Fault.SERVER_ERROR}
    assert met[Fault.DROPPED] / 4000 == pytest.approx(0.2, abs=0.03)
    assert met[Fault.SERVER_ERROR] / 4000 == pytest.approx(0.1, abs=0.03)


@given(
    seed=st.integers(0, 2**32),
    number=st.integers(0, 2**60),
    in_a_row=st.integers(0, 4),
    rate=st.floats(0, 1),
)
def test_nobody_is_unlucky_for_ever(seed: int, number: int, in_a_row: int, rate: float):
    plan = FaultPlan(rates={Fault.TORN: rate}, seed=seed, max_in_a_row=in_a_row)

    longest = run = 0
    for attempt in range(40):
        run = run + 1 if plan.fault(attempt, digest(number), attempt) else 0
        longest = max(longest, run)

    assert longest <= in_a_row


@given(ordinals=st.lists(st.integers(0, 1000), min_size=2, max_size=2))
def test_the_order_of_arrival_does_not_matter(ordinals: list[int]):
    plan = FaultPlan(rates={Fault.NEVER: 0.5})

    one, other = (plan.fault(ordinal, digest(7), 1) for ordinal in ordinals)

    assert one == other


def test_a_script_is_served_in_order_and_then_calm():
    plan = FaultPlan(rates={Fault.NEVER: 1.0}, script=(Fault.TORN, None, Fault.QUOTA))

    met = [plan.fault(ordinal, digest(0), ordinal) for ordinal in range(5)]

    assert met == [Fault.TORN, None, Fault.QUOTA, None, None]


@pytest.mark.parametrize("rates", [{Fault.TORN: -0.1}, {Fault.TORN: 0.6, Fault.DRIP: 0.6}])
def test_rates_that_are_no_shares_are_refused(rates: dict[Fault, float]):
    with pytest.raises(ConfigError, match="rates"):
        FaultPlan(rates=rates)


def test_a_negative_run_of_faults_is_refused():
    with pytest.raises(ConfigError, match="max_in_a_row"):
        FaultPlan(max_in_a_row=-1)
