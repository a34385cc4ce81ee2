"""`annotate run --grow`: rows in rounds, and the same ones after any kill."""

import asyncio
import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.simulator.batch.settings import BatchPlan, SimulatedBatchSettings
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.server import SimulatorSettings
from tests.journeys.conftest import ANNOTATE, MOOD_TASK, MOOD_TEMPLATES, Annotate, digests
from tests.journeys.money import with_prices
from tests.journeys.test_ceiling import QUICK, spent
from tests.journeys.test_kill_and_resume import served, start
from tests.journeys.test_row_to_shard import simulator

EXACT = 5e-6  # USD; manifests keep millionths, and each round adds one
CEILING = ("--grow", "--max-cost", "0.08")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    with_prices(tmp_path)


def words(out: str, *more: str) -> tuple[str, ...]:
    teacher = () if "--base-url" in more else ("--teacher", "simulated")
    return ("run", "demo", *teacher, "--store", f"store-{out}", "--out", out, *more, "--quiet")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--grow",), "--grow has to know when to stop: add --max-cost USD, or --point-worth USD"),
        ((*CEILING, "--shard", "0/2"), "--grow chooses among all rows: leave out --shard"),
        ((*CEILING, "--split", "valid"), "--grow buys rows of split train"),
        ((*CEILING, "--cheapest-by", "9h"), "leave out one"),
        (("--seed", "3"), "--seed goes with --grow"),
        (("--point-worth", "3"), "--point-worth goes with --rationale-rate auto or --grow"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    annotate: Annotate, more: tuple[str, ...], said: str
) -> None:
    done = annotate(*words("out", *more))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err


