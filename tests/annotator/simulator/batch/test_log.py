"""The log of the Batch API: what is written down is read back, and says the same."""

from collections import Counter
from pathlib import Path

import openai
import orjson
import pytest

from stepdistill.annotator.simulator.batch.log import BatchLog, CallKind
from stepdistill.annotator.simulator.batch.settings import (
    BatchLimits,
    BatchPlan,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.log import RequestLog
from stepdistill.annotator.simulator.wire import body_digest
from stepdistill.common.errors import ConfigError
from tests.annotator.simulator.asking import ask, chat_body
from tests.annotator.simulator.batch.harness import (
    AT_ONCE,
    NAMES,
    PROMPTS,
    batch_harness,
    input_lines,
)

SETTINGS = SimulatedBatchSettings(
    plan=BatchPlan(times=AT_ONCE),
    calls={CallKind.DOWNLOAD: FaultPlan(script=(None, Fault.SERVER_ERROR))},
)


async def test_the_log_in_a_file_says_what_the_one_in_memory_says(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    async with batch_harness(SETTINGS, log_file=path) as harness:
        await ask(harness.simulator, chat_body("prompt 0"))
        await harness.output(await harness.create(part="1"))
        with pytest.raises(openai.InternalServerError):
            await harness.output(await harness.create(input_lines(PROMPTS[:3])))
        await harness.upload()
        log = harness.simulator.log
    read = RequestLog.read(path)

    check(log.batch)
    check(read.batch)
    assert read.batch.calls == log.batch.calls
    assert read.batch.batches == log.batch.batches
    assert read.batch.uploads == log.batch.uploads
    assert read.batch.ended == log.batch.ended
    assert list(read.batch.paid_rows()) == list(log.batch.paid_rows())
    assert read.entries == log.entries
    assert read.paid() == log.paid()
    assert b"sk-test" not in path.read_bytes()
    events = {orjson.loads(line).get("event") for line in path.read_bytes().splitlines()}
    assert events == {None, "call", "uploaded", "created", "paidrow", "ended"}


def check(log: BatchLog) -> None:
    assert log.paid() == {name: 2 if number < 3 else 1 for number, name in enumerate(NAMES)}
    assert [len(batch.metadata) for batch in log.batches] == [1, 0]
    assert log.orphans() == [log.batches[1].batch_id]
    assert log.unused_files() == [log.uploads[2].file_id]
    assert [end.status for end in log.ended] == ["completed", "completed"]
    assert Counter(call.kind for call in log.calls) == {
        CallKind.UPLOAD: 3,
        CallKind.CREATE: 2,
        CallKind.DOWNLOAD: 2,
    }
    assert [call.status for call in log.calls if call.kind is CallKind.DOWNLOAD] == [200, 500]
    assert {call.key for call in log.calls} == {log.uploads[0].key}


async def test_rows_are_counted_by_body_online_and_in_batches_together():
    async with batch_harness() as harness:
        await ask(harness.simulator, chat_body("prompt 0"))
        await harness.create()
        paid = harness.simulator.log.paid()

    (twice,) = [digest for digest, times in paid.items() if times == 2]
    assert twice == harness.simulator.log.entries[0].digest
    assert len(twice) == len(body_digest(b""))
    assert paid.total() == len(NAMES) + 1


async def test_the_same_input_twice_is_seen_in_the_log():
    async with batch_harness() as harness:
        await harness.create()
        await harness.create()
        await harness.create(input_lines(PROMPTS[:3]))

    assert sorted(harness.simulator.log.batch.created().values()) == [1, 2]


async def test_a_batch_is_no_orphan_once_all_its_files_were_read():
    plan = BatchPlan(times=AT_ONCE, rows=FaultPlan(script=(Fault.BAD_REQUEST,)))
    async with batch_harness(SimulatedBatchSettings(plan=plan)) as harness:
        batch = await harness.create()
        log = harness.simulator.log.batch
        await harness.output(batch)
        assert log.orphans() == [batch.id]
        await harness.errors(batch)
        assert log.orphans() == []


def test_limits_that_cannot_be():
    with pytest.raises(ConfigError):
        BatchLimits(creations=0)
    with pytest.raises(ConfigError):
        BatchLimits(enqueued_tokens=0)
