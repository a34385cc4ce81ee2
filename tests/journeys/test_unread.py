"""A teacher whose answers nobody can read: it is noticed early, said, and never taken for done."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.settings.study import OptimizeSettings
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import Annotate, Done

pytestmark = pytest.mark.usefixtures("mood")

ODD = "I would rather speak of the weather."
LONG = "Well, that depends on how one looks at it, and on the day, and on much besides. " * 4
SLOW = SimulatorSettings(latency=Latency(median_ms=20, sigma=0.1))


@dataclass(frozen=True, slots=True)
class Says:
    """A teacher that says the same to all, but for what has a word of its own."""

    text: str
    to: tuple[tuple[str, str], ...] = ()  # a word of the prompt, and what is said to it

    def answer(self, body: Mapping[str, object]) -> str:
        return next((text for word, text in self.to if word in str(body)), self.text)


async def run(
    annotate: Annotate, teacher: Simulator, *more: str, rows: int = 400, workers: int = 4
) -> Done:
    words = ("run", "mood", "--data", "rows.jsonl", "--template", "one", "--teacher", "t")
    to = ("--base-url", teacher.base_url, "--samples", str(rows), "--concurrency", str(workers))
    return await asyncio.to_thread(annotate, *words, *to, *more)


def error_line(done: Done) -> str:
    assert done.code == 2, done.err
    return done.err.strip().splitlines()[-1]


async def test_a_run_that_reads_none_of_its_first_answers_stops(annotate: Annotate) -> None:
    async with Simulator(Says(ODD), SLOW) as teacher:
        line = error_line(await run(annotate, teacher))
        asked = len(teacher.log.entries)
        again = error_line(await run(annotate, teacher))
        assert len(teacher.log.entries) == asked

    assert line.startswith("annotate: none of the first 50 answers can be read: no_verdict: 50;")
    for words in (
        ODD,
        'expected: one of "joyful", "gloomy"',
        "`annotate parse mood --template one`",
        "`annotate prompts check mood`",
        "aliases",
        f"{asked} answers were stored by this run",
    ):
        assert words in line
    assert 50 <= asked <= 75
    assert "none of the first 50" in again
    assert "nothing more was asked" in again


async def test_what_the_store_has_counts_too(annotate: Annotate) -> None:
    """40 answers of one start and 10 of the next are 50."""
    async with Simulator(Says(ODD), SLOW) as teacher:
        assert "no row gave a record" in error_line(await run(annotate, teacher, rows=40))
        line = error_line(await run(annotate, teacher))

    assert "none of the first 50 answers" in line
    assert 50 <= len(teacher.log.entries) <= 75


async def test_one_answer_that_can_be_read_among_the_first_is_enough(annotate: Annotate) -> None:
    teacher = Says(ODD, to=(("text number 30,", "Joyful."),))
    async with Simulator(teacher, SLOW) as simulator:
        done = await run(annotate, simulator, "--json")
        assert done.code == 0, done.err

    assert (done.json["asked"], done.json["records"]) == (400, 1)


async def test_answers_that_are_cut_off_name_the_option_that_helps(annotate: Annotate) -> None:
    teacher = Says(f"{LONG} So it is joyful.")
    async with Simulator(teacher, SLOW) as simulator:
        line = error_line(await run(annotate, simulator, "--max-tokens", "20"))
        # Longer answers are asked of the rows that are left: those cut off before say nothing.
        more = await run(annotate, simulator, "--max-tokens", "400", "--json")
        assert more.code == 0, more.err

    assert "truncated: 50" in line
    assert "cut off at 20 tokens: raise --max-tokens" in line
    assert more.json["records"] >= 300


@pytest.mark.parametrize("more", [[], ["--json"]])
async def test_a_run_without_any_record_does_not_end_well(
    annotate: Annotate, tmp_path: Path, more: list[str]
) -> None:
    async with Simulator(Says(ODD), SLOW) as teacher:
        done = await run(annotate, teacher, *more, rows=12)
        again = await run(annotate, teacher, *more, rows=12)
        offline = await run(annotate, teacher, "--offline", *more, rows=12)
        assert len(teacher.log.entries) == 12
    line = error_line(done)

    assert line.startswith("annotate: no row gave a record: no_verdict: 12;")
    assert ODD in line
    manifest = json.loads((tmp_path / "runs/mood/train/manifest.json").read_text())
    assert manifest["counts"] == {"rows": 12, "records": 0, "rejected": {"no_verdict": 12}}
    assert manifest["answers"] == 12
    if more:
        assert done.json["rejected"] == 12
    for each in (again, offline):
        assert "no row gave a record: no_verdict: 12" in error_line(each)


async def test_an_experiment_shows_what_could_not_be_read_as_that(
    annotate: Annotate, tmp_path: Path
) -> None:
    words = ("experiment", "mood", "--data", "rows.jsonl", "--test-size", "30", "--teacher", "t")
    teacher = Says(ODD, to=(("In one word", "Joyful."),))
    async with Simulator(teacher, SLOW) as simulator:
        to = ("--base-url", simulator.base_url)
        done = await asyncio.to_thread(annotate, *words, *to, "--md", "found.md", "--json")
        shown = await asyncio.to_thread(annotate, *words, *to)
    assert done.code == shown.code == 0, done.err

    best, unread = done.json["ranking"]
    assert (best["template"], best["rank"], best["accuracy"], best["readable"]) == ("odd", 1, 1, 30)
    assert (unread["template"], unread["rank"], unread["accuracy"]) == ("one", None, None)
    assert (unread["readable"], unread["rows"]) == (0, 30)
    (remark,) = done.json["remarks"]
    assert "template one: 0 of 30 answers readable" in remark
    assert "0 of 30 readable" in (tmp_path / "found.md").read_text()
    assert "0 of 30 readable" in shown.out
    assert remark in shown.err


async def test_in_batches_the_first_part_that_is_collected_tells(annotate: Annotate) -> None:
    """Parts of 60 rows, of which the teacher holds one at a time."""
    plan = BatchPlan(times=BatchTimes(running_s=0.1))
    settings = SimulatorSettings(batch=SimulatedBatchSettings(plan=plan))
    async with Simulator(Says(ODD), settings) as teacher:
        parts = ("--max-batch-requests", "60", "--enqueued-tokens", "1500")
        line = error_line(await run(annotate, teacher, "--batch-api", *parts))
        paid = sum(teacher.log.paid().values())

    assert "none of the first 50 answers can be read: no_verdict: 50;" in line
    assert 60 <= paid < 240


async def test_labels_and_reasons_of_two_templates_are_looked_at_by_their_labels(
    annotate: Annotate, tmp_path: Path
) -> None:
    (tmp_path / "apart.yaml").write_text("label: {one: 1.0}\nrationale: {odd: 1.0}\n")
    words = ("run", "mood", "--data", "rows.jsonl", "--mix", "apart.yaml", "--teacher", "t")
    async with Simulator(Says(ODD), SLOW) as teacher:
        to = ("--base-url", teacher.base_url, "--concurrency", "4", "--rationale-rate", "0.5")
        line = error_line(await asyncio.to_thread(annotate, *words, *to))

    assert "none of the first 50 answers can be read" in line
    assert "annotate parse mood --template one" in line
    assert len(teacher.log.entries) < 150


async def test_reasons_can_be_taken_from_what_was_thought(
    annotate: Annotate, tmp_path: Path
) -> None:
    text = "<think>The sun shines on it all day long.</think>Joyful, as it speaks of a fine day."
    shard = tmp_path / "runs/mood/train/shard-00000.jsonl"
    found: list[str] = []
    async with Simulator(Says(text), SLOW) as teacher:
        for source in ("thinking", "answer"):
            done = await run(annotate, teacher, "--rationale-from", source, rows=3)
            assert done.code == 0, done.err
            record = json.loads(shard.read_text().splitlines()[0])
            assert record["label"] == "joyful"
            found.append(str(record["rationale"]))
        assert len(teacher.log.entries) == 3

    assert found[0] == "The sun shines on it all day long."
    assert "sun" not in found[1]


@pytest.mark.slow
async def test_an_experiment_reads_as_a_run_does(annotate: Annotate, tmp_path: Path) -> None:
    """Its templates are judged by the labels and reasons that a run with its options would keep."""
    hint = "<think>The text speaks of the weather, and of the sea.</think>There are joyful words."
    teacher = Says("Joyful.", to=tuple((f"text number {n}5,", hint) for n in range(1, 40)))
    generous = ["--min-confidence", "0.6", "--rationale-from", "thinking"]
    async with Simulator(teacher, SLOW) as simulator:
        to = ("mood", "--data", "rows.jsonl", "--teacher", "t", "--base-url", simulator.base_url)
        for number, more in enumerate(((), generous)):
            ran = await run(annotate, simulator, *more, "--json", "--out", f"runs/{number}")
            tried = await asyncio.to_thread(
                *(annotate, "experiment", *to, "--templates", "one", "--test-size", "400"),
                *(*more, "--json"),
            )
            assert (ran.code, tried.code) == (0, 0), ran.err + tried.err
            score = tried.json["ranking"][0]
            assert ran.json["records"] == score["rows"] * score["parse_rate"] == (361, 400)[number]
            assert score["rationale_rate"] == (0, 39 / 400)[number]
    again = annotate("evaluate", "mood", "--data", "rows.jsonl", "--json")
    rates = [study["ranking"][0]["parse_rate"] for study in again.json["studies"]]
    assert rates == [361 / 400, 1]
    written = yaml.safe_load((tmp_path / "runs/mood/metadata.yaml").read_text())
    assert "min_confidence" not in written["results"][0]["setting"]
    assert written["results"][1]["setting"]["min_confidence"] == 0.6


def test_a_search_reads_as_a_run_with_its_options() -> None:
    search = OptimizeSettings(
        task="demo", teacher="t", min_confidence=0.5, rationale_from="thinking"
    )
    shards = ShardSettings(min_confidence=0.5, rationale_from="thinking")
    assert search.asking().shards == search.optimizing().shards == shards