WORTH = ("--grow", "--max-cost", "1", "--point-worth", "0.002", "--seed", "7")


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_killed_at_random_it_buys_the_same_rows_and_none_twice(
    annotate: Annotate, tmp_path: Path
) -> None:
    moments = random.Random(5)
    settings = SimulatorSettings(latency=Latency(median_ms=15, sigma=0.5))
    async with simulator(tmp_path, settings) as teacher:

        def command(out: str) -> list[str]:
            at = ("--teacher", "priced", "--base-url", teacher.base_url, "--concurrency", "8")
            return [str(ANNOTATE), *words(out, *at, *WORTH)]

        calm = await start(command("calm"), tmp_path)
        assert await calm.wait() == 0
        once = len(teacher.log.entries)
        for _ in range(3):
            child = await start(command("killed"), tmp_path)
            await served(teacher, len(teacher.log.entries) + moments.randint(5, once // 4))
            child.kill()
            assert await child.wait() == -signal.SIGKILL
        last = await start(command("killed"), tmp_path)
        assert await last.wait() == 0
        twice = len(teacher.log.entries) - 2 * once
        again = await start(command("killed"), tmp_path)
        assert await again.wait() == 0
        assert len(teacher.log.entries) == 2 * once + twice, "it was finished, and asked again"
    assert 0 <= twice <= 3 * 2 * 8  # on their way, or in a commit's short wait, at each kill
    assert digests(tmp_path / "calm") == digests(tmp_path / "killed")


def test_it_stops_at_the_ceiling_and_says_what_the_rest_would_bring(annotate: Annotate) -> None:
    done = annotate(*words("out", *CEILING, "--json"))
    assert done.code == 0, done.err
    grown, rounds = done.json["grow"], done.json["grow"]["rounds"]
    assert grown["stopped"] == "max_cost"
    assert 0.07 < rounds[-1]["usd"] <= 0.08
    assert done.json["cost_usd"] == pytest.approx(rounds[-1]["usd"])
    assert [each["round"] for each in rounds] == [*range(1, len(rounds) + 1)]
    assert rounds[-1]["rows"] == done.json["records"] + done.json["rejected"]
    left = grown["not_bought"]
    assert left["rows"] == 1_200 - rounds[-1]["rows"]
    assert left["accuracy_low"] <= left["accuracy"] <= left["accuracy_high"]
    report = annotate("report", "out", "--store", "store-out", "--json")
    assert report.code == 0, report.err
    more = annotate(*words("out", "--grow", "--max-cost", "0.09", "--json"))
    assert more.json["grow"]["rounds"][: len(rounds) - 1] == [
        {**each, **_shares(more.json["grow"]["rounds"][n])} for n, each in enumerate(rounds[:-1])
    ]
    assert more.json["asked"] == more.json["records"] + more.json["rejected"] - rounds[-1]["rows"]


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    "way", ["online", *(pytest.param(each, marks=pytest.mark.slow) for each in ("batch", "ray"))]
)
async def test_its_dollars_are_those_of_the_teachers_books(
    annotate: Annotate, tmp_path: Path, way: str
) -> None:
    """To its end, whoever asks, and however: by the tokens that the teacher counted."""
    if way == "ray":
        pytest.importorskip("ray", reason="Ray is not there: --engine ray is not tried")
    more = {"online": (), "batch": ("--batch-api",), "ray": ("--engine", "ray", "--workers", "2")}
    batches = SimulatedBatchSettings(plan=BatchPlan(times=QUICK))
    async with simulator(tmp_path, SimulatorSettings(batch=batches)) as teacher:
        at = ("--teacher", "priced", "--base-url", teacher.base_url, "--max-tokens", "120")
        most = ("--grow", "--max-cost", "0.03")
        line = words("out", *at, *most, *more[way], "--json")
        done = await asyncio.to_thread(annotate, *line)
        billed = float(spent(teacher))
        again = await asyncio.to_thread(annotate, *line)
        assert float(spent(teacher)) == billed
    assert (done.code, again.code) == (0, 0), done.err
    rounds = done.json["grow"]["rounds"]
    assert done.json["grow"]["stopped"] == "max_cost"
    assert len(rounds) >= 3
    assert done.json["cost_usd"] == pytest.approx(billed, abs=EXACT)
    assert rounds[-1]["usd"] == pytest.approx(billed, abs=EXACT)
    manifest = json.loads((tmp_path / "out" / "train" / "manifest.json").read_bytes())
    assert manifest["cost"]["usd"] == pytest.approx(billed, abs=EXACT)
    assert 0.025 < billed <= 0.03
    assert again.json["grow"]["rounds"] == rounds


def _shares(found: dict[str, Any]) -> dict[str, Any]:
    """Accuracies are by the rows that judge, which are more with every round."""
    return {name: value for name, value in found.items() if name.startswith("accuracy")}


def test_it_stops_where_more_is_not_worth_it_without_gold_labels(
    annotate: Annotate, tmp_path: Path
) -> None:
    task = tmp_path / "prompts" / "mood"
    task.mkdir(parents=True)
    (task / "task.yaml").write_text(MOOD_TASK.replace("gold: label\n", ""))
    (task / "templates.yaml").write_text(MOOD_TEMPLATES)
    rows = [f'{{"text": "{n} {"sun" if n % 3 else "rain"} today"}}' for n in range(400)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    at = ("run", "mood", "--data", "train.jsonl", "--template", "one", "--teacher", "simulated")
    done = annotate(*at, "--grow", "--point-worth", "0.00001", "--json")
    assert done.code == 0, done.err
    grown = done.json["grow"]
    assert grown["stopped"] == "point_worth"
    assert "at --point-worth 1e-05 are worth" in grown["why"]
    assert "as there are no gold labels" in grown["judged"]
    assert len(grown["rounds"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "number", "equation"])
def test_any_kind_of_label(annotate: Annotate, tmp_path: Path, kind: str) -> None:
    task = tmp_path / "prompts" / "odd"
    task.mkdir(parents=True)
    (task / "task.yaml").write_text(
        f"task: odd\nfields: {{text: text}}\nlabel: {{kind: {kind}}}\ngold: label\n"
        'student: {input: "{text}"}\n'
    )
    (task / "templates.yaml").write_text('templates:\n- {id: one, user: "What of {text}?"}\n')
    rows = [f'{{"text": "größe {n} über {n * 7}", "label": "{n * 13}"}}' for n in range(90)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    at = ("run", "odd", "--data", "train.jsonl", "--template", "one", "--teacher", "simulated")
    done = annotate(*at, "--grow", "--max-cost", "5")
    assert done.code == 0, done.err
    assert "No more was bought: there are no more rows." in done.out
    assert "no small student was surely better than the commonest label" in done.out
