"""Two minutes against a teacher's own windows: close below the limit, and hardly ever refused."""

import asyncio
from pathlib import Path

import pytest

from annotator.simulator.latency import Latency
from annotator.simulator.limits import RateLimits
from annotator.simulator.server import SimulatorSettings
from tests.journeys.conftest import Annotate
from tests.journeys.test_row_to_shard import simulator

RPM, TPM = 600, 60_000


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_rate_stays_within_three_percent_below_the_limit(
    annotate: Annotate, tmp_path: Path
) -> None:
    settings = SimulatorSettings(
        limits=RateLimits(requests_per_minute=RPM, tokens_per_minute=TPM),
        latency=Latency(median_ms=300, sigma=0.6),
    )
    async with simulator(tmp_path, settings) as teacher:
        done = await asyncio.to_thread(
            annotate,
            *("run", "demo", "--teacher", "t", "--base-url", teacher.base_url, "--samples", "700"),
            *("--max-tokens", "64", "--quiet"),
        )
        assert done.code == 0, done.err
        entries = sorted(teacher.log.entries, key=lambda entry: entry.arrival_s)
    refused = sum(entry.status == 429 for entry in entries)
    assert refused < 0.005 * len(entries)
    minutes = (entries[-1].arrival_s - entries[0].arrival_s) / 60
    tokens = sum(entry.limit_tokens for entry in entries)
    assert max(len(entries) / minutes / RPM, tokens / minutes / TPM) >= 0.97
    assert minutes > 1.9
