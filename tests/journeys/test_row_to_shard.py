"""Row to shard over a live teacher: same bytes at any concurrency, and nothing paid twice."""

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest

from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.common.shards import read_manifest, read_records
from tests.journeys.conftest import Annotate, Reach, digests


def simulator(tmp_path: Path, settings: SimulatorSettings | None = None) -> Simulator:
    """A teacher who knows the demo task's rows."""
    config = RunSettings(
        task="demo",
        splits=("train", "test"),
        teacher="t",
        prompts=shipped_tasks(),
        store=tmp_path,
        out=tmp_path,
    )
    return Simulator(rehearse(make_plans(config)), settings)


def test_a_demo_run_writes_shards_whose_counts_add_up(annotate: Annotate, tmp_path: Path) -> None:
    done = annotate("run", "demo", "--teacher", "simulated", "--samples", "60", "--json")
    assert done.code == 0, done.err
    said = done.json
    assert (said["rows"], said["asked"], said["cached"]) == (60, 60, 0)
    assert said["records"] + said["rejected"] == said["rows"]
    folder = tmp_path / said["out"] / "train"
    lines = (folder / "shard-00000.jsonl").read_bytes().splitlines()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert len(lines) == said["records"] == manifest["shards"][0]["rows"]
    record = json.loads(lines[0])
    assert record["index"] == 0
    assert record["label"] in manifest["label"]["classes"]
    assert record["rationale"]
    assert len(bytes.fromhex(record["keys"]["label"])) == 32


def test_a_finished_run_says_so_and_asks_nothing(annotate: Annotate, tmp_path: Path) -> None:
    words = ("run", "demo", "--teacher", "simulated", "--samples", "20")
    annotate(*words)
    before = digests(tmp_path / "runs" / "demo")
    again = annotate(*words)
    assert again.code == 0
    assert "Already complete" in again.out
    assert "0 requests asked" in again.out
    assert digests(tmp_path / "runs" / "demo") == before


async def test_same_bytes_at_one_and_at_64_in_flight(annotate: Annotate, tmp_path: Path) -> None:
    for level in ("1", "64"):
        async with simulator(tmp_path) as teacher:
            done = await asyncio.to_thread(
                annotate,
                *("run", "demo", "--teacher", "t", "--base-url", teacher.base_url),
                *("--samples", "150", "--split", "train", "--split", "test"),
                *("--store", f"store-{level}", "--out", f"out-{level}", "--concurrency", level),
            )
            assert done.code == 0, done.err
            assert teacher.log.peak_in_flight() <= int(level)
    assert digests(tmp_path / "out-1") == digests(tmp_path / "out-64")


async def test_replay_from_the_store_needs_no_teacher(annotate: Annotate, tmp_path: Path) -> None:
    words = ("run", "demo", "--samples", "40", "--teacher", "t")
    async with simulator(tmp_path) as teacher:
        online = (*words, "--base-url", teacher.base_url, "--out", "online")
        assert (await asyncio.to_thread(annotate, *online)).code == 0
        address = teacher.base_url
    replay = annotate(*words, "--base-url", address, "--offline", "--out", "offline", "--json")
    assert replay.code == 0, replay.err
    assert (replay.json["asked"], replay.json["cached"]) == (0, 40)
    assert digests(tmp_path / "online") == digests(tmp_path / "offline")


async def test_votes_and_a_rate_of_reasons_are_in_the_shards(
    annotate: Annotate, tmp_path: Path
) -> None:
    words = ("run", "demo", "--samples", "60", "--teacher", "t", "--splits", "train,test")
    words = (*words, "--votes", "3", "--rationale-rate", "0.25", "--filter", "contradiction")
    async with simulator(tmp_path) as teacher:
        words = (*words, "--base-url", teacher.base_url)
        done = await asyncio.to_thread(annotate, *words, "--json")
        assert done.code == 0, done.err
        assert done.json["asked"] == teacher.log.served_count() == 3 * 120
    replay = annotate(*words, "--offline", "--out", "again", "--json")
    assert replay.code == 0, replay.err
    for split in ("train", "test"):
        manifest = read_manifest(tmp_path / "runs" / "demo" / split)
        records = list(read_records(tmp_path / "runs" / "demo" / split, manifest))
        explained = sum(record.rationale is not None for record in records)
        assert explained == round(0.25 * len(records))
        assert {record.label_confidence for record in records} == {1.0}
        assert all(record.label_votes == {str(record.label): 3} for record in records)
    assert digests(tmp_path / "runs" / "demo") == digests(tmp_path / "again")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--filter", "nonsense"), "--filter nonsense: choose from"),
        (("--reader", "nonsense"), "--reader nonsense: choose from"),
        (("--reader", "original"), "has no regexes of the original"),
        (
            ("--max-student-tokens", "9", "--student-tokenizer", "no.json"),
            "--student-tokenizer no.json: not readable",
        ),
    ],
)
def test_settings_that_cannot_be_are_one_line(
    annotate: Annotate, words: tuple[str, ...], said: str
) -> None:
    done = annotate("run", "demo", "--teacher", "simulated", "--samples", "3", *words)

    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


