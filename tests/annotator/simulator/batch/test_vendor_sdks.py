"""The vendors' own clients drive every call of their batches, and are given what they expect."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.annotator.simulator.asking import KNOWN, a_teacher
from tests.annotator.simulator.batch.harness import AT_ONCE

PROMPTS = [f"prompt {number}" for number in range(5)]
SLOW = BatchTimes(validating_s=0, running_s=3600, cancelling_s=0)


def simulator(protocol: BatchProtocol, times: BatchTimes = AT_ONCE) -> Simulator:
    batch = SimulatedBatchSettings(protocol=protocol, plan=BatchPlan(times=times))
    dialect = "gemini" if protocol == "gemini" else "openai"
    return Simulator(a_teacher(PROMPTS), SimulatorSettings(dialect=dialect, batch=batch))


def root(teacher: Simulator) -> str:
    return teacher.base_url.rpartition("/")[0]


MESSAGES: list[dict[str, Any]] = [
    {
        "custom_id": f"row-{number}",
        "params": {
            "model": "any-model",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": prompt}],
        },
    }
    for number, prompt in enumerate(PROMPTS)
]


async def test_anthropic_makes_finds_and_reads_batches():
    anthropic: Any = pytest.importorskip("anthropic")
    async with simulator("anthropic") as teacher:
        client = anthropic.AsyncAnthropic(api_key="k", base_url=root(teacher), max_retries=0)
        async with client:
            calls = client.messages.batches
            made = [await calls.create(requests=MESSAGES) for _ in range(3)]
            found = [batch.id async for batch in calls.list(limit=2)]
            batch = await calls.retrieve(made[0].id)
            lines = [line async for line in await calls.results(batch.id)]
            with pytest.raises(anthropic.BadRequestError):
                await calls.cancel(batch.id)
            with pytest.raises(anthropic.BadRequestError, match="custom_id"):
                await calls.create(requests=[MESSAGES[0], MESSAGES[0]])
    assert found == [each.id for each in made[::-1]]
    assert (batch.processing_status, batch.request_counts.succeeded) == ("ended", 5)
    assert {line.custom_id for line in lines} == {f"row-{number}" for number in range(5)}
    assert {line.result.type for line in lines} == {"succeeded"}
    assert all(KNOWN.label in line.result.message.content[0].text for line in lines)


async def test_anthropic_cancels_a_batch():
    anthropic: Any = pytest.importorskip("anthropic")
    async with simulator("anthropic", SLOW) as teacher:
        client = anthropic.AsyncAnthropic(api_key="k", base_url=root(teacher), max_retries=0)
        async with client:
            batch = await client.messages.batches.create(requests=MESSAGES)
            assert batch.request_counts.processing == 5
            await client.messages.batches.cancel(batch.id)
            batch = await client.messages.batches.retrieve(batch.id)
            results = await client.messages.batches.results(batch.id)
            assert {line.result.type async for line in results} == {"canceled"}
    assert (batch.processing_status, batch.request_counts.canceled) == ("ended", 5)


# What its client does as it is imported.
@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_gemini_makes_batches_inline_and_of_a_file(tmp_path: Path):
    genai: Any = pytest.importorskip("google.genai")
    asked = [{"contents": [{"role": "user", "parts": [{"text": prompt}]}]} for prompt in PROMPTS]
    path = tmp_path / "in.jsonl"
    path.write_text(
        "".join(f"{json.dumps({'key': str(n), 'request': each})}\n" for n, each in enumerate(asked))
    )
    async with simulator("gemini") as teacher:
        options = {"base_url": root(teacher), "api_version": "v1beta"}
        client = genai.Client(api_key="k", http_options=options).aio
        inline = await client.batches.create(
            model="any-model", src=asked, config={"display_name": "inline"}
        )
        file = await client.files.upload(
            file=path, config={"display_name": "in", "mime_type": "application/jsonl"}
        )
        made = await client.batches.create(
            model="any-model", src=file.name, config={"display_name": "of a file"}
        )
        listed = [batch async for batch in await client.batches.list(config={"page_size": 1})]
        first, second = [await client.batches.get(name=each.name) for each in (inline, made)]
        content = await client.files.download(file=second.dest.file_name)
        await client.files.delete(name=file.name)
        await client.aclose()
    assert [batch.display_name for batch in listed] == ["of a file", "inline"]
    assert first.state.name == second.state.name == "JOB_STATE_SUCCEEDED"
    texts = [each.response.text for each in first.dest.inlined_responses]
    lines = [json.loads(line) for line in content.splitlines()]
    assert {line["key"] for line in lines} == {str(number) for number in range(5)}
    texts += [line["response"]["candidates"][0]["content"]["parts"][0]["text"] for line in lines]
    assert len(texts) == 10 and all(KNOWN.label in text for text in texts)


async def test_mistral_makes_finds_and_cancels_jobs():
    sdk: Any = pytest.importorskip("mistralai.client")
    rows = [
        {"custom_id": str(n), "body": {"messages": [{"role": "user", "content": prompt}]}}
        for n, prompt in enumerate(PROMPTS)
    ]
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    how = {"endpoint": "/v1/chat/completions", "model": "any-model", "metadata": {"run": "one"}}
    sent = {"file_name": "in.jsonl", "content": content}
    async with simulator("mistral") as teacher:
        client = sdk.Mistral(api_key="k", server_url=root(teacher))
        async with client:
            file = await client.files.upload_async(file=sent, purpose="batch")
            jobs = client.batch.jobs
            made = await jobs.create_async(input_files=[file.id], **how)
            job = await jobs.get_async(job_id=made.id)
            listed = await jobs.list_async()
            files = await client.files.list_async(purpose="batch")
            read = await client.files.download_async(file_id=job.output_file)
            lines = [json.loads(line) for line in (await read.aread()).splitlines()]
    assert (job.status, job.succeeded_requests, job.metadata) == ("SUCCESS", 5, {"run": "one"})
    assert [each.id for each in listed.data] == [made.id]
    assert [each.id for each in files.data] == [file.id]
    assert {line["custom_id"] for line in lines} == {str(number) for number in range(5)}

    async with simulator("mistral", SLOW) as teacher:
        client = sdk.Mistral(api_key="k", server_url=root(teacher))
        async with client:
            file = await client.files.upload_async(file=sent, purpose="batch")
            made = await client.batch.jobs.create_async(input_files=[file.id], **how)
            await client.batch.jobs.cancel_async(job_id=made.id)
            job = await client.batch.jobs.get_async(job_id=made.id)
    assert job.status == "CANCELLED"
