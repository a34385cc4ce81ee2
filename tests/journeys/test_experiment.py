"""Experiments over a live teacher whose templates are of known quality: ranked right, paid once."""

import asyncio
import csv
import signal
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
import yaml

from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import ANNOTATE, Annotate

PLANTED = {"plain-sentence": 0.95, "label-first": 0.75, "reason-first": 0.45}
METADATA = Path("runs") / "demo" / "metadata.yaml"


def simulator(tmp_path: Path, settings: SimulatorSettings | None = None) -> Simulator:
    """A teacher whom some templates of the demo task lead astray."""
    plans = [
        plan
        for template in PLANTED
        for plan in make_plans(
            RunSettings(
                task="demo",
                splits=("train",),
                teacher="t",
                prompts=shipped_tasks(),
                store=tmp_path,
                out=tmp_path,
                template=template,
            )
        )
    ]
    return Simulator(rehearse(plans, by_template=PLANTED), settings)


def words(teacher: Simulator, *more: str) -> tuple[str, ...]:
    return ("experiment", "demo", "--teacher", "t", "--base-url", teacher.base_url, *more)


async def test_templates_come_out_in_the_order_of_their_planted_quality(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with simulator(tmp_path) as teacher:
        done = await asyncio.to_thread(annotate, *words(teacher, "--json", "--csv", "r.csv"))
        times = Counter(entry.digest for entry in teacher.log.entries)
    assert done.code == 0, done.err
    ranking = done.json["ranking"]
    assert [place["template"] for place in ranking] == list(PLANTED)
    for place in ranking:
        assert place["accuracy_low"] <= PLANTED[place["template"]] <= place["accuracy_high"]
        assert place["rows"] == 100
    assert ranking[1]["p_holm"] < 0.01
    assert ranking[2]["difference"] < -0.3
    assert len(times) == 300
    assert set(times.values()) == {1}
    rows = list(csv.DictReader(StringIO((tmp_path / "r.csv").read_text())))
    assert [row["template"] for row in rows] == list(PLANTED)


@pytest.mark.slow
async def test_a_larger_test_asks_the_new_rows_alone(annotate: Annotate, tmp_path: Path) -> None:
    async with simulator(tmp_path) as teacher:
        few = await asyncio.to_thread(annotate, *words(teacher, "--test-size", "30", "--json"))
        more = await asyncio.to_thread(annotate, *words(teacher, "--test-size", "50", "--json"))
        times = Counter(entry.digest for entry in teacher.log.entries)
        offline = await asyncio.to_thread(
            annotate, *words(teacher, "--test-size", "50", "--offline", "--json")
        )
    assert (few.json["asked"], few.json["cached"]) == (90, 0)
    assert (more.json["asked"], more.json["cached"]) == (60, 90)
    assert set(times.values()) == {1}
    assert offline.json["ranking"] == more.json["ranking"]


@pytest.mark.slow
async def test_evaluate_computes_all_of_the_metadata_again(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with simulator(tmp_path) as teacher:
        await asyncio.to_thread(annotate, *words(teacher, "--test-size", "20"))
        await asyncio.to_thread(annotate, *words(teacher, "--test-size", "0.05", "--seed", "9"))
        n_asked, address = len(teacher.log.entries), teacher.base_url
        before = (tmp_path / METADATA).read_bytes()
    content = yaml.safe_load(before)
    content["results"][0]["templates"]["label-first"]["correct"] = 0
    (tmp_path / METADATA).write_text(yaml.safe_dump(content, sort_keys=False))
    done = annotate("evaluate", "demo", "--json")
    assert done.code == 0, done.err
    assert len(done.json["studies"]) == 2
    assert (tmp_path / METADATA).read_bytes() == before
    everything = annotate("evaluate", "demo", "--teacher", "t", "--base-url", address, "--json")
    (study,) = everything.json["studies"]
    assert sum(place["rows"] for place in study["ranking"]) == n_asked


async def test_a_race_stops_the_poor_early_and_asks_nothing_twice(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with simulator(tmp_path) as teacher:
        race = words(teacher, "--race", "--json")
        done = await asyncio.to_thread(annotate, *race)
        times = Counter(entry.digest for entry in teacher.log.entries)
        again = await asyncio.to_thread(annotate, *race)
        whole = await asyncio.to_thread(annotate, *words(teacher, "--json"))
        in_the_end = Counter(entry.digest for entry in teacher.log.entries)
    assert done.code == 0, done.err
    (stopped,) = done.json["race"]["stopped"]
    assert stopped != "plain-sentence"
    assert done.json["ranking"][0]["template"] == "plain-sentence"
    assert done.json["race"]["error"] < 0.05
    assert len(times) == done.json["asked"] == round(300 * done.json["race"]["share"]) < 300
    assert set(times.values()) == {1}
    assert (again.json["asked"], again.json["race"]) == (0, done.json["race"])
    assert whole.json["asked"] == 300 - len(times)
    assert set(in_the_end.values()) == {1}


async def test_killed_in_the_middle_the_metadata_is_whole_and_the_rest_goes_on(
    annotate: Annotate, tmp_path: Path
) -> None:
    slow = SimulatorSettings(latency=Latency(median_ms=30))
    async with simulator(tmp_path, slow) as teacher:
        line = [str(ANNOTATE), *words(teacher, "--concurrency", "4", "--quiet")]
        process = await asyncio.create_subprocess_exec(*line, cwd=tmp_path)
        while not (tmp_path / METADATA).exists():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        (result,) = yaml.safe_load((tmp_path / METADATA).read_bytes())["results"]
        scores = result["templates"].values()
        assert 1 <= len(scores) < 3
        assert {score["rows"] for score in scores} == {100}
        again = await asyncio.to_thread(annotate, *words(teacher, "--json"))
        times = Counter(entry.digest for entry in teacher.log.entries)
    assert again.code == 0, again.err
    assert len(times) == 300
    assert sum(n - 1 for n in times.values()) <= 4 * 4  # in flight, or in a commit's short wait
    assert [place["rows"] for place in again.json["ranking"]] == [100] * 3


TASK = """\
task: tiny
fields: {text: text}
label: {kind: classes, classes: {good: {}, bad: {}}}
gold: label
student: {input: "{text}"}
"""
TEMPLATES = """\
templates:
  - {id: fair, user: "Good or bad? {text}"}
  - {id: told, user: "Why is {text} {label}?"}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[str, ...]:
    """The words of an experiment on ten rows, two of them without a gold label."""
    folder = tmp_path / "prompts" / "tiny"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(TASK)
    (folder / "templates.yaml").write_text(TEMPLATES)
    golds = ["good", "bad"] * 4 + ["", ""]
    rows = [f'{{"text": "text {n}", "label": "{gold}"}}\n' for n, gold in enumerate(golds)]
    (tmp_path / "rows.jsonl").write_text("".join(rows))
    return ("experiment", "tiny", "--teacher", "simulated", "--data", "rows.jsonl")


def test_rows_that_nobody_can_judge_are_left_out_and_counted(
    annotate: Annotate, tiny: tuple[str, ...]
) -> None:
    done = annotate(*tiny, "--json")
    assert done.code == 0, done.err
    assert (done.json["rows"], done.json["without_gold"], done.json["asked"]) == (8, 2, 8)
    assert any("only 8 rows" in remark for remark in done.json["remarks"])


def test_a_template_that_prints_the_gold_label_takes_part_only_by_name(
    annotate: Annotate, tiny: tuple[str, ...]
) -> None:
    silently = annotate(*tiny)
    assert silently.code == 0, silently.err
    assert "WARNING: left out: template told prints the gold label" in silently.err
    named = annotate(*tiny, "--templates", "fair,told")
    assert named.code == 2
    assert "--allow-leak told" in named.err
    allowed = annotate(*tiny, "--allow-leak", "told", "--json")
    assert {place["template"] for place in allowed.json["ranking"]} == {"fair", "told"}
    assert any("told prints" in remark for remark in allowed.json["remarks"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--test-size", "0"), "--test-size 0"),
        (("--test-size", "1.5"), "--test-size 1.5"),
        (("--test-size", "few"), "a number of rows"),
        (("--templates", "fair,gone"), "no template gone"),
        (("--reader", "nobody"), "choose from"),
        (("--reader", "original", "--templates", "fair"), "no regexes"),
        (("--csv", "rows.jsonl/x.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_line(
    annotate: Annotate, tiny: tuple[str, ...], more: tuple[str, ...], said: str
) -> None:
    done = annotate(*tiny, "--quiet", *more)
    assert done.code == 2
    assert len([line for line in done.err.splitlines() if "WARNING" not in line]) == 1
    assert said in done.err


def test_evaluate_without_anything_to_evaluate_says_what_to_do(annotate: Annotate) -> None:
    done = annotate("evaluate", "demo")
    assert done.code == 2
    assert "name a --teacher" in done.err


@pytest.mark.slow
def test_both_readers_judge_the_recorded_answers_of_the_original(
    annotate: Annotate, tmp_path: Path, real_data: Path
) -> None:
    annotate("import-original", real_data, "--prompts", "p", "--store", "s")
    recorded = yaml.safe_load((real_data / "prompt-metadata" / "cqa.yaml").read_bytes())
    common = (
        *("evaluate", "cqa", "--data", real_data / "datasets" / "cqa", "--prompts", "p"),
        *("--store", "s", "--teacher", "gpt-3.5-turbo", "--templates", "4,5,8,12", "--json"),
    )
    original = annotate(*common, "--reader", "original")
    assert original.code == 0, original.err
    for place in original.json["studies"][0]["ranking"]:
        then = recorded[int(place["template"])]
        assert place["correct"] == then["performance"]["n_correct"]
        assert place["usd_per_1000_rows"] == pytest.approx(
            1000 * then["costs"]["total_accumulated_costs"] / place["rows"], abs=1e-5
        )
        characters = then["characteristics"]["avg_len_of_explanations"]
        assert place["rationale_characters"] == pytest.approx(characters)
    kept = yaml.safe_load((tmp_path / "runs" / "cqa" / "metadata.yaml").read_bytes())
    imported = yaml.safe_load((tmp_path / "p" / "cqa" / "metadata-original.yaml").read_bytes())
    then_by_template = imported["results"][0]["templates"]
    assert len(then_by_template) == 42
    for name, score in kept["results"][0]["templates"].items():
        then = then_by_template[name]
        assert score.pop("cost_usd") == pytest.approx(then.pop("cost_usd"), abs=2e-6)
        assert score == then
    verdict = annotate(*common, "--reader", "verdict")
    ranked = {each["template"]: each for each in verdict.json["studies"][0]["ranking"]}
    assert all(each["rows"] == 75 for each in ranked.values())
