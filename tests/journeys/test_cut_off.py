"""Answers that were cut off are asked again once there is more room for them, and only these."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import Annotate, Done, write_mood
from tests.journeys.test_unread import LONG

PRICES = "models: {t: [{valid_from: 2026-01-01, source: made up, input: 1, output: 100}]}"
QUICK = BatchPlan(times=BatchTimes(running_s=0.1))


@dataclass(slots=True)
class LongWinded:
    """Says much about every third row before it comes to its label; counts what it is asked."""

    asked: list[str] = field(default_factory=list[str])

    def answer(self, body: Mapping[str, object]) -> str:
        text = str(body["messages"])
        self.asked.append(text)
        number = int(text.partition("text number ")[2].partition(",")[0])
        return f"{LONG} So it is joyful." if number % 3 == 0 else "It is joyful."


@pytest.fixture(autouse=True)
def mood(tmp_path: Path) -> None:
    """A task of nine rows, three of which are answered at length."""
    write_mood(tmp_path, 9)
    (tmp_path / "prices.yaml").write_text(PRICES)


@pytest.fixture
async def teacher() -> AsyncIterator[Simulator]:
    """A teacher that does batches at once."""
    settings = SimulatorSettings(batch=SimulatedBatchSettings(plan=QUICK))
    async with Simulator(LongWinded(), settings) as teacher:
        yield teacher


async def ask(annotate: Annotate, teacher: Simulator, command: str, *more: str) -> Done:
    words = (command, "mood", "--data", "rows.jsonl", "--teacher", "t")
    done = await asyncio.to_thread(annotate, *words, "--base-url", teacher.base_url, *more)
    assert done.code == 0, done.err
    return done


ONE = ("--template", "one")


@pytest.mark.parametrize("way", [(), ("--batch-api",)])
async def test_more_room_asks_what_was_cut_off_and_nothing_else(
    annotate: Annotate, teacher: Simulator, way: tuple[str, ...], tmp_path: Path
) -> None:
    first = await ask(annotate, teacher, "run", *ONE, *way, "--max-tokens", "20")
    assert "3 answers were cut off at 20 tokens: raise --max-tokens" in first.out
    assert "truncated: 3 rows" in first.out
    manifest = json.loads((tmp_path / "runs/mood/train/manifest.json").read_bytes())
    assert manifest["cut_off"] == {"answers": 3, "limit": 20, "completion": 60, "reasoning": 0}

    same = await ask(annotate, teacher, "run", *ONE, *way, "--max-tokens", "20")
    less = await ask(annotate, teacher, "run", *ONE, *way, "--max-tokens", "8")
    assert "Already complete" in same.out
    assert "Already complete" in less.out
    assert "were cut off at 20 tokens" in same.out

    offline = await ask(annotate, teacher, "run", *ONE, "--max-tokens", "400", "--offline")
    assert "truncated: 3 rows" in offline.out
    more = await ask(annotate, teacher, "run", *ONE, *way, "--max-tokens", "400", "--json")
    assert (more.json["asked"], more.json["cached"], more.json["records"]) == (3, 6, 9)
    assert "cut_off" not in json.loads((tmp_path / "runs/mood/train/manifest.json").read_bytes())

    done = await ask(annotate, teacher, "run", *ONE, *way, "--max-tokens", "4000")
    assert "Already complete" in done.out
    assert "cut off" not in done.out


async def test_what_was_paid_for_a_cut_off_answer_still_counts(
    annotate: Annotate, teacher: Simulator
) -> None:
    prices = ("--prices", "prices.yaml")
    for limit in ("20", "400"):
        await ask(annotate, teacher, "run", *ONE, *prices, "--max-tokens", limit)
    report = await asyncio.to_thread(annotate, "report", "runs/mood", *prices, "--json")
    assert report.code == 0, report.err

    paid = sum(entry.outcome.completion_tokens for entry in teacher.log.entries)
    assert len(teacher.log.entries) == 12
    assert report.json["total"]["completion"] == paid


async def test_an_estimate_counts_what_would_be_asked_again(
    annotate: Annotate, teacher: Simulator
) -> None:
    await ask(annotate, teacher, "run", *ONE, "--max-tokens", "20")
    prices = ("--prices", "prices.yaml", "--json")

    same = await ask(annotate, teacher, "estimate", *ONE, *prices, "--max-tokens", "20")
    more = await ask(annotate, teacher, "estimate", *ONE, *prices, "--max-tokens", "400")
    assert (same.json["to_ask"], more.json["to_ask"]) == (0, 3)


async def test_an_experiment_asks_again_and_judges_by_the_whole_answers(
    annotate: Annotate, teacher: Simulator
) -> None:
    size = ("--test-size", "9", "--json")
    short = await ask(annotate, teacher, "experiment", *size, "--max-tokens", "20")
    more = await ask(annotate, teacher, "experiment", *size, "--max-tokens", "400")

    assert [each["readable"] for each in short.json["ranking"]] == [6, 6]
    assert [each["readable"] for each in more.json["ranking"]] == [9, 9]
    assert more.json["asked"] == 6


async def forget(annotate: Annotate, teacher: Simulator, *more: str) -> Done:
    words = ("store", "forget", "mood", "--data", "rows.jsonl", "--prices", "prices.yaml")
    address = ("--base-url", teacher.base_url)
    return await asyncio.to_thread(annotate, *words, *address, *more)


async def test_what_is_forgotten_is_asked_again_and_nothing_else(
    annotate: Annotate, teacher: Simulator
) -> None:
    await ask(annotate, teacher, "run", *ONE, "--max-tokens", "20")
    chosen = (*ONE, "--reason", "truncated", "--json")
    usage = [entry.outcome for entry in teacher.log.entries]
    long = [each for each in usage if each.completion_tokens == 20]
    paid = sum(each.prompt_tokens + 100 * each.completion_tokens for each in long) / 1e6

    shown = await forget(annotate, teacher, *chosen)
    assert shown.json == {
        "answers": 3,
        "by_reason": {"truncated": 3},
        "again_usd": pytest.approx(paid),
        "in_batches": 0,
        "forgotten": False,
    }
    same = await ask(annotate, teacher, "run", *ONE, "--max-tokens", "20")
    assert "Already complete" in same.out

    done = await forget(annotate, teacher, *chosen, "--yes")
    assert (done.code, done.json["answers"], done.json["forgotten"]) == (0, 3, True)
    again = await ask(annotate, teacher, "run", *ONE, "--max-tokens", "20", "--json")
    assert (again.json["asked"], again.json["cached"]) == (3, 6)

    report = await asyncio.to_thread(
        annotate, "report", "runs/mood", "--prices", "prices.yaml", "--json"
    )
    counted = sum(entry.outcome.completion_tokens for entry in teacher.log.entries)
    assert report.json["total"]["completion"] == counted


async def test_a_reason_that_no_answer_has_is_named_with_those_there_are(
    annotate: Annotate, teacher: Simulator
) -> None:
    await ask(annotate, teacher, "run", *ONE, "--max-tokens", "20")
    done = await forget(annotate, teacher, *ONE, "--reason", "no_verdict", "--yes")

    assert (done.code, done.out) == (2, "")
    assert "there are truncated: 3" in done.err
    assert done.err.count("\n") == 1


async def test_answers_that_an_open_batch_asks_again_are_left_to_it(
    annotate: Annotate, teacher: Simulator
) -> None:
    await ask(annotate, teacher, "run", *ONE, "--max-tokens", "20")
    way = ("--batch-api", "--no-wait", "--max-tokens", "400")
    await ask(annotate, teacher, "run", *ONE, *way)
    done = await forget(annotate, teacher, *ONE, "--reason", "truncated", "--yes", "--json")

    assert (done.code, done.json["answers"], done.json["in_batches"]) == (0, 0, 3)


class Wavering(LongWinded):
    """Has no verdict the second time that it is asked for one."""

    def answer(self, body: Mapping[str, object]) -> str:
        text = str(body["messages"])
        self.asked.append(text)
        return "Let me think." if self.asked.count(text) == 2 else "It is joyful."


async def test_a_vote_is_asked_again_though_its_row_has_a_label(annotate: Annotate) -> None:
    votes = (*ONE, "--votes", "3")
    async with Simulator(Wavering()) as teacher:
        first = await ask(annotate, teacher, "run", *votes, "--json")
        assert first.json["records"] == 9

        done = await forget(annotate, teacher, *votes, "--reason", "no_verdict", "--yes", "--json")
        assert (done.code, done.json["by_reason"]) == (0, {"no_verdict": 9}), done.err
        again = await ask(annotate, teacher, "run", *votes, "--json")
        assert (again.json["asked"], again.json["records"]) == (9, 9)
