"""--max-cost is not talked over: a gateway lies about usage, bills what it answers with errors, and
the process is killed; by the gateway's own books, no cent is above the ceiling."""

import asyncio
import json
import random
import shutil
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.server import SimulatorSettings
from tests.journeys.conftest import Annotate
from tests.journeys.lying_gateway import LyingGateway
from tests.journeys.money import with_prices
from tests.journeys.test_ceiling import written
from tests.journeys.test_row_to_shard import simulator
from tests.warm import Call, WarmProcess, plain_environment

MILLION = Decimal(1_000_000)
TIMES = BatchTimes(validating_s=0.02, running_s=0.05, finalizing_s=0.02, cancelling_s=0.02)
# Of answers: whose usage is a lie, that come as an error, whose prompt is refused.
SHARES = ((1, 0, 0), (0.5, 0, 0), (0, 0.4, 0), (0, 0.2, 0), (0, 0, 0.5), (0.2, 0.3, 0.1))
ALL = 100
QUICK = (2, 5, 6, 7, 8, 10, 19)  # online and in batches, with kills and without


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is asked under one ceiling, how the gateway lies, and when the process is killed."""

    seed: int
    commands: tuple[tuple[str, ...], ...]
    kills: tuple[int | None, ...]  # after so many calls of each command; None: it ends
    max_tokens: int
    ceiling: Decimal
    lies: float
    faults: float
    filtered: float
    only: str | None  # of the faults
    second_limit: int | None

    @property
    def lying(self) -> tuple[float, float, float, str | None]:
        """How the gateway lies."""
        return self.lies, self.faults, self.filtered, self.only


def a_scene(seed: int) -> Scene:
    draw = random.Random(seed)
    is_batch = draw.random() < 0.3
    one = ("run", "demo", *(("--batch-api",) if is_batch else ("--concurrency", "8")))
    study = ("experiment", "demo", "--test-size", "20", "--concurrency", "8")
    commands = draw.choice(
        [
            [(*one, "--samples", "60")],
            [(*one, "--samples", str(n)) for n in (20, 30, 40)],
            [(*one, "--samples", "20"), (*one, "--samples", "30", "--template", "label-first")],
            [(*one, "--samples", "20"), study],
        ]
    )
    kills = [None if seed < 6 else draw.choice([None, draw.randint(2, 25)]) for _ in commands]
    killed = commands[-1:] if any(kills) else []  # what a kill left is gone on with
    lies, faults, filtered = draw.choice(SHARES)
    max_tokens = draw.choice([50, 100])
    one_worst = (1_000 + 4 * max_tokens) / MILLION
    ceiling = draw.randint(15, 40) * one_worst
    return Scene(
        seed=seed,
        commands=(*commands, *killed),
        kills=(*kills, *(None for _ in killed)),
        max_tokens=max_tokens,
        ceiling=round(ceiling / 2 if is_batch else ceiling, 6),
        lies=lies,
        faults=faults,
        filtered=0.0 if is_batch else filtered,
        only=draw.choice([None, "500", "502", "504", "408"]),
        second_limit=draw.choice([None, None, 150]),
    )


async def play(
    annotate: WarmProcess, scene: Scene, folder: Path
) -> tuple[Decimal, list[tuple[int, str]]]:
    """The true bill, and how each command ended that was not killed."""
    with_prices(folder)
    if scene.second_limit is not None:
        body = {"body": {"max_completion_tokens": scene.second_limit}}
        models = {"models": {"priced": {"limit_name": "max_tokens", **body}}}
        (folder / "models.yaml").write_text(json.dumps(models))
    settings = SimulatorSettings(
        latency=Latency(median_ms=5, sigma=1.0, seed=scene.seed),
        batch=SimulatedBatchSettings(plan=BatchPlan(times=TIMES), seed=scene.seed),
    )
    ends: list[tuple[int, str]] = []
    async with (
        simulator(folder, settings) as teacher,
        LyingGateway(teacher, scene.seed, *scene.lying) as gateway,
    ):
        for command, kill in zip(scene.commands, scene.kills, strict=True):
            words = [
                *(*command, "--teacher", "priced", "--base-url", gateway.base_url),
                *("--max-cost", str(scene.ceiling), "--max-tokens", str(scene.max_tokens)),
                "--quiet",
            ]
            call = annotate.start(*words, cwd=folder, env=plain_environment())
            code, error = await killed_or_ended(call, gateway, kill)
            if code >= 0:
                ends.append((code, error))
        return gateway.spent, ends


async def killed_or_ended(call: Call, gateway: LyingGateway, after: int | None) -> tuple[int, str]:
    """The exit code and the last words; -9 where it was killed after so many calls."""
    waiting, before = asyncio.ensure_future(asyncio.to_thread(call.wait)), gateway.calls
    while after is not None and not waiting.done():
        if gateway.calls >= before + after:
            call.kill()
            break
        await asyncio.sleep(0.005)
    done = await waiting
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[] if seed in QUICK else [pytest.mark.slow]) for seed in range(ALL)],
)
@pytest.mark.timeout(300)
async def test_no_lie_lifts_a_bill_above_the_ceiling(
    warm_annotate: WarmProcess, tmp_path: Path, seed: int
) -> None:
    scene = a_scene(seed)
    billed, ends = await play(warm_annotate, scene, tmp_path)

    record = written(tmp_path)
    assert Decimal(0) < billed <= record.bound_usd <= scene.ceiling
    assert min(record.paid_usd, record.lost_usd) >= 0
    for code, error in ends:
        assert code in (0, 2, 3), error
        assert "Traceback" not in error


async def test_more_samples_are_no_new_money(annotate: Annotate, tmp_path: Path) -> None:
    """Under one ceiling 20, 30 and 40 rows are asked, until it is used up."""
    with_prices(tmp_path)
    ceiling = Decimal("0.01")
    words = ("run", "demo", "--teacher", "simulated", "--max-tokens", "60", "--quiet")
    codes = [
        annotate(*words, "--samples", str(n), "--max-cost", str(ceiling)).code for n in (20, 30, 40)
    ]
    record = written(tmp_path)

    assert codes[-1] == 3
    assert record.bound_usd <= ceiling
    own = annotate(*words, "--samples", "40", "--max-cost", "0.02", "--budget", "of its own")
    assert own.code == 0, own.err


@pytest.mark.parametrize(
    ("where", "field", "words", "mode"),
    [
        ("models", {"n": 8}, "`n: 8` is paid that often", "--batch-api"),
        ("template", {"n": 8}, "`n: 8` is paid that often", "--quiet"),
        ("models", {"service_tier": "priority"}, "`service_tier: priority`", "--quiet"),
        ("template", {"web_search_options": {}}, "`web_search_options: {}`", "--batch-api"),
    ],
)
async def test_what_multiplies_a_bill_is_refused_before_anything_is_asked(
    annotate: Annotate, tmp_path: Path, where: str, field: dict[str, object], words: str, mode: str
) -> None:
    with_prices(tmp_path)
    command = ["run", "demo", "--teacher", "priced", "--samples", "5", mode]
    if where == "models":
        models = {"models": {"priced": {"body": field}}}
        (tmp_path / "models.yaml").write_text(json.dumps(models))
    else:
        folder = tmp_path / "prompts" / "demo"
        shutil.copytree(shipped_tasks() / "demo", folder)
        template = {"id": "own", "user": "{problem} Which?", "options": field}
        (folder / "templates-own.yaml").write_text(json.dumps({"templates": [template]}))
        command += ["--prompts", "prompts", "--template", "own"]
    async with simulator(tmp_path) as teacher:
        command += ["--base-url", teacher.base_url, "--max-cost", "1"]
        done = await asyncio.to_thread(annotate, *command)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert words in done.err
        assert not teacher.log.entries
