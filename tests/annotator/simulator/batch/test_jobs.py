"""How much may be enqueued and created at a time: a pool apart from the limits on chat."""

import openai
import pytest

from stepdistill.annotator.simulator.batch.settings import (
    BatchLimits,
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from tests.annotator.simulator.batch.harness import PROMPTS, batch_harness, input_lines

CONTENT = input_lines(PROMPTS)
TOKENS = sum(-(-len(prompt) // 4) for prompt in PROMPTS)
SLOW = BatchPlan(times=BatchTimes(validating_s=0, running_s=100, finalizing_s=0))


@pytest.mark.parametrize("refused", [False, True])
async def test_enqueued_tokens_have_a_limit_until_a_batch_ends(refused: bool):
    limits = BatchLimits(enqueued_tokens=2 * TOKENS + 1, enqueued_refused=refused)
    async with batch_harness(SimulatedBatchSettings(plan=SLOW, limits=limits)) as harness:
        first, second = await harness.create(), await harness.create()
        if refused:
            with pytest.raises(openai.RateLimitError, match="Enqueued token limit"):
                await harness.create()
        else:
            failed = await harness.create()
            assert failed.status == "failed"
            assert failed.errors
            assert failed.errors.data
            assert failed.errors.data[0].code == "token_limit_exceeded"
        await harness.client.batches.cancel(second.id)
        harness.clock.now_s += 1
        third = await harness.create()

    assert [batch.status for batch in (first, second, third)] == ["in_progress"] * 3


async def test_a_limit_on_enqueued_tokens_counts_each_model_apart():
    limits = BatchLimits(enqueued_tokens=TOKENS)
    other = CONTENT.replace(b"any-model", b"other-model")
    async with batch_harness(SimulatedBatchSettings(plan=SLOW, limits=limits)) as harness:
        statuses = [(await harness.create(content)).status for content in (CONTENT, other, other)]

    assert statuses == ["in_progress", "in_progress", "failed"]


async def test_the_limit_is_that_of_the_time_of_checking_whenever_one_looks():
    limits = BatchLimits(enqueued_tokens=TOKENS)
    times = BatchTimes(validating_s=10, running_s=100, finalizing_s=0)
    settings = SimulatedBatchSettings(plan=BatchPlan(times=times), limits=limits)
    async with batch_harness(settings) as harness:
        first = await harness.create()
        second = await harness.create()
        third = await harness.later(second, 1000)

    assert (first.status, second.status, third.status) == ("validating", "validating", "failed")
    assert third.failed_at == second.created_at + 10


async def test_creations_in_an_hour_have_a_limit():
    limits = BatchLimits(creations=2, creations_window_s=60)
    async with batch_harness(SimulatedBatchSettings(limits=limits)) as harness:
        file_id = await harness.upload()
        for _ in range(2):
            await harness.create_from(file_id)
            harness.clock.now_s += 10
        with pytest.raises(openai.RateLimitError) as refused:
            await harness.create_from(file_id)
        harness.clock.now_s += 40
        await harness.create_from(file_id)

    assert refused.value.response.headers["Retry-After"] == "40"
    assert refused.value.code == "rate_limit_exceeded"
