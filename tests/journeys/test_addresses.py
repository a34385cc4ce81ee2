"""Several servers of one model, as a person meets them: each is asked, and nothing anew."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from stepdistill.annotator.simulator.server import SimulatorSettings
from tests.journeys.conftest import Annotate, Done
from tests.journeys.test_row_to_shard import simulator

# Names of this machine that are hosts of their own: none of them is `localhost`.
PRICES = "models: {any: [{valid_from: 2026-01-01, source: made up, input: 1, output: 1}]}"
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


async def run(annotate: Annotate, urls: list[str], *words: str | Path) -> Done:
    named = [word for url in urls for word in ("--base-url", url)]
    asked = ("run", "demo", "--teacher", "any", "--samples", "40", "--split", "train")
    return await asyncio.to_thread(annotate, *asked, *named, *words)


async def test_nothing_is_asked_anew_where_servers_come_go_and_change_places(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                simulator(tmp_path / "book", SimulatorSettings(host=host))
            )
            for host in HOSTS
        ]
        one, two, three = (each.base_url for each in servers)
        alone = await run(annotate, [two], "--json")
        assert (alone.code, alone.json["cached"]) == (0, 0)
        n = alone.json["asked"]
        named = ([one, two], [two, one], [one], [three, one], [three], [two], [two, three, one])
        for number, urls in enumerate(named):
            again = await run(annotate, urls, "--json", "--out", tmp_path / f"again-{number}")
            assert again.code == 0, again.err
            assert (again.json["asked"], again.json["cached"]) == (0, n), urls
        assert sum(each.log.served_count() for each in servers) == n


async def test_each_has_a_line_in_the_summary(annotate: Annotate, tmp_path: Path) -> None:
    nobody = "http://127.0.0.4:9/v1"
    async with AsyncExitStack() as stack:
        urls = [
            (
                await stack.enter_async_context(
                    simulator(tmp_path / "book", SimulatorSettings(host=host))
                )
            ).base_url
            for host in HOSTS[:2]
        ]
        (tmp_path / "run.yaml").write_text(f"base-url: {[*urls, nobody]}\n")
        done = await run(annotate, [], "--config", tmp_path / "run.yaml", "--log", "log.jsonl")
    assert done.code == 0, done.err
    assert "127.0.0.4:9 is left out until it answers: nobody listens" in done.err
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line.strip()}
    assert lines["127.0.0.4:9"][1] == "0"
    hosts = [url.removeprefix("http://").removesuffix("/v1") for url in urls]
    assert sum(int(lines[host][1]) for host in hosts) == 40
    assert max(len(line) for line in done.out.splitlines() if "127.0.0" in line) <= 80
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert "left_out" in [event["event"] for event in events]
    told = {each["address"]: each for each in events[-1]["addresses"]}
    assert told["127.0.0.4:9"]["out_s"] > 0
    assert all(each["asked_s"] > 0 for each in told.values())


def test_servers_that_speak_in_different_ways_are_refused(annotate: Annotate) -> None:
    done = annotate(
        *("run", "demo", "--teacher", "any", "--base-url", "http://127.0.0.2:9/v1"),
        *("--base-url", "https://api.anthropic.com/v1"),
    )
    assert done.code == 2
    assert done.err.count("\n") == 1 and "speaks anthropic" in done.err


async def test_a_provider_of_ones_own_may_have_several(annotate: Annotate, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                simulator(tmp_path / "book", SimulatorSettings(host=host))
            )
            for host in HOSTS[:2]
        ]
        one, two = (each.base_url for each in servers)
        asked = ("run", "demo", "--samples", "40", "--split", "train", "--json", "--teacher")
        for n, urls in enumerate(([one, two], [two, one], two)):
            profile = {"ours": {"base_url": urls, "needs_key": False}}
            (tmp_path / "providers.yaml").write_text(json.dumps({"providers": profile}))
            done = await asyncio.to_thread(annotate, *asked, "ours:any", "--out", f"out-{n}")
            assert done.code == 0, done.err
            assert done.json["asked"] == (0 if n else 40)
        alone = await asyncio.to_thread(annotate, *asked, "any", "--base-url", one)
        assert alone.json["asked"] == 0
    assert all(each.log.served_count() for each in servers)


def test_two_addresses_in_one_are_refused(annotate: Annotate) -> None:
    both = "http://127.0.0.2:9/v1,http://127.0.0.3:9/v1"
    done = annotate("run", "demo", "--teacher", "any", "--base-url", both)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "--base-url once for each" in done.err


def test_one_server_is_checked_at_a_time(annotate: Annotate) -> None:
    named = ("--base-url", "http://127.0.0.2:9/v1", "--base-url", "http://127.0.0.3:9/v1")
    done = annotate("providers", "check", "vllm:any", *named)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "one server is checked at a time" in done.err


def test_an_estimate_counts_with_the_limits_of_each(annotate: Annotate, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    asked = ("estimate", "demo", "--samples", "40", "--teacher", "any", "--json")
    first = ("--requests-per-minute", "10", "--base-url", "http://127.0.0.2:9/v1")
    one = annotate(*asked, *first)
    two = annotate(*asked, *first, "--base-url", "http://127.0.0.3:9/v1")
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert two.json["online_s"] == one.json["online_s"] / 2
