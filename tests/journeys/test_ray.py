"""A run by workers of a Ray cluster: one machine's bytes, one limit, one ceiling, whoever dies."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest

from stepdistill.annotator.money.ceiling import budgets_in
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.limits import SimulatedLimits
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.cluster import Cluster, ray_cluster
from tests.journeys.conftest import Annotate, digests, started
from tests.journeys.money import demo_data, with_prices
from tests.journeys.test_ceiling import MILLION, spent
from tests.journeys.test_row_to_shard import simulator
from tests.warm import Call, WarmProcess

pytest.importorskip("ray", reason="Ray is not there: --engine ray is not tried")
RUN = ("run", "demo", "--rows-per-shard", "70", "--quiet", "--split", "train,test")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster() as made:
        yield made


async def call(
    annotate: WarmProcess, cluster: Cluster, folder: Path, *words: str
) -> tuple[Call, "asyncio.Future[str]"]:
    """A run by the cluster's workers, and what comes of it."""
    engine = ("--engine", "ray", "--address", cluster.address)
    running = annotate.start(*words, *engine, cwd=folder, env=cluster.environment)

    def ended() -> str:
        done = running.wait()
        return f"{done.returncode} {done.stderr}"

    return running, asyncio.ensure_future(asyncio.to_thread(ended))


@pytest.mark.timeout(280)
async def test_two_workers_one_killed_write_one_machines_bytes(
    annotate: Annotate, warm_annotate: WarmProcess, cluster: Cluster, tmp_path: Path
) -> None:
    samples = ("--samples", "500")
    slow = SimulatorSettings(latency=Latency(median_ms=60, sigma=0.3))
    async with simulator(tmp_path, slow) as teacher:
        words = (*RUN, *samples, "--teacher", "t", "--base-url", teacher.base_url)
        words = (*words, "--concurrency", "16", "--store", "ray", "--out", "ray-out")
        _, ended = await call(warm_annotate, cluster, tmp_path, *words, "--workers", "2")
        await answered(teacher, 200, ended)
        assert cluster.kill_worker(0)
        assert (await ended).startswith("0 "), await ended
        times = Counter(entry.digest for entry in teacher.log.entries)
        assert teacher.log.peak_in_flight() <= 16
        # Answers on their way, or in a commit's short wait, at the kill.
        assert sum(n - 1 for n in times.values()) <= 16
        # Local after Ray, and shards after both, ask nothing again.
        asked = len(teacher.log.entries)
        for shard in ("", "0/2", "1/2"):
            own = ("--shard", shard) if shard else ()
            more = (*words[:-2], "--out", f"out-{shard[:1]}", *own)
            assert (await asyncio.to_thread(annotate, *more)).code == 0
        assert len(teacher.log.entries) == asked
    async with simulator(tmp_path) as calm:
        one = (*RUN, *samples, "--teacher", "t", "--base-url", calm.base_url)
        assert (
            await asyncio.to_thread(annotate, *one, "--store", "one", "--out", "one-out")
        ).code == 0
    assert digests(tmp_path / "ray-out") == digests(tmp_path / "one-out")
    assert not (tmp_path / "ray" / "workers").exists()


def test_without_ray_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError\n")
    words = ("run", "demo", "--teacher", "simulated", "--samples", "5", "--engine", "ray")
    done = started(tmp_path, *words, PYTHONPATH=str(tmp_path))
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "pip install 'stepdistill-annotator[ray]'" in done.err
    assert started(tmp_path, *words[:-2], PYTHONPATH=str(tmp_path)).code == 0


def test_options_of_an_engine_without_one_are_refused(annotate: Annotate) -> None:
    done = annotate("run", "demo", "--teacher", "simulated", "--workers", "2")
    assert (done.code, "add --engine ray" in done.err) == (2, True)


