"""Two minutes against a teacher's own windows: close below the limit, and hardly ever refused."""

import asyncio
import json
import random
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.limits import SimulatedLimits
from stepdistill.annotator.simulator.log import LogEntry
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import Annotate

RPM, TPM = 600, 60_000
# Rows, and the characters of each: first requests are scarce, then tokens, and so again.
PHASES = ((300, (10, 120)), (60, (400, 3_200)), (300, (10, 120)), (60, (400, 3_200)))


def write_rows(path: Path) -> None:
    """Word problems of very different lengths, in phases."""
    made = random.Random(2026)
    with path.open("w", encoding="utf-8") as file:
        for phase, (n, lengths) in enumerate(PHASES):
            for number in range(n):
                words = f"{phase}-{number} apples " * 400
                problem = words[: made.randint(*lengths)]
                row = {"id": f"{phase}-{number}", "problem": problem, "operation": "addition"}
                file.write(json.dumps(row) + "\n")


def least_s(entries: list[LogEntry]) -> float:
    """How long requests like these take at least, in seconds, at both limits."""
    tokens = sum(entry.outcome.limit_tokens for entry in entries)
    return 60 * max(len(entries) / RPM, tokens / TPM)


class SameAnswer:
    """A teacher that knows no row and can be read: one that cannot be ends a run at once."""

    def answer(self, body: Mapping[str, object]) -> str:
        return "The answer is addition because more of them came to what was there."


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_both_limits_bind_in_turn_and_each_is_used_to_97_percent(
    annotate: Annotate, tmp_path: Path
) -> None:
    settings = SimulatorSettings(
        limits=SimulatedLimits(requests_per_minute=RPM, tokens_per_minute=TPM),
        latency=Latency(median_ms=300, sigma=0.6),
    )
    write_rows(tmp_path / "rows.jsonl")
    async with Simulator(SameAnswer(), settings) as teacher:
        done = await asyncio.to_thread(
            annotate,
            *("run", "demo", "--data", "rows.jsonl", "--template", "plain-sentence"),
            *("--teacher", "t", "--base-url", teacher.base_url, "--max-tokens", "64", "--quiet"),
        )
        assert done.code == 0, done.err
        entries = sorted(teacher.log.entries, key=lambda entry: entry.arrival_s)
    refused = sum(entry.outcome.status == 429 for entry in entries)
    assert refused < 0.005 * len(entries)
    served = [entry for entry in entries if entry.outcome.status == 200]
    bounds = [0]
    for n, _ in PHASES:
        bounds.append(bounds[-1] + n)
    phases = [served[start:end] for start, end in pairwise(bounds)]
    took_s = served[-1].arrival_s - served[0].arrival_s
    assert took_s > 110
    assert sum(least_s(phase) for phase in phases) / took_s >= 0.97
    for phase, scarce in zip(phases, ("requests", "tokens", "requests", "tokens"), strict=True):
        tokens = sum(entry.outcome.limit_tokens for entry in phase)
        assert (tokens / TPM > len(phase) / RPM) == (scarce == "tokens")
        assert least_s(phase) / (phase[-1].arrival_s - phase[0].arrival_s) >= 0.95
