"""`annotate run --batch-api` and `annotate batch` as people use them, against a live teacher."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from stepdistill.annotator.settings.teacher import LIMIT_NAMES
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.simulator.wire import invalid
from tests.journeys.conftest import ANNOTATE, Annotate, Done, digests
from tests.journeys.test_row_to_shard import simulator

ROWS = 60
SLOW = BatchPlan(times=BatchTimes(validating_s=0, running_s=3600, cancelling_s=0))


def with_plan(plan: BatchPlan) -> SimulatorSettings:
    return SimulatorSettings(batch=SimulatedBatchSettings(plan=plan))


async def run(annotate: Annotate, teacher: Simulator, *more: str, rows: int = ROWS) -> Done:
    """One `annotate run` of so many rows."""
    return await asyncio.to_thread(
        annotate,
        *("run", "demo", "--teacher", "t", "--base-url", teacher.base_url),
        *("--samples", str(rows), *more),
    )


def test_the_simulated_teacher_has_a_batch_api_too(annotate: Annotate, tmp_path: Path) -> None:
    words = ("run", "demo", "--teacher", "simulated", "--samples", "30")
    batch = annotate(*words, "--batch-api", "--json")
    online = annotate(*words, "--store", "other", "--out", "other-out")
    assert batch.code == online.code == 0, batch.err
    assert (batch.json["asked"], batch.json["waiting"]) == (30, 0)
    assert digests(tmp_path / "runs" / "demo") == digests(tmp_path / "other-out")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakesOnly:
    """A teacher that knows one name of the limit on the answer's length."""

    teacher: AnswerSource
    name: str

    def answer(self, body: Mapping[str, object]) -> str:
        """Raises RefusedRequest."""
        wrong = next((each for each in LIMIT_NAMES if each in body and each != self.name), None)
        if wrong is not None:
            message = f"Unsupported parameter: '{wrong}' is not supported with this model."
            raise invalid(message, param=wrong, code="unsupported_parameter")
        return self.teacher.answer(body)


async def test_a_limit_that_is_refused_in_batches_is_named_otherwise_once_and_for_all(
    annotate: Annotate, tmp_path: Path
) -> None:
    source = TakesOnly(teacher=SimulatedTeacher(), name="max_completion_tokens")
    async with Simulator(source) as teacher:
        done = await run(annotate, teacher, "--batch-api", "--json", rows=20)
        n_batches = len(teacher.log.batch.batches)
        more = await run(annotate, teacher, "--batch-api", "--json", rows=30)
        assert len(teacher.log.batch.batches) == n_batches + 1
        assert Counter(teacher.log.paid().values()) == {1: 30}
    assert done.err.count("refuses max_tokens") == 1, done.err
    assert (done.json["asked"], done.json["waiting"]) == (20, 0)
    assert n_batches == 2
    assert (more.json["asked"], more.json["cached"]) == (10, 20)
    assert "instead" not in more.err


async def test_nobody_is_asked_for_ever_who_takes_neither_name(annotate: Annotate) -> None:
    async with Simulator(TakesOnly(teacher=SimulatedTeacher(), name="none")) as teacher:
        done = await run(annotate, teacher, "--batch-api", rows=20)
        n_batches = len(teacher.log.batch.batches)
    assert done.code == 2
    last_line = done.err.strip().splitlines()[-1]
    assert "takes neither max_tokens nor max_completion_tokens" in last_line
    assert n_batches == 2


async def test_submit_and_leave_then_look_and_collect(annotate: Annotate, tmp_path: Path) -> None:
    plan = BatchPlan(times=BatchTimes(running_s=2))
    async with simulator(tmp_path, with_plan(plan)) as teacher:
        left = await run(
            annotate, teacher, "--batch-api", "--no-wait", "--max-batch-requests", "25"
        )
        assert left.code == 0, left.err
        assert "60 requests are in batches" in left.out
        assert not (tmp_path / "runs" / "demo" / "train" / "manifest.json").exists()

        listed = await asyncio.to_thread(annotate, "batch", "list", "--json")
        assert [part["requests"] for part in listed.json["parts"]] == [25, 25, 10]
        status = await asyncio.to_thread(annotate, "batch", "status")
        assert status.out.count("batch_") == 3, status.err

        again = await run(annotate, teacher, "--batch-api", "--json")
        assert again.code == 0, again.err
        assert (again.json["asked"], again.json["records"]) == (ROWS, ROWS)
        assert Counter(teacher.log.paid().values()) == {1: ROWS}
        assert not teacher.log.batch.orphans()


