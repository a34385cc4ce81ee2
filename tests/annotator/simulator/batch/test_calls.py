"""Calls that go wrong: refused, dropped, done but never heard of, cut, too early, too late."""

import asyncio
from contextlib import suppress

import aiohttp
import openai
import pytest

from stepdistill.annotator.simulator.batch.log import BatchCall, CallKind
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.common.errors import ConfigError
from tests.annotator.simulator.asking import a_teacher
from tests.annotator.simulator.batch.harness import (
    AT_ONCE,
    NAMES,
    PROMPTS,
    BatchHarness,
    batch_harness,
    client_of,
    failing_calls,
    input_lines,
)

CONTENT = input_lines(PROMPTS)
SLOW = BatchPlan(times=BatchTimes(validating_s=0, running_s=100, finalizing_s=0))


async def call(harness: BatchHarness, kind: CallKind, file_id: str, batch_id: str) -> object:
    files, batches = harness.client.files, harness.client.batches
    match kind:
        case CallKind.UPLOAD:
            return await files.create(file=("in.jsonl", CONTENT), purpose="batch")
        case CallKind.FILES:
            return await files.list()
        case CallKind.FILE:
            return await files.retrieve(file_id)
        case CallKind.DELETE:
            return await files.delete(file_id)
        case CallKind.DOWNLOAD:
            return await files.content(file_id)
        case CallKind.CREATE:
            return await harness.create_from(file_id)
        case CallKind.BATCHES:
            return await batches.list()
        case CallKind.BATCH:
            return await batches.retrieve(batch_id)
        case CallKind.CANCEL | CallKind.START:
            return await batches.cancel(batch_id)


FAILURES = {
    Fault.SERVER_ERROR: openai.InternalServerError,
    Fault.BAD_GATEWAY: openai.InternalServerError,
    Fault.OVERLOADED: openai.InternalServerError,
    Fault.RATE_LIMITED: openai.RateLimitError,
    Fault.UNAUTHORIZED: openai.AuthenticationError,
    Fault.DROPPED: openai.APIConnectionError,
    Fault.LOST: openai.APIConnectionError,
}


@pytest.mark.parametrize("kind", [kind for kind in CallKind if kind is not CallKind.START])
@pytest.mark.parametrize(("fault", "error"), FAILURES.items())
async def test_any_call_can_fail_and_is_in_the_log(
    kind: CallKind, fault: Fault, error: type[openai.OpenAIError]
):
    settings = SimulatedBatchSettings(plan=SLOW, calls={kind: FaultPlan(script=(None, fault))})
    async with batch_harness(settings) as harness:
        file_id = await harness.upload()
        batch = await harness.create_from(file_id)
        if kind not in (CallKind.UPLOAD, CallKind.CREATE):
            await call(harness, kind, await harness.upload(), batch.id)
        with pytest.raises(error):
            await call(harness, kind, file_id, batch.id)
        (entry,) = [entry for entry in harness.simulator.log.batch.calls if entry.fault]

    assert (entry.kind, entry.fault, entry.ordinal) == (kind, fault, 1)
    assert (entry.status == 200) == (fault is Fault.LOST)


async def test_a_creation_that_its_client_never_heard_of_is_found_by_its_metadata():
    async with batch_harness(failing_calls(CallKind.CREATE, Fault.LOST)) as harness:
        with pytest.raises(openai.APIConnectionError):
            await harness.create(part="7")
        (found,) = [batch async for batch in harness.client.batches.list()]
        log = harness.simulator.log.batch
        (made,) = log.batches

    assert (found.id, found.metadata) == (made.batch_id, {"part": "7"})
    assert set(log.created().values()) == {1}


async def test_an_upload_that_its_client_never_heard_of_stays_unused():
    async with batch_harness(failing_calls(CallKind.UPLOAD, Fault.LOST)) as harness:
        with pytest.raises(openai.APIConnectionError):
            await harness.upload()
        await harness.create()
        log = harness.simulator.log.batch
        (lost,) = log.unused_files()
        await harness.client.files.delete(lost)
        assert log.unused_files() == []


async def test_an_upload_that_breaks_off_leaves_nothing():
    async with batch_harness() as harness:
        url = harness.simulator.base_url + "/files"
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", never_ending(), filename="in.jsonl")
        timeout = aiohttp.ClientTimeout(total=0.3)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            with suppress(TimeoutError, aiohttp.ClientError):
                await session.post(url, data=form)
        log = harness.simulator.log.batch
        for _ in range(100):
            await asyncio.sleep(0.02)
            if log.calls:
                break
        assert [file async for file in harness.client.files.list()] == []

    assert log.calls[0].status == 0
    assert log.uploads == []


async def never_ending():
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0.01)


async def test_a_file_cannot_be_found_for_a_moment():
    async with batch_harness(
        SimulatedBatchSettings(hidden_s=3, plan=BatchPlan(times=AT_ONCE))
    ) as harness:
        file_id = await harness.upload()
        with pytest.raises(openai.BadRequestError, match="Cannot find file"):
            await harness.create_from(file_id)
        harness.clock.now_s += 3
        assert (await harness.create_from(file_id)).status == "completed"


