"""The openai SDK's own client drives every call of the Files and Batches endpoints."""

from collections import Counter

import openai
import pytest

from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from tests.annotator.simulator.asking import ask, chat_body
from tests.annotator.simulator.batch.harness import (
    NAMES,
    PROMPTS,
    StepClock,
    batch_harness,
    input_lines,
)


async def test_a_batch_answers_what_the_online_teacher_answers():
    async with batch_harness() as harness:
        batch = await harness.create(run="one")
        rows = await harness.output(batch)
        online = [await ask(harness.simulator, chat_body(prompt)) for prompt in PROMPTS]
        log = harness.simulator.log

    assert batch.status == "completed"
    by_name = {row["custom_id"]: row["response"]["body"] for row in rows}
    assert [by_name[name] for name in NAMES] == [reply.json for reply in online]
    assert list(by_name) != NAMES
    assert all(row["error"] is None and row["response"]["status_code"] == 200 for row in rows)
    assert len({row["id"] for row in rows}) == len(NAMES)
    assert set(log.paid().values()) == {2}
    assert log.batch.paid() == dict.fromkeys(NAMES, 1)


async def test_a_finished_batch_has_every_field_of_the_protocol():
    async with batch_harness() as harness:
        batch = await harness.create(run="one", part="7")
        log = harness.simulator.log

    assert batch.completed_at == batch.created_at == batch.in_progress_at == batch.finalizing_at
    assert batch.expires_at == batch.created_at + 86_400
    assert (batch.endpoint, batch.completion_window) == ("/v1/chat/completions", "24h")
    assert (batch.metadata, batch.model) == ({"run": "one", "part": "7"}, "any-model")
    assert (batch.errors, batch.error_file_id) == (None, None)
    assert batch.failed_at is batch.expired_at is batch.cancelling_at is batch.cancelled_at is None
    assert batch.request_counts
    assert batch.request_counts.to_dict() == {"total": 40, "completed": 40, "failed": 0}
    assert batch.usage
    assert batch.usage.total_tokens == sum(log.batch.billed_tokens())
    assert batch.usage.input_tokens == log.batch.billed_tokens()[0]


async def test_lists_are_read_page_by_page():
    async with batch_harness() as harness:
        made = [(await harness.create(number=str(number))).id for number in range(5)]
        batches = [batch async for batch in harness.client.batches.list(limit=2)]
        files = [file async for file in harness.client.files.list(limit=3, order="asc")]
        inputs = [file async for file in harness.client.files.list(purpose="batch")]
        calls = Counter(call.kind for call in harness.simulator.log.batch.calls)

    assert [batch.id for batch in batches] == made[::-1]
    assert [batch.metadata for batch in batches][-1] == {"number": "0"}
    assert [file.purpose for file in files] == ["batch", "batch_output"] * 5
    assert [file.id for file in inputs] == [file.id for file in files[::2]][::-1]
    assert calls[CallKind.BATCHES] == 3
    assert calls[CallKind.FILES] == 4 + 1


async def test_files_are_got_and_deleted():
    async with batch_harness() as harness:
        content = input_lines(PROMPTS)
        file = await harness.client.files.create(
            file=("in.jsonl", content),
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        got = await harness.client.files.retrieve(file.id)
        back = await harness.client.files.content(file.id)
        assert (await harness.client.files.delete(file.id)).deleted
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            await harness.client.files.retrieve(file.id)

    assert got == file
    assert back.content == content
    assert (file.bytes, file.filename, file.status) == (len(content), "in.jsonl", "processed")
    assert file.expires_at == file.created_at + 3600


async def test_a_batch_whose_input_is_deleted_runs_on():
    times = BatchTimes(validating_s=0, running_s=10, finalizing_s=0)
    async with batch_harness(SimulatedBatchSettings(plan=BatchPlan(times=times))) as harness:
        batch = await harness.create()
        await harness.client.files.delete(batch.input_file_id)
        batch = await harness.later(batch, 10)

    assert batch.status == "completed"


async def test_a_batch_is_cancelled():
    times = BatchTimes(validating_s=0, running_s=10, cancelling_s=600)
    async with batch_harness(SimulatedBatchSettings(plan=BatchPlan(times=times))) as harness:
        batch = await harness.later(await harness.create(), 5)
        cancelling = await harness.client.batches.cancel(batch.id)
        again = await harness.client.batches.cancel(batch.id)
        cancelled = await harness.later(batch, 600)
        with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
            await harness.client.batches.cancel(batch.id)

    assert (batch.status, cancelling.status, cancelled.status) == (
        "in_progress",
        "cancelling",
        "cancelled",
    )
    assert again == cancelling
    assert cancelled.cancelled_at == (cancelled.cancelling_at or 0) + 600


class RunningClock(StepClock):
    """A clock that goes on by a second at every look."""

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


@pytest.mark.parametrize("running_s", range(4, 24))
async def test_a_batch_is_cancelled_before_its_end_or_not_at_all(running_s: int):
    times = BatchTimes(validating_s=0, running_s=running_s, finalizing_s=0, cancelling_s=0)
    settings = SimulatedBatchSettings(plan=BatchPlan(times=times))
    async with batch_harness(settings, clock=RunningClock()) as harness:
        batch = await harness.create()
        try:
            batch = await harness.client.batches.cancel(batch.id)
        except openai.BadRequestError:
            batch = await harness.client.batches.retrieve(batch.id)

    ended_at = batch.completed_at or batch.cancelling_at or 0
    assert ended_at - batch.created_at <= running_s
    assert (batch.status == "completed") == (ended_at - batch.created_at == running_s)


async def test_one_model_is_got_by_its_name():
    async with batch_harness() as harness:
        assert (await harness.client.models.retrieve("gpt/any")).id == "gpt/any"
