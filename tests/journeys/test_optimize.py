"""A prompt search over a live teacher with a hidden taste, who also proposes the templates."""

import asyncio
import json
import random
import signal
import statistics
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from shutil import copytree

import pytest

from stepdistill.annotator.prompt.template import load_templates
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.rehearsal import rehearse_search
from stepdistill.annotator.simulator.search_teacher import Taste
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import ANNOTATE, Annotate
from tests.journeys.money import with_prices
from tests.journeys.test_ceiling import spent
from tests.journeys.test_kill_and_resume import served, start

HISTORY = Path("runs") / "demo" / "search" / "history.jsonl"
PROMPTS = shipped_tasks()


def simulator(folder: Path, seed: int, settings: SimulatorSettings | None = None) -> Simulator:
    """A teacher of the demo task who likes some words better than others."""
    config = RunSettings(
        task="demo",
        splits=("train",),
        teacher="priced",
        prompts=PROMPTS,
        store=folder,
        out=folder,
    )
    plan = make_template_plan(config, ())
    return Simulator(rehearse_search([plan], Taste(seed=seed), seed=seed), settings)


def words(teacher: Simulator, *more: str) -> list[str]:
    return [
        *("optimize", "demo", "--teacher", "priced", "--base-url", teacher.base_url),
        *("--write-templates", "never", "--quiet", *more),
    ]


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]


async def killed_and_resumed(
    folder: Path, seed: int, *, kills: int, iterations: int, ceiling: str
) -> None:
    """Kill a search at random moments; what is paid again was in flight, and the ceiling holds."""
    concurrency, draw = 4, random.Random(seed)
    with_prices(folder)
    slow = SimulatorSettings(latency=Latency(median_ms=8, seed=seed))
    async with simulator(folder, seed, slow) as teacher:
        line = [
            *(str(ANNOTATE), *words(teacher, "--seed", str(seed), "--json")),
            *("--concurrency", str(concurrency), "--max-cost", ceiling, "--max-tokens", "60"),
            *("--iterations", str(iterations)),
        ]
        known: list[dict[str, object]] = []
        for kill in range(kills):
            process = await start(line, folder)
            await served(
                teacher, len(teacher.log.entries) + draw.randint(20, 60 * iterations // kills)
            )
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL, f"run {kill} ended before the kill"
            if (folder / HISTORY).exists():
                now = lines(folder)
                assert now[: len(known)] == known
                known = now
        last = await start(line, folder)
        out, error = await last.communicate()
        assert last.returncode in (0, 3), error
        assert lines(folder)[: len(known)] == known
        with ResponseStore.open(folder / "runs" / "store", write=False) as store:
            paid_again = len(teacher.log.entries) - len(store)
        assert 0 <= paid_again <= kills * 4 * concurrency
        assert spent(teacher) <= Decimal(ceiling)
        assert json.loads(out)["winner"]


@pytest.mark.slow
async def test_killed_and_run_again_nothing_is_paid_twice(tmp_path: Path) -> None:
    await killed_and_resumed(tmp_path, seed=4, kills=1, iterations=2, ceiling="1")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(8))
async def test_killed_often_under_a_ceiling_that_ends_it(tmp_path: Path, seed: int) -> None:
    await killed_and_resumed(tmp_path, seed=seed, kills=3, iterations=6, ceiling="0.2")


async def true_gain(folder: Path, seed: int, annotate: Annotate) -> tuple[float, bool]:
    """How much better the winner really is than the best it began with, and whether it was
    confirmed."""
    taste, templates = Taste(seed=seed), load_templates(PROMPTS, "demo")
    async with simulator(folder, seed) as teacher:
        line = words(teacher, "--seed", str(seed), "--iterations", "8", "--json")
        done = await asyncio.to_thread(annotate, *line, "--store", f"s-{seed}", "--out", f"{seed}")
    assert done.code == 0, done.err
    found, at_first = done.json, templates[done.json["start"]]
    gain = taste.accuracy(found["winner"]["text"]) - taste.accuracy(
        f"{at_first.system}\n{at_first.user}"
    )
    confirmed = found["confirmation"] is not None and found["confirmation"]["confirmed"]
    return (gain if found["winner"]["found"] else 0.0), confirmed


async def judged(folder: Path, annotate: Annotate, seeds: Sequence[int]) -> list[float]:
    gains = [await true_gain(folder, seed, annotate) for seed in seeds]
    false_alarms = sum(confirmed and gain <= 0 for gain, confirmed in gains)
    assert false_alarms <= 1 + len(seeds) // 10
    return [gain for gain, _ in gains]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_most_searches_find_a_better_template(annotate: Annotate, tmp_path: Path) -> None:
    gains = await judged(tmp_path, annotate, range(20))
    assert sum(gain > 0 for gain in gains) >= 14
    assert statistics.fmean(gains) > 0.05


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--test-size", "1"), "test-size"),
        (("--write-templates", "perhaps"), '"confirmed", "always", "never"'),
        (
            ("--max-cost", "1", "--optimizer", "x", "--optimizer-base-url", "http://h/v1"),
            "no price",
        ),
        (("--optimizer", "gpt-6"), "OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_is_said_before_anybody_is_asked(
    annotate: Annotate, more: tuple[str, ...], said: str
) -> None:
    done = annotate("optimize", "demo", "--teacher", "simulated", "--quiet", *more)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_winner_is_added_to_the_templates_where_that_is_wanted(
    annotate: Annotate, tmp_path: Path
) -> None:
    copytree(PROMPTS / "demo", tmp_path / "prompts" / "demo")
    path = tmp_path / "prompts" / "demo" / "templates.yaml"
    (path.parent / "meta-prompt.txt").write_text("Improve {tried_templates}!")
    line = ("optimize", "demo", "--teacher", "simulated", "--iterations", "4", "--held-out", "0")
    bad = annotate(*line)
    assert bad.code == 2
    assert "{solved_problems} is missing" in bad.err
    (path.parent / "meta-prompt.txt").write_text("Improve {tried_templates}! {solved_problems}")
    done = annotate(*line, "--write-templates", "always", "--html", "page.html")
    assert done.code == 0, done.err
    assert path.read_text().startswith((PROMPTS / "demo" / "templates.yaml").read_text())
    (added,) = load_templates(tmp_path / "prompts", "demo").keys() - load_templates(PROMPTS, "demo")
    assert f"{added} was added to prompts/demo/templates.yaml" in done.out
    assert added in (tmp_path / "page.html").read_text()