PASSING = (
    *(Fault.RATE_LIMITED, Fault.RATE_LIMITED_BARE, Fault.SLOW_DOWN, Fault.SERVER_ERROR),
    *(Fault.BAD_GATEWAY, Fault.OVERLOADED, Fault.DROPPED, Fault.TORN, Fault.NOT_JSON),
)


@pytest.mark.parametrize(
    ("share", "rows"), [(0.03, 100), pytest.param(0.1, 400, marks=pytest.mark.slow)]
)
async def test_faults_change_nothing_in_the_shards_and_nothing_is_paid_twice(
    annotate: Annotate, reach: Reach, tmp_path: Path, share: float, rows: int
) -> None:
    rates: dict[Fault, float] = dict.fromkeys(PASSING, share)
    plan = FaultPlan(rates=rates, seed=7, max_in_a_row=2, retry_after_s=0.2)
    for name, settings in (("calm", None), ("stormy", SimulatorSettings(faults=plan))):
        async with simulator(tmp_path, settings) as teacher:
            done = await asyncio.to_thread(
                annotate,
                *("run", "demo", "--samples", str(rows), "--teacher", "t"),
                *("--base-url", reach(teacher), "--store", f"s-{name}", "--out", name, "--json"),
            )
            assert done.code == 0, done.err
            assert done.json["records"] == rows
            assert set(teacher.log.served().values()) == {1}
    assert digests(tmp_path / "calm") == digests(tmp_path / "stormy")


@pytest.mark.parametrize(("fault", "code"), [(Fault.UNAUTHORIZED, 2), (Fault.QUOTA, 3)])
async def test_key_and_quota_errors_stop_the_run_with_one_line(
    annotate: Annotate, tmp_path: Path, fault: Fault, code: int
) -> None:
    script = SimulatorSettings(faults=FaultPlan(script=(None, None, fault)))
    async with simulator(tmp_path, script) as teacher:
        url = ("--base-url", teacher.base_url, "--concurrency", "1")
        words = ("run", "demo", "--teacher", "t", "--samples", "30", *url)
        done = await asyncio.to_thread(annotate, *words)
        assert done.code == code
        assert len(done.err.strip().splitlines()) == 1
        assert "2 answers were stored" in done.err
        again = await asyncio.to_thread(annotate, *words, "--json")
    assert (again.json["asked"], again.json["cached"]) == (28, 2)


@pytest.mark.timeout(60)
def test_the_files_of_models_and_prices_are_read_once_in_a_run(
    annotate: Annotate, tmp_path: Path
) -> None:
    """From pipes: whoever opened one a second time would wait for ever."""
    files = {
        "models.yaml": "models: {simulated: {body: {top_p: 0.5}}}",
        "prices.yaml": "models: {simulated: [{valid_from: 2026-01-01, source: x, input: 1, "
        "output: 4}]}",
    }
    writers: list[threading.Thread] = []
    for name, content in files.items():
        os.mkfifo(tmp_path / name)
        writers.append(
            threading.Thread(target=(tmp_path / name).write_text, args=(content,), daemon=True)
        )
        writers[-1].start()
    paths = ("--models", "models.yaml", "--prices", "prices.yaml", "--max-cost", "1")
    words = ("--teacher", "simulated", "--samples", "3", "--batch-api", "--json", "--quiet")
    done = annotate("run", "demo", *words, *paths)

    assert done.code == 0, done.err
    assert done.json["cost_usd"] > 0
    for writer in writers:
        writer.join(5)
        assert not writer.is_alive()