async def test_a_file_that_cannot_be_found_makes_a_batch_that_fails():
    settings = SimulatedBatchSettings(hidden_s=3, hidden_fails=True, plan=BatchPlan(times=AT_ONCE))
    async with batch_harness(settings) as harness:
        batch = await harness.create()

    assert batch.status == "failed"
    assert batch.errors
    assert batch.errors.data
    assert batch.errors.data[0].code == "file_not_found"


async def test_output_files_are_gone_after_their_time():
    async with batch_harness(
        SimulatedBatchSettings(kept_s=50, plan=BatchPlan(times=AT_ONCE))
    ) as harness:
        batch = await harness.create()
        await harness.later(batch, 49)
        assert len(await harness.output(batch)) == len(NAMES)
        batch = await harness.later(batch, 1)
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            await harness.output(batch)

    assert (batch.status, bool(batch.output_file_id)) == ("completed", True)


async def test_how_long_an_output_is_kept_can_be_asked_for():
    async with batch_harness() as harness:
        batch = await harness.client.batches.create(
            input_file_id=await harness.upload(),
            endpoint="/v1/chat/completions",
            completion_window="24h",
            output_expires_after={"anchor": "created_at", "seconds": 3600},
        )
        file = await harness.client.files.retrieve(batch.output_file_id or "")

    assert file.expires_at == (batch.completed_at or 0) + 3600


@pytest.mark.parametrize("one_project", [False, True])
async def test_another_key_sees_nothing_unless_its_project_is_the_same(one_project: bool):
    settings = SimulatedBatchSettings(plan=BatchPlan(times=AT_ONCE), one_project=one_project)
    async with (
        batch_harness(settings) as harness,
        client_of(harness.simulator, "sk-other") as other,
    ):
        batch = await harness.create()
        assert len([b async for b in other.batches.list()]) == one_project
        assert len([f async for f in other.files.list()]) == 2 * one_project
        if not one_project:
            with pytest.raises(openai.NotFoundError):
                await other.batches.retrieve(batch.id)
            with pytest.raises(openai.NotFoundError):
                await other.files.content(batch.output_file_id or "")
        assert await other.models.list()


async def test_a_client_can_be_cut_off_when_its_call_is_served():
    calls: list[BatchCall] = []
    async with batch_harness() as harness:
        harness.simulator.log.batch.on_call = calls.append
        batch = await harness.create()
        await harness.output(batch)

    assert [entry.kind for entry in calls] == [
        CallKind.UPLOAD,
        CallKind.CREATE,
        CallKind.DOWNLOAD,
    ]
    assert calls[1].target == batch.id
    assert calls[2].to_end


async def test_no_answer_at_all_ends_with_the_client():
    async with batch_harness(failing_calls(CallKind.BATCHES, Fault.NEVER)) as harness:
        with pytest.raises(openai.APITimeoutError):
            await harness.client.with_options(timeout=0.2).batches.list()
        await harness.client.batches.list()


async def test_faults_can_be_drawn():
    calls = {CallKind.BATCHES: FaultPlan(rates={Fault.SERVER_ERROR: 0.5})}
    async with batch_harness(SimulatedBatchSettings(calls=calls)) as harness:
        for _ in range(30):
            with suppress(openai.InternalServerError):
                await harness.client.batches.list()
        statuses = [entry.status for entry in harness.simulator.log.batch.calls]

    assert 3 < statuses.count(500) < 25


def test_faults_that_cannot_befall_a_call():
    with pytest.raises(ConfigError):
        SimulatedBatchSettings(calls={CallKind.BATCH: FaultPlan(rates={Fault.LENGTH: 0.1})})


async def test_on_the_machines_own_clock_a_batch_is_done_within_a_second():
    async with Simulator(a_teacher(PROMPTS)) as simulator, client_of(simulator) as client:
        file = await client.files.create(file=("in.jsonl", CONTENT), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        seen = {batch.status}
        while batch.status != "completed":
            await asyncio.sleep(0.02)
            batch = await client.batches.retrieve(batch.id)
            seen.add(batch.status)

    assert {"validating", "in_progress", "completed"} <= seen


async def test_a_batch_that_nobody_asks_about_is_billed_all_the_same():
    calls = {CallKind.CREATE: FaultPlan(script=(Fault.LOST,))}
    settings = SimulatorSettings(
        batch=SimulatedBatchSettings(plan=BatchPlan(times=AT_ONCE), calls=calls)
    )
    async with Simulator(a_teacher(PROMPTS), settings) as simulator, client_of(simulator) as client:
        file = await client.files.create(file=("in.jsonl", CONTENT), purpose="batch")
        with suppress(openai.APIConnectionError):
            await client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )

    assert simulator.log.batch.paid() == dict.fromkeys(NAMES, 1)
    assert simulator.log.batch.orphans() == [simulator.log.batch.batches[0].batch_id]
