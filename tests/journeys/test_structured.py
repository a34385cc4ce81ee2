"""Structured answers from a teacher that gives them, that refuses them, and that ignores them."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.answers import UnstructuredTeacher
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.server import Simulator
from tests.journeys.conftest import Annotate

NAMES = ("arrival", "refund", "sport", "weather")
ROWS = 48


@pytest.fixture
def task(annotate: Annotate, tmp_path: Path) -> RunSettings:
    lines = [f"the {n}th of the texts,{NAMES[n % len(NAMES)]}\n" for n in range(ROWS)]
    (tmp_path / "own.csv").write_text("text,topic\n" + "".join(lines), encoding="utf-8")
    shares = ("--valid", "0", "--test", "0")
    made = annotate("new", "own", "own.csv", "--label", "topic", *shares)
    assert made.code == 0, made.err
    return RunSettings(
        task="own",
        splits=("train",),
        data=str(tmp_path / "data/own"),
        prompts=tmp_path / "prompts",
        teacher="t",
        base_url="http://localhost/v1",
    )


async def asked(annotate: Annotate, teacher: AnswerSource, *more: str) -> tuple[str, list[int]]:
    """What the run says, and the statuses that it was answered with."""
    async with Simulator(teacher) as simulator:
        done = await asyncio.to_thread(
            annotate,
            *("run", "own", "--data", "data/own", "--teacher", "t"),
            *("--base-url", simulator.base_url, *more),
        )
        assert done.code == 0, done.err
        return done.err, [entry.outcome.status for entry in simulator.log.entries]


def records(folder: Path) -> list[dict[str, str]]:
    path = folder / "runs/own/train/shard-00000.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_a_teacher_that_takes_the_format_answers_in_json(
    annotate: Annotate, task: RunSettings, tmp_path: Path
) -> None:
    said, statuses = await asked(annotate, rehearse(make_plans(task), accuracy=1.0))

    assert statuses == [200] * ROWS
    assert "response_format" not in said
    assert all(record["label"] == record["gold"] for record in records(tmp_path))


async def test_a_refusal_is_said_once_and_remembered(
    annotate: Annotate, task: RunSettings, tmp_path: Path
) -> None:
    teacher = UnstructuredTeacher(teacher=rehearse(make_plans(task), accuracy=1.0), refuses=True)

    said, statuses = await asked(annotate, teacher, "--samples", "20")
    assert statuses == [400] + [200] * 20
    assert said.count("t at localhost refuses response_format") == 1
    assert [record["label"] for record in records(tmp_path)] == [*NAMES] * 5
    # More rows, and nothing is refused any more; nor is anything asked twice.
    said, statuses = await asked(annotate, teacher)
    assert statuses == [200] * (ROWS - 20)
    assert "refuses" not in said
    assert len(records(tmp_path)) == ROWS
    # What is there is found without the teacher, and a finished run is known.
    again = annotate("run", "own", "--data", "data/own", "--teacher", "t", "--offline",
                     "--base-url", "http://localhost/v1", "--out", "replay")  # fmt: skip
    assert again.code == 0, again.err
    assert (tmp_path / "replay/train/shard-00000.jsonl").read_bytes() == (
        tmp_path / "runs/own/train/shard-00000.jsonl"
    ).read_bytes()
    _, statuses = await asked(annotate, teacher)
    assert statuses == []


async def test_plain_text_is_read_as_text_and_said_once(
    annotate: Annotate, task: RunSettings, tmp_path: Path
) -> None:
    teacher = UnstructuredTeacher(teacher=rehearse(make_plans(task), accuracy=1.0), refuses=False)

    said, statuses = await asked(annotate, teacher)

    assert statuses == [200] * ROWS
    assert said.count("are no JSON") == 1
    assert len(records(tmp_path)) == ROWS


async def test_a_batch_that_is_refused_is_asked_again_without_the_format(
    annotate: Annotate, task: RunSettings, tmp_path: Path
) -> None:
    teacher = UnstructuredTeacher(teacher=rehearse(make_plans(task), accuracy=1.0), refuses=True)

    said, _ = await asked(annotate, teacher, "--batch-api", "--samples", "10")

    assert said.count("refuses response_format") == 1
    assert len(records(tmp_path)) == 10


async def test_an_experiment_goes_on_without_the_format(
    annotate: Annotate, task: RunSettings
) -> None:
    templates = ("structured", "label-first")
    plans = [plan for name in templates for plan in make_plans(replace(task, template=name))]
    teacher = UnstructuredTeacher(teacher=rehearse(plans), refuses=True)
    async with Simulator(teacher) as simulator:
        done = await asyncio.to_thread(
            annotate,
            *("experiment", "own", "--data", "data/own", "--teacher", "t", "--test-size", "12"),
            *("--templates", "structured,label-first"),
            *("--base-url", simulator.base_url),
        )
        statuses = [entry.outcome.status for entry in simulator.log.entries]

    assert done.code == 0, done.err
    assert statuses.count(400) == 1
    assert "structured" in done.out


@dataclass(frozen=True)
class Untelling:
    """A teacher that takes the fields of log-probabilities and tells none, as some gateways do."""

    teacher: AnswerSource

    def answer(self, body: Mapping[str, object]) -> str:
        return self.teacher.answer(body)


async def test_log_probabilities_that_do_not_come_are_missed_once(
    annotate: Annotate, task: RunSettings, tmp_path: Path
) -> None:
    teacher = Untelling(rehearse(make_plans(task), accuracy=1.0))
    said, _ = await asked(annotate, teacher, "--logprobs", "5")
    assert said.count("tell no log-probabilities") == 1 and "--votes 5" in said
    assert all("label_probs" not in record for record in records(tmp_path))
    said, _ = await asked(annotate, teacher.teacher, "--logprobs", "6")
    assert "tell no" not in said
    assert all("label_probs" in record for record in records(tmp_path))
