"""The same rows asked in every dialect: the same shards, and books that agree to the token."""

import asyncio
import hashlib
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.simulator.dialects.registry import SpokenName
from stepdistill.annotator.simulator.faults import Fault, FaultPlan, Latency
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import ANNOTATE, Annotate
from tests.journeys.test_kill_and_resume import served, start
from tests.journeys.test_row_to_shard import simulator

# How a teacher is named whom the simulator plays in each.
TEACHERS: dict[SpokenName, str] = {
    "openai": "openai:any",
    "responses": "openai-responses:any",
    "anthropic": "anthropic:any",
    "gemini": "gemini:any",
    "openrouter": "openrouter:any",
}
FAULTS = (Fault.RATE_LIMITED, Fault.OVERLOADED, Fault.DROPPED, Fault.TORN, Fault.SERVER_ERROR)
STORM = FaultPlan(rates=dict.fromkeys(FAULTS, 0.02), seed=3, retry_after_s=0.05)
ROWS = 120


def words(dialect: SpokenName, base_url: str, rows: int, *more: str) -> list[str]:
    return [
        *("run", "demo", "--teacher", TEACHERS[dialect], "--base-url", base_url),
        *("--samples", str(rows), "--store", f"store-{dialect}", "--out", f"out-{dialect}"),
        *("--quiet", *more),
    ]


def records_of(folder: Path) -> list[dict[str, Any]]:
    """The records of a run without their answers' keys, of which the endpoint is a part."""
    lines = [line for path in sorted(folder.rglob("shard-*")) for line in _lines(path)]
    return [{**json.loads(line), "keys": None} for line in lines]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def digest_of(folder: Path) -> str:
    return hashlib.sha256(json.dumps(records_of(folder)).encode()).hexdigest()


def tokens_of(folder: Path) -> tuple[int, int]:
    manifest = json.loads((folder / "train" / "manifest.json").read_bytes())
    return manifest["tokens"]["prompt"], manifest["tokens"]["completion"]


@pytest.mark.parametrize("rows", [ROWS, pytest.param(2_000, marks=pytest.mark.slow)])
async def test_every_dialect_makes_the_same_shards_and_books(
    annotate: Annotate, tmp_path: Path, rows: int
) -> None:
    found = dict[SpokenName, str]()
    for dialect in TEACHERS:
        settings = SimulatorSettings(dialect=dialect, faults=STORM)
        async with simulator(tmp_path, settings) as teacher:
            done = await asyncio.to_thread(annotate, *words(dialect, teacher.base_url, rows))
            assert done.code == 0, done.err
            assert tokens_of(tmp_path / f"out-{dialect}") == served_tokens(teacher)
            again = await asyncio.to_thread(
                annotate, *words(dialect, teacher.base_url, rows, "--json")
            )
            assert again.json["asked"] == 0
            assert max(teacher.log.served().values()) == 1
        found[dialect] = digest_of(tmp_path / f"out-{dialect}")
    assert len(set(found.values())) == 1, found


def served_tokens(teacher: Simulator) -> tuple[int, int]:
    """Of the answers that went out whole."""
    whole = [entry.outcome for entry in teacher.log.entries if entry.served]
    return sum(each.prompt_tokens for each in whole), sum(e.completion_tokens for e in whole)


