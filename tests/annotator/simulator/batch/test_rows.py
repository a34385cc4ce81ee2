"""Everything odd that a batch's files can be, each as it was met in the wild."""

from collections import Counter
from typing import Any

import pytest

from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.common.errors import ConfigError
from tests.annotator.simulator.batch.harness import (
    AT_ONCE,
    NAMES,
    PROMPTS,
    BatchHarness,
    as_lines,
    batch_harness,
    input_line,
    input_lines,
    names,
)

SHORT = BatchTimes(validating_s=0, running_s=10, finalizing_s=0, cancelling_s=2, window_s=20)


def odd(plan: BatchPlan, *, seed: int = 0) -> SimulatedBatchSettings:
    return SimulatedBatchSettings(plan=plan, seed=seed)


def failing(**rates: float) -> FaultPlan:
    return FaultPlan(rates={Fault(name): share for name, share in rates.items()})


async def test_when_all_rows_fail_there_is_no_output_file():
    async with batch_harness(
        odd(BatchPlan(times=AT_ONCE, rows=failing(server_error=1.0)))
    ) as harness:
        batch = await harness.create()
        errors = await harness.errors(batch)
        paid = harness.simulator.log.batch.paid()

    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert batch.request_counts
    assert batch.request_counts.to_dict() == {"total": 40, "completed": 0, "failed": 40}
    assert names(errors) == Counter(NAMES)
    assert {row["response"]["status_code"] for row in errors} == {500}
    assert paid == {}


async def test_an_error_file_that_is_not_there_has_a_blank_id():
    async with batch_harness(odd(BatchPlan(times=AT_ONCE, blank_error_file_id=True))) as harness:
        assert (await harness.create()).error_file_id == ""


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.SERVER_ERROR, 500, None),
        (Fault.BAD_REQUEST, 400, "invalid_value"),
        (Fault.CONTENT_POLICY, 400, "content_policy_violation"),
        (Fault.RATE_LIMITED, 429, "rate_limit_exceeded"),
    ],
)
async def test_single_rows_fail(fault: Fault, status: int, code: str | None):
    plan = BatchPlan(times=AT_ONCE, rows=FaultPlan(script=(None, fault)))
    async with batch_harness(odd(plan)) as harness:
        batch = await harness.create()
        (row,) = await harness.errors(batch)
        output = await harness.output(batch)
        paid = harness.simulator.log.batch.paid()

    assert (row["custom_id"], row["error"]) == ("row-1", None)
    assert (row["response"]["status_code"], row["response"]["body"]["error"]["code"]) == (
        status,
        code,
    )
    assert names(output) == paid == Counter(NAMES) - Counter(["row-1"])


async def test_a_row_without_any_response():
    plan = BatchPlan(times=AT_ONCE, rows=FaultPlan(script=(Fault.DROPPED,)))
    async with batch_harness(odd(plan)) as harness:
        (row,) = await harness.errors(await harness.create())

    assert (row["response"], row["error"]["code"]) == (None, "server_error")


async def test_answers_that_are_spoiled_are_billed():
    script = (Fault.CONTENT_FILTER, Fault.LENGTH, Fault.NO_USAGE)
    async with batch_harness(
        odd(BatchPlan(times=AT_ONCE, rows=FaultPlan(script=script)))
    ) as harness:
        batch = await harness.create()
        by_name = {row["custom_id"]: row["response"]["body"] for row in await harness.output(batch)}
        paid = harness.simulator.log.batch.paid()

    assert [by_name[name]["choices"][0]["finish_reason"] for name in NAMES[:3]] == [
        "content_filter",
        "length",
        "stop",
    ]
    assert "usage" not in by_name["row-2"]
    assert paid == Counter(NAMES)


async def test_a_failed_row_that_is_asked_again_gets_through_in_the_end():
    plan = BatchPlan(times=AT_ONCE, rows=failing(server_error=1.0))
    async with batch_harness(odd(plan)) as harness:
        failed = [len(await harness.errors(await harness.create())) for _ in range(3)]

    assert failed == [40, 40, 0]


@pytest.mark.parametrize("listed", [True, False])
async def test_an_expired_batch_keeps_and_bills_its_finished_rows(listed: bool):
    plan = BatchPlan(times=SHORT, finished=0.3, unfinished_listed=listed)
    async with batch_harness(odd(plan)) as harness:
        batch = await harness.create()
        running = await harness.later(batch, 19)
        expired = await harness.later(batch, 1)
        output, errors = await harness.output(expired), await harness.errors(expired)
        paid = harness.simulator.log.batch.paid()

    assert running.status == "in_progress"
    assert running.request_counts
    assert running.request_counts.completed == 12
    assert (expired.status, expired.expired_at) == ("expired", expired.expires_at)
    assert len(output) == 12
    assert names(output) == paid
    assert names(output) + names(errors) == (Counter(NAMES) if listed else paid)
    assert {(row["response"], row["error"]["code"]) for row in errors} <= {(None, "batch_expired")}


