"""The openai SDK's own client drives every call of the Files and Batches endpoints."""

import openai
import orjson
import pytest
from openai.types import Batch

from annotator.simulator.batch_plan import BatchPace, BatchPlan, BatchSettings
from annotator.simulator.server import Simulator, SimulatorSettings
from tests.annotator.simulator.asking import a_teacher, ask, chat_body

PROMPTS = [f"prompt {number}" for number in range(10)]
AT_ONCE = BatchPace(validating_s=0, running_s=0, finalizing_s=0, cancelling_s=0)


def client_of(simulator: Simulator) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=simulator.base_url, api_key="sk-test", max_retries=0, timeout=5
    )


def a_simulator(pace: BatchPace = AT_ONCE) -> Simulator:
    settings = SimulatorSettings(batch=BatchSettings(plan=BatchPlan(pace=pace)))
    return Simulator(a_teacher(PROMPTS), settings)


def lines(prompts: list[str] = PROMPTS) -> bytes:
    rows = [
        {
            "custom_id": f"row-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": chat_body(prompt),
        }
        for number, prompt in enumerate(prompts)
    ]
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


async def a_batch(client: openai.AsyncOpenAI, **metadata: str) -> Batch:
    file = await client.files.create(file=("part.jsonl", lines()), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata=metadata,
    )


async def test_a_batch_answers_what_the_online_teacher_answers():
    async with a_simulator() as simulator, client_of(simulator) as client:
        batch = await client.batches.retrieve((await a_batch(client, run="one")).id)
        assert batch.status == "completed"
        assert batch.output_file_id
        content = await client.files.content(batch.output_file_id)
        rows = [orjson.loads(line) for line in content.text.splitlines()]
        online = [await ask(simulator, chat_body(prompt)) for prompt in PROMPTS]

    by_id = {row["custom_id"]: row["response"]["body"] for row in rows}
    assert [by_id[f"row-{number}"] for number in range(10)] == [heard.json for heard in online]
    assert [row["custom_id"] for row in rows] != sorted(by_id)
    assert batch.metadata == {"run": "one"}
    assert batch.error_file_id is None
    assert batch.request_counts
    assert (batch.request_counts.total, batch.request_counts.completed) == (10, 10)
    assert batch.usage
    assert simulator.log.batch.billed_tokens() == (
        batch.usage.input_tokens,
        batch.usage.output_tokens,
    )
    assert simulator.log.batch.paid() == {f"row-{number}": 1 for number in range(10)}
    assert set(simulator.log.paid().values()) == {2}
    assert simulator.log.batch.orphans() == simulator.log.batch.unused_files() == []


async def test_lists_are_read_page_by_page():
    async with a_simulator() as simulator, client_of(simulator) as client:
        made = [(await a_batch(client, number=str(number))).id for number in range(5)]
        batches = [batch async for batch in client.batches.list(limit=2)]
        files = [file async for file in client.files.list(limit=3, order="asc")]

    assert [batch.id for batch in batches] == made[::-1]
    assert [batch.metadata for batch in batches][-1] == {"number": "0"}
    assert [file.purpose for file in files] == ["batch", "batch_output"] * 5


async def test_files_are_got_and_deleted():
    async with a_simulator() as simulator, client_of(simulator) as client:
        file = await client.files.create(file=("part.jsonl", lines()), purpose="batch")
        got = await client.files.retrieve(file.id)
        content = await client.files.content(file.id)
        assert (await client.files.delete(file.id)).deleted
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            await client.files.retrieve(file.id)

    assert got == file
    assert content.content == lines()
    assert file.bytes == len(lines())


async def test_a_batch_is_cancelled():
    pace = BatchPace(validating_s=0, running_s=1000, cancelling_s=0)
    async with a_simulator(pace) as simulator, client_of(simulator) as client:
        batch = await a_batch(client)
        cancelled = await client.batches.cancel(batch.id)
        with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
            await client.batches.cancel(batch.id)

    assert batch.status == "in_progress"
    assert cancelled.status == "cancelled"
    assert cancelled.cancelling_at
    assert cancelled.cancelled_at
