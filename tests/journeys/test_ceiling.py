"""--max-cost is never crossed, by the teacher's own books, whatever is slow, lost or killed,
started again, online and in batches; and what may be spent is used up."""

import asyncio
import random
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan, Latency
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import Annotate
from tests.journeys.money import with_prices
from tests.journeys.test_row_to_shard import simulator
from tests.warm import Call, WarmProcess, plain_environment

MILLION = Decimal(1_000_000)
QUICK = BatchTimes(validating_s=0.02, running_s=0.05, finalizing_s=0.02, cancelling_s=0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A run that a ceiling is too low for, and what happens to it; all follows from a seed."""

    seed: int
    is_batch: bool
    max_tokens: int
    worst_cases: int
    concurrency: int
    kills: int
    settings: SimulatorSettings

    @property
    def is_calm(self) -> bool:
        """Whether the teacher answers all that it is asked."""
        return not self.settings.faults.rates and not self.settings.batch.plan.left_out

    @property
    def ceiling(self) -> Decimal:
        """So many requests' worst: a prompt of about 1,000 bytes and the longest answer."""
        a_request = (1_000 * 1 + self.max_tokens * 4) / MILLION
        return round(self.worst_cases * a_request * (Decimal("0.5") if self.is_batch else 1), 6)

    def words(self, base_url: str) -> list[str]:
        """The command."""
        return [
            *("run", "demo", "--teacher", "priced", "--base-url", base_url),
            *("--max-cost", str(self.ceiling), "--max-tokens", str(self.max_tokens), "--quiet"),
            *(
                ("--batch-api", "--samples", "700")
                if self.is_batch
                else ("--concurrency", str(self.concurrency))
            ),
        ]


def a_scene(seed: int) -> Scene:
    draw, is_batch = random.Random(seed), seed % 2 == 1
    bad_night = draw.random() < 0.4
    rates = (
        {Fault.TORN: 0.01, Fault.LOST: 0.01, Fault.OVERLOADED: 0.03, Fault.NO_USAGE: 0.01}
        if bad_night
        else {}
    )
    latency = Latency(median_ms=draw.choice([0, 5, 20]), sigma=draw.choice([0, 1.0]), seed=seed)
    plan = BatchPlan(times=QUICK, left_out=draw.choice([0.0, 0.02]))
    return Scene(
        seed=seed,
        is_batch=is_batch,
        max_tokens=60 if is_batch else draw.choice([60, 120, 250]),
        worst_cases=draw.randint(60, 90) if is_batch else draw.randint(40, 60),
        concurrency=draw.choice([2, 8, 64]),
        kills=draw.choice([0, 0, 1, 2]),
        settings=SimulatorSettings(
            latency=latency,
            faults=FaultPlan(rates=rates, seed=seed),
            batch=SimulatedBatchSettings(plan=plan, seed=seed),
        ),
    )


def spent(teacher: Simulator) -> Decimal:
    """What the teacher would bill, online and for batches at half the price."""
    prompt, answer = teacher.log.billed_tokens()
    batch_prompt, batch_answer = teacher.log.batch.billed_tokens()
    online = prompt + 4 * answer
    return (online + Decimal(batch_prompt + 4 * batch_answer) / 2) / MILLION


def written(folder: Path) -> BudgetState:
    """What the store says of the one budget there is."""
    with ResponseStore.open(folder / "runs" / "store", write=False) as store:
        (body,) = SealedEntries(store, "accounts").starting_with(b"budget-")
        return BudgetState.of(body)


async def play(annotate: WarmProcess, scene: Scene, folder: Path) -> tuple[Decimal, BudgetState]:
    """Run until the ceiling ends it, through its kills; what was billed, and what was written."""
    with_prices(folder)
    draw = random.Random(scene.seed)
    async with simulator(folder, scene.settings) as teacher:

        def start() -> Call:
            words = scene.words(teacher.base_url)
            return annotate.start(*words, cwd=folder, env=plain_environment())

        for _ in range(scene.kills):
            call = start()
            waiting = asyncio.ensure_future(asyncio.to_thread(call.wait))
            _, running = await asyncio.wait([waiting], timeout=draw.uniform(0.5, 3.5))
            if running:
                call.kill()
            await waiting
        last = await asyncio.to_thread(start().wait)
        assert last.returncode == 3, last.stderr
        assert "--max-cost" in last.stderr
        return spent(teacher), written(folder)


@pytest.mark.parametrize(
    "seed",
    [
        *(0, 2),
        *(pytest.param(seed, marks=[pytest.mark.slow]) for seed in (1, *range(3, 50))),
    ],
)
@pytest.mark.timeout(300)
async def test_the_ceiling_holds_by_the_teachers_books(
    warm_annotate: WarmProcess, tmp_path: Path, seed: int
) -> None:
    """What the teacher bills stays below what the store's book says is gone, and that below the
    ceiling. Of the ceiling, less what was written off, 95 % is paid for answers: what is left then
    is less than the next request's worst case.

    Written off is what may be billed without an answer: what was in flight at a kill (nobody can
    know whether it was billed, so it has to count), lost connections, answers without usage, and
    lines that a batch left out. Where nothing but kills happens, each costs a tenth of the ceiling
    and what had been granted ahead: a fiftieth, or one request's worst.
    """
    scene = a_scene(seed)
    billed, record = await play(warm_annotate, scene, tmp_path)

    ceiling = scene.ceiling
    assert billed <= record.bound_usd <= ceiling
    assert not record.held
    assert record.paid_usd >= Decimal("0.95") * (ceiling - record.lost_usd)
    if scene.is_calm:
        assert record.lost_usd <= scene.kills * Decimal("0.15") * ceiling


def test_a_ceiling_outlasts_its_run_and_a_higher_one_goes_on(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    words = ("run", "demo", "--teacher", "simulated", "--max-tokens", "100", "--quiet")
    first = annotate(*words, "--max-cost", "0.05")
    again = annotate(*words, "--max-cost", "0.05")
    more = annotate(*words, "--max-cost", "10", "--json")

    assert first.code == again.code == 3
    assert first.err.startswith("annotate: --max-cost 0.05 USD: 0.04")
    assert "; 0 answers were stored by this run" in again.err
    assert more.code == 0
    assert more.json["records"] + more.json["rejected"] == 1200


@pytest.mark.slow
def test_batches_are_small_enough_to_use_a_ceiling_up(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    words = ("--teacher", "simulated", "--max-tokens", "60", "--samples", "60", "--quiet")
    done = annotate("run", "demo", *words, "--batch-api", "--max-cost", "0.004")

    assert done.code == 3
    record = written(tmp_path)
    assert record.lost_usd == 0
    assert not record.held
    assert Decimal("0.0033") < record.paid_usd < Decimal("0.004")  # 15 % is one request's worst
    more = annotate("run", "demo", *words, "--max-cost", "1", "--json")
    assert more.code == 0, more.err
    assert more.json["records"] + more.json["rejected"] == 60


def test_runs_share_a_named_budget(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    words = ("--teacher", "simulated", "--max-cost", "0.03", "--budget", "spring", "--quiet")
    first = annotate("run", "demo", *words, "--template", "label-first", "--max-tokens", "100")
    other = annotate("run", "demo", *words, "--template", "reason-first", "--max-tokens", "100")
    study = annotate("experiment", "demo", *words, "--test-size", "20", "--max-tokens", "100")
    alone = annotate(
        "run", "demo", "--teacher", "simulated", "--samples", "5", "--max-cost", "0.03"
    )

    assert (first.code, other.code, study.code, alone.code) == (3, 3, 3, 0), study.err
    assert "; 0 answers were stored by this run" in other.err


@pytest.mark.slow
def test_an_experiment_stops_before_its_ceiling_and_goes_on(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    words = ("experiment", "demo", "--teacher", "simulated", "--test-size", "60", "--quiet")
    first = annotate(*words, "--max-cost", "0.02", "--max-tokens", "100")
    more = annotate(*words, "--max-cost", "1", "--json")

    assert first.code == 3
    assert more.code == 0, more.err
    assert 0 < more.json["asked"] < 180
    assert more.json["cached"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--teacher", "unpriced", "--max-cost", "1"), "no price is known for unpriced"),
        (("--teacher", "simulated", "--budget", "x"), "--budget x needs --max-cost"),
    ],
)
def test_a_ceiling_that_cannot_be_kept_is_refused(
    annotate: Annotate, words: tuple[str, ...], said: str
) -> None:
    done = annotate("run", "demo", *words, "--base-url", "http://127.0.0.1:9/v1", "--samples", "3")

    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