async def test_a_cancelled_batch_keeps_and_bills_its_finished_rows():
    async with batch_harness(odd(BatchPlan(times=SHORT))) as harness:
        batch = await harness.later(await harness.create(), 5)
        cancelling = await harness.client.batches.cancel(batch.id)
        cancelled = await harness.later(batch, 2)
        output, errors = await harness.output(cancelled), await harness.errors(cancelled)
        paid = harness.simulator.log.batch.paid()

    assert (cancelling.status, cancelling.output_file_id) == ("cancelling", None)
    assert cancelled.status == "cancelled"
    assert len(output) == 20
    assert names(output) == paid
    assert names(output) + names(errors) == Counter(NAMES)
    assert {row["error"]["code"] for row in errors} == {"batch_cancelled"}


async def test_a_batch_that_is_cancelled_at_once_bills_nothing():
    times = BatchTimes(validating_s=5, cancelling_s=0)
    async with batch_harness(odd(BatchPlan(times=times, unfinished_listed=False))) as harness:
        batch = await harness.client.batches.cancel((await harness.create()).id)
        paid = harness.simulator.log.batch.paid()

    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("cancelled", None, None)
    assert paid == {}


async def test_rows_that_come_twice_are_billed_once():
    plan = BatchPlan(times=AT_ONCE, repeated=0.5, rows=FaultPlan(script=(Fault.LENGTH,)))
    async with batch_harness(odd(plan)) as harness:
        batch = await harness.create()
        output = await harness.output(batch)
        paid = harness.simulator.log.batch.paid()

    times = names(output)
    assert set(times.values()) == {1, 2}
    assert paid == Counter(NAMES)
    assert batch.request_counts
    assert batch.request_counts.completed == 40
    for name in times:
        assert len({str(row) for row in output if row["custom_id"] == name}) == 1


async def test_rows_that_are_nowhere_are_not_billed_and_others_in_the_next_batch():
    plan = BatchPlan(times=AT_ONCE, left_out=0.5)
    async with batch_harness(odd(plan)) as harness:
        missing: list[set[str]] = []
        for _ in range(2):
            batch = await harness.create()
            assert (batch.status, batch.error_file_id) == ("completed", None)
            missing.append(set(NAMES) - set(names(await harness.output(batch))))
        paid = harness.simulator.log.batch.paid()

    assert 5 < len(missing[0]) < 35
    assert missing[0] != missing[1]
    assert {name for name in NAMES if not paid[name]} == missing[0] & missing[1]


async def test_strangers_stand_among_the_answers():
    async with batch_harness(odd(BatchPlan(times=AT_ONCE, strangers=2))) as harness:
        batch = await harness.create()
        output = await harness.output(batch)
        paid = harness.simulator.log.batch.paid()

    assert set(names(output)) - set(NAMES) == {"stranger-0", "stranger-1"}
    assert output[-1]["response"]["body"]["choices"]
    assert paid == Counter(NAMES)


async def test_the_seed_decides_the_order():
    orders: list[list[str]] = []
    for seed in (1, 1, 2):
        async with batch_harness(odd(BatchPlan(times=AT_ONCE), seed=seed)) as harness:
            orders.append([*names(await harness.output(await harness.create()))])

    assert orders[0] == orders[1] != orders[2]


async def test_a_script_goes_by_the_order_of_creation():
    settings = SimulatedBatchSettings(
        plan=BatchPlan(times=AT_ONCE),
        script=(BatchPlan(times=AT_ONCE, fails="token_limit_exceeded"), None),
    )
    async with batch_harness(settings) as harness:
        statuses = [(await harness.create()).status for _ in range(3)]

    assert statuses == ["failed", "completed", "completed"]


async def test_a_bad_row_is_never_a_stranger_nor_repeated():
    plan = BatchPlan(times=AT_ONCE, repeated=1.0, strangers=3)
    async with batch_harness(odd(plan)) as harness:
        batch = await harness.create(as_lines([input_line("bad", "", body={"model": "any-model"})]))

        assert batch.output_file_id is None
        assert names(await harness.errors(batch)) == {"bad": 1}


@pytest.mark.parametrize(
    "plan",
    [
        {"finished": 1.1},
        {"left_out": -0.1},
        {"strangers": -1},
        {"rows": failing(torn=0.1)},
        {"rows": FaultPlan(script=(Fault.NOT_JSON,))},
    ],
)
def test_a_plan_that_cannot_be(plan: dict[str, Any]):
    with pytest.raises(ConfigError):
        BatchPlan(**plan)


@pytest.mark.parametrize("times", [{"running_s": -1}, {"window_s": 0}])
def test_times_that_cannot_be(times: dict[str, float]):
    with pytest.raises(ConfigError):
        BatchTimes(**times)


async def test_a_batch_is_billed_when_it_ends_and_not_when_it_is_read():
    async with batch_harness(odd(BatchPlan(times=SHORT))) as harness:
        await poll(harness)
        log = harness.simulator.log.batch

        assert log.paid() == Counter(NAMES)
        prompt_tokens, completion_tokens = log.billed_tokens()
    assert prompt_tokens == sum(-(-len(prompt) // 4) for prompt in PROMPTS)
    assert completion_tokens > 0


async def poll(harness: BatchHarness) -> None:
    batch = await harness.create(input_lines(PROMPTS))
    for _ in range(10):
        batch = await harness.later(batch, 2)
        await harness.output(batch)
        await harness.output(batch)
