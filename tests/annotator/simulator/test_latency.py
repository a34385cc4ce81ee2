"""Waiting times: fixed, or spread around their median by hash."""

from statistics import median

import pytest

from stepdistill.annotator.simulator.faults import Latency
from stepdistill.common.errors import ConfigError


def times(latency: Latency) -> list[float]:
    return [latency.seconds(number.to_bytes(16, "big"), 0) for number in range(500)]


def test_without_spread_all_wait_the_same():
    assert set(times(Latency(median_ms=20))) == {0.02}


def test_the_spread_is_around_the_median():
    waits = times(Latency(median_ms=20, sigma=0.5, seed=1))

    assert median(waits) == pytest.approx(0.02, rel=0.1)
    assert min(waits) < 0.01 < 0.04 < max(waits)
    assert waits == times(Latency(median_ms=20, sigma=0.5, seed=1))


@pytest.mark.parametrize(("median_ms", "sigma"), [(-1.0, 0.0), (1.0, -0.1)])
def test_negative_times_are_refused(median_ms: float, sigma: float):
    with pytest.raises(ConfigError, match="at least 0"):
        Latency(median_ms=median_ms, sigma=sigma)