async def answered(teacher: Simulator, n: int, ended: "asyncio.Future[str]") -> None:
    """Wait until the teacher has answered n requests, or the run has ended."""
    while teacher.log.served_count() < n and not ended.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_four_workers_and_their_run_are_killed_and_nothing_is_paid_twice(
    annotate: Annotate, warm_annotate: WarmProcess, cluster: Cluster, tmp_path: Path
) -> None:
    draw, kills = random.Random(7), 6
    slow = SimulatorSettings(latency=Latency(median_ms=40, sigma=0.5))
    async with simulator(tmp_path, slow) as teacher:
        words = (*RUN, "--teacher", "t", "--base-url", teacher.base_url, "--concurrency", "12")
        for kill in range(kills):
            running, ended = await call(warm_annotate, cluster, tmp_path, *words, "--workers", "4")
            await answered(teacher, teacher.log.served_count() + draw.randint(20, 150), ended)
            if kill % 2:
                running.kill()
            else:
                cluster.kill_worker(draw.randrange(4))
                await answered(teacher, teacher.log.served_count() + 30, ended)
                running.kill()
            await ended
        _, ended = await call(warm_annotate, cluster, tmp_path, *words, "--workers", "4")
        assert (await ended).startswith("0 "), await ended
        times = Counter(entry.digest for entry in teacher.log.entries)
        assert sum(n - 1 for n in times.values()) <= 1.5 * kills * 12
    async with simulator(tmp_path) as calm:
        one = (*RUN, "--teacher", "t", "--base-url", calm.base_url, "--store", "one")
        assert (await asyncio.to_thread(annotate, *one, "--out", "one-out")).code == 0
    assert digests(tmp_path / "runs" / "demo") == digests(tmp_path / "one-out")


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.parametrize("workers", [2, 4])
async def test_one_limit_for_all_is_used_up_and_never_crossed(
    warm_annotate: WarmProcess, cluster: Cluster, tmp_path: Path, workers: int
) -> None:
    demo_data(tmp_path, 800)
    limit = 600  # a minute
    limited = SimulatorSettings(
        limits=SimulatedLimits(requests_per_minute=limit, window_s=60.0),
        latency=Latency(median_ms=20),
    )
    async with simulator(tmp_path, limited) as teacher:
        words = ("run", "demo", "--data", "train.jsonl", "--teacher", "t", "--quiet")
        words = (*words, "--base-url", teacher.base_url, "--requests-per-minute", str(limit))
        _, ended = await call(warm_annotate, cluster, tmp_path, *words, "--workers", str(workers))
        assert (await ended).startswith("0 "), await ended
        assert teacher.log.statuses().keys() == {200}  # never over
        arrivals = sorted(entry.arrival_s for entry in teacher.log.entries)
    # From the first to the last but the tail, in which some workers have nothing left to ask.
    whole = arrivals[: int(len(arrivals) * 0.9)]
    used = (len(whole) - 1) / (whole[-1] - whole[0]) * 60 / limit
    assert used >= 0.95


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 50))]
)
async def test_one_ceiling_holds_for_all_by_the_teachers_books(
    warm_annotate: WarmProcess, cluster: Cluster, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    with_prices(tmp_path)
    ceiling = Decimal(draw.randint(120, 200)) * (1_000 + 60 * 4) / MILLION
    latency = Latency(median_ms=draw.choice([10, 40]), sigma=0.5, seed=seed)
    async with simulator(tmp_path, SimulatorSettings(latency=latency)) as teacher:
        words = ("run", "demo", "--teacher", "priced", "--base-url", teacher.base_url, "--quiet")
        words = (*words, "--max-cost", str(ceiling), "--max-tokens", "60")
        n = draw.choice(["2", "4"])
        for _ in range(draw.choice([0, 1, 2])):
            running, ended = await call(warm_annotate, cluster, tmp_path, *words, "--workers", n)
            await answered(teacher, teacher.log.served_count() + draw.randint(1, 60), ended)
            if draw.random() < 0.5:
                cluster.kill_worker(draw.randrange(4))
                await answered(teacher, teacher.log.served_count() + 20, ended)
            if draw.random() < 0.7:
                running.kill()
            await ended
        _, ended = await call(warm_annotate, cluster, tmp_path, *words, "--workers", n)
        assert "--max-cost" in (said := await ended), said
        assert said.startswith("3 "), said
        billed = spent(teacher)
    with ResponseStore.open(tmp_path / "runs" / "store", write=False) as store:
        (budget,) = budgets_in(store).values()
    assert billed <= budget.bound_usd <= ceiling
    assert not budget.held
    assert budget.paid_usd >= Decimal("0.9") * (ceiling - budget.lost_usd)


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_the_head_dies_and_the_same_command_goes_on(
    annotate: Annotate, warm_annotate: WarmProcess, tmp_path: Path
) -> None:
    slow = SimulatorSettings(latency=Latency(median_ms=60, sigma=0.3))
    with ray_cluster() as own:
        async with simulator(tmp_path, slow) as teacher:
            words = (*RUN, "--teacher", "t", "--base-url", teacher.base_url, "--concurrency", "8")
            running, ended = await call(warm_annotate, own, tmp_path, *words, "--workers", "2")
            await answered(teacher, 150, ended)
            own.kill()
            done, _ = await asyncio.wait([ended], timeout=150)
            running.kill()
            assert done, "the run did not notice"
            assert not (await ended).startswith("0 ")
            own.start()
            _, ended = await call(warm_annotate, own, tmp_path, *words, "--workers", "2")
            assert (await ended).startswith("0 "), await ended
            times = Counter(entry.digest for entry in teacher.log.entries)
            assert sum(n - 1 for n in times.values()) <= 16
        done = await asyncio.to_thread(annotate, *RUN, "--teacher", "simulated", "--out", "one")
        assert done.code == 0


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_an_experiment_and_a_rate_of_reasons_work_under_it(
    warm_annotate: WarmProcess, annotate: Annotate, cluster: Cluster, tmp_path: Path
) -> None:
    engine = ("--engine", "ray", "--address", cluster.address, "--workers", "2")
    (tmp_path / "apart.yaml").write_text(
        "label: {label-first: 1}\nrationale: {reason-first: 1}\nseed: 3\n"
    )
    run = ("run", "demo", "--teacher", "simulated", "--samples", "90", "--mix", "apart.yaml")
    run = (*run, "--rationale-rate", "0.4", "--quiet")
    trial = ("experiment", "demo", "--teacher", "simulated", "--test-size", "60", "--json")
    for words in (run, trial):
        said: list[str] = []
        for name, more in (("ray", engine), ("one", ())):
            out = ("--out", f"out-{name}") if words is run else ()
            done = warm_annotate.start(
                *(*words, *out, "--store", f"store-{name}", *more),
                cwd=tmp_path,
                env=cluster.environment,
            ).wait()
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
        if words is trial:
            assert ranked(said[0]) == ranked(said[1])
    assert digests(tmp_path / "out-ray") == digests(tmp_path / "out-one")


def ranked(said: str) -> list[tuple[str, float]]:
    """The templates of an experiment in their order, and what each reached."""
    ranking = json.loads(said)["ranking"]
    return [(each["template"], each["accuracy"]) for each in ranking]


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_local_ray_and_shards_in_any_order_ask_nothing_again(
    warm_annotate: WarmProcess, annotate: Annotate, cluster: Cluster, tmp_path: Path
) -> None:
    ways = ("ray", "local", "shards")
    async with simulator(tmp_path) as teacher:
        common = ("run", "demo", "--teacher", "t", "--base-url", teacher.base_url, "--quiet")
        for order in permutations(ways):
            base, store = (*common, "--samples", "60"), f"store-{'-'.join(order)}"
            before = teacher.log.served_count()
            for way in order:
                words = (*base, "--store", store, "--out", f"{store}-{way}")
                if way == "ray":
                    _, ended = await call(warm_annotate, cluster, tmp_path, *words)
                    assert (await ended).startswith("0 "), await ended
                for number in range({"local": 1, "shards": 2}.get(way, 0)):
                    shard = ("--shard", f"{number}/2") if way == "shards" else ()
                    assert (await asyncio.to_thread(annotate, *words, *shard)).code == 0
            assert teacher.log.served_count() - before == 60