async def test_from_online_to_batch_and_back_nothing_is_asked_again(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with simulator(tmp_path) as teacher:
        assert (await run(annotate, teacher, rows=20)).code == 0
        batch = await run(annotate, teacher, "--batch-api", "--json", rows=40)
        assert (batch.json["asked"], batch.json["cached"]) == (20, 20)
        online = await run(annotate, teacher, "--json")
        assert (online.json["asked"], online.json["cached"]) == (20, 40)
        assert Counter(teacher.log.paid().values()) == {1: ROWS}
        assert Counter(teacher.log.served().values()) == {1: 40}


async def test_an_online_run_is_refused_while_its_requests_are_in_a_batch_and_told_the_ways_on(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with simulator(tmp_path, with_plan(SLOW)) as teacher:
        await run(annotate, teacher, "--batch-api", "--no-wait")
        refused = await run(annotate, teacher)
        assert refused.code == 2
        assert len(refused.err.strip().splitlines()) == 1
        for way in ("--batch-api to wait", "--fallback-online-after 0s"):
            assert way in refused.err
        assert not teacher.log.entries

        forced = await run(
            annotate, teacher, "--batch-api", "--fallback-online-after", "0s", "--json"
        )
        assert forced.code == 0, forced.err
        assert (forced.json["asked"], forced.json["records"]) == (ROWS, ROWS)
        assert Counter(teacher.log.paid().values()) == {1: ROWS}


async def test_a_cancelled_batch_keeps_what_it_answered(annotate: Annotate, tmp_path: Path) -> None:
    half = BatchPlan(times=BatchTimes(validating_s=0, running_s=0, cancelling_s=0), finished=0.5)
    settings = SimulatorSettings(batch=SimulatedBatchSettings(script=(half,)))
    async with simulator(tmp_path, settings) as teacher:
        await run(annotate, teacher, "--batch-api", "--no-wait")
        cancelled = await asyncio.to_thread(annotate, "batch", "cancel", "1")
        assert cancelled.code == 0, cancelled.err
        assert "30 answered" in cancelled.err
        done = await run(annotate, teacher, "--json")
        assert (done.json["asked"], done.json["cached"]) == (30, 30)
        assert Counter(teacher.log.paid().values()) == {1: ROWS}


async def test_what_was_never_sent_is_taken_back(annotate: Annotate, tmp_path: Path) -> None:
    async with simulator(tmp_path, with_plan(SLOW)) as teacher:
        await run(
            annotate, teacher, *("--batch-api", "--no-wait", "--max-batch-requests", "30"),
            *("--enqueued-tokens", "6000"),
        )  # fmt: skip
        cancelled = await asyncio.to_thread(annotate, "batch", "cancel", "--all", "--json")
        states = [part["state"] for part in cancelled.json["parts"]]
        assert states == ["collected", "released"]
    assert not teacher.log.batch.unused_files()


async def test_ctrl_c_leaves_with_a_line_on_how_to_go_on(tmp_path: Path) -> None:
    async with simulator(tmp_path, with_plan(SLOW)) as teacher:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(str(ANNOTATE), "run", "demo", "--teacher", "t", "--base-url", teacher.base_url),
            *("--samples", str(ROWS), "--batch-api", "--quiet"),
            cwd=tmp_path,
            stdout=pipe,
            stderr=pipe,
        )
        while not teacher.log.batch.batches:  # noqa: ASYNC110  # the simulator tells nobody
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, error = await process.communicate()
    assert process.returncode == 130
    assert error.decode().count("\n") == 1
    assert "1 batch" in error.decode()
    assert "the same command goes on" in error.decode()


async def test_the_log_names_what_happened(annotate: Annotate, tmp_path: Path) -> None:
    async with simulator(tmp_path) as teacher:
        await run(annotate, teacher, "--batch-api", "--log", "log.jsonl")
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    states = [event["state"] for event in events if event["event"] == "batch"]
    assert states == ["prepared", "uploading", "creating", "submitted", "collected"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "demo", "--teacher", "simulated", "--no-wait"), "--batch-api"),
        (
            ("run", "demo", "--teacher", "simulated", "--batch-api", "--no-wait"),
            "annotate simulate",
        ),
        (("run", "demo", "--teacher", "simulated", "--batch-api", "--offline"), "--offline"),
        (
            ("run", "demo", "--teacher", "t", "--batch-api", "--fallback-online-after", "soon"),
            "20h",
        ),
        (("run", "demo", "--teacher", "t", "--batch-api"), "OPENAI_API_KEY"),
        (("batch", "list", "--store", "nowhere"), "no store here"),
        (("batch", "cancel"), "--all"),
    ],
)
def test_bad_input_is_one_line(annotate: Annotate, words: tuple[str, ...], said: str) -> None:
    done = annotate(*words)
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert said in done.err


def test_an_unknown_part_is_named(annotate: Annotate) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "3")
    done = annotate("batch", "cancel", "7")
    assert done.code == 2
    assert "no open part 7" in done.err
    assert annotate("batch", "list").out.strip() == "no batches"