@pytest.mark.parametrize("dialect", ["responses", "anthropic", "gemini"])
async def test_killed_and_run_again_nothing_is_lost_or_doubled(
    tmp_path: Path, dialect: SpokenName
) -> None:
    in_flight = 8
    slow = SimulatorSettings(dialect=dialect, latency=Latency(median_ms=15, sigma=0.5))
    async with simulator(tmp_path, slow) as teacher:
        command = words(dialect, teacher.base_url, ROWS, "--concurrency", str(in_flight))
        process = await start([str(ANNOTATE), *command], tmp_path)
        await served(teacher, ROWS // 3)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        last = await start([str(ANNOTATE), *command], tmp_path)
        assert await last.wait() == 0
        served_often = teacher.log.served()
        chat = words("openai", f"{teacher.base_url.rpartition('/')[0]}/v1", ROWS)
        whole = await start([str(ANNOTATE), *chat], tmp_path)
        assert await whole.wait() == 0
    assert len(served_often) == ROWS
    assert sum(served_often.values()) - ROWS <= 2 * in_flight
    assert len(records_of(tmp_path / f"out-{dialect}")) == ROWS
    # Whatever was cut off, what comes out is what one run by chat makes of these rows.
    assert digest_of(tmp_path / f"out-{dialect}") == digest_of(tmp_path / "out-openai")
    assert tokens_of(tmp_path / f"out-{dialect}") == tokens_of(tmp_path / "out-openai")


@pytest.mark.parametrize("dialect", ["responses", "anthropic", "gemini", "openrouter"])
async def test_thoughts_are_kept_apart_and_paid(
    annotate: Annotate, tmp_path: Path, dialect: SpokenName
) -> None:
    async with simulator(tmp_path, SimulatorSettings(dialect=dialect)) as teacher:
        command = words(dialect, teacher.base_url, 20, "--effort", "low")
        done = await asyncio.to_thread(annotate, *command)
        assert done.code == 0, done.err
        assert tokens_of(tmp_path / f"out-{dialect}") == served_tokens(teacher)
        plain = await asyncio.to_thread(annotate, *words(dialect, teacher.base_url, 20))
        assert plain.code == 0
        assert len(teacher.log.served()) == 40, "an effort is part of what is asked"
    assert "Let me see." not in json.dumps(records_of(tmp_path / f"out-{dialect}"))


REFUSED: dict[Fault, dict[SpokenName, str]] = {
    Fault.UNAUTHORIZED: {
        "responses": "OPENAI_API_KEY",
        "anthropic": "invalid x-api-key): set ANTHROPIC_API_KEY",
        "gemini": "API key not valid",
        "openrouter": "OPENROUTER_API_KEY",
    },
    Fault.QUOTA: {
        "responses": "the account is used up",
        "anthropic": "the account is used up (400 invalid_request_error: Your credit balance",
        "gemini": "no more is answered today (429 RESOURCE_EXHAUSTED: You exceeded",
        "openrouter": "the account is used up (402",
    },
}


@pytest.mark.parametrize(
    ("fault", "dialect", "says"),
    [(fault, dialect, says) for fault in REFUSED for dialect, says in REFUSED[fault].items()],
)
async def test_what_is_wrong_with_the_run_is_told_at_once_in_any_dialect(
    annotate: Annotate, tmp_path: Path, fault: Fault, dialect: SpokenName, says: str
) -> None:
    settings = SimulatorSettings(dialect=dialect, faults=FaultPlan(rates={fault: 1.0}))
    async with simulator(tmp_path, settings) as teacher:
        done = await asyncio.to_thread(annotate, *words(dialect, teacher.base_url, 60))
        assert done.code in (2, 3) and says in done.err, done.err
        assert len(teacher.log.entries) <= 12
    assert "Traceback" not in done.err


@pytest.mark.parametrize("dialect", ["responses", "anthropic", "gemini", "openrouter"])
async def test_a_flagged_row_is_that_rows_trouble(
    annotate: Annotate, tmp_path: Path, dialect: SpokenName
) -> None:
    flagged = FaultPlan(rates={Fault.CONTENT_POLICY: 0.1}, seed=1)
    settings = SimulatorSettings(dialect=dialect, faults=flagged)
    async with simulator(tmp_path, settings) as teacher:
        done = await asyncio.to_thread(annotate, *words(dialect, teacher.base_url, 60, "--json"))
        refused = teacher.log.faults()[Fault.CONTENT_POLICY]
    assert done.code == 0, done.err
    assert 0 < refused == done.json["rejected"] and done.json["records"] == 60 - refused


async def test_limits_that_anthropic_names_are_kept(annotate: Annotate, tmp_path: Path) -> None:
    settings = SimulatorSettings(dialect="anthropic")
    limits = replace(settings.limits, requests_per_minute=1200)
    async with simulator(tmp_path, replace(settings, limits=limits)) as teacher:
        done = await asyncio.to_thread(annotate, *words("anthropic", teacher.base_url, 60))
        assert done.code == 0, done.err
        assert (
            teacher.log.statuses()[429] <= 20
        )  # hardly any, but on a machine that stands still now and then


async def test_a_cost_that_the_provider_names_is_set_against_the_lists(
    annotate: Annotate, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.yaml"
    async with simulator(tmp_path, SimulatorSettings(dialect="openrouter")) as teacher:
        command = words("openrouter", teacher.base_url, 20)
        unlisted = await asyncio.to_thread(annotate, *command)
        assert "(as the provider says)" in unlisted.out
        for usd, says in ((0.1, False), (0.2, True)):
            entry = f"{{valid_from: 2026-01-01, source: mine, input: {usd}, output: {4 * usd}}}"
            prices.write_text(f"models: {{any: [{entry}]}}")
            out = ("--prices", str(prices), "--out", f"out-{usd}")
            done = await asyncio.to_thread(annotate, *command, *out)
            assert ("The provider says that they cost" in done.out) is says, done.out
            asked = ("report", f"out-{usd}", "--store", "store-openrouter", "--json")
            told = await asyncio.to_thread(annotate, *asked, "--prices", str(prices))
            assert ("The provider says that they cost" in told.err) is says, told.err
            assert told.json["total"]["reported"] == 20
