"""The loop keeps beating while thousands of answers are committed: nothing holds it for long."""

import asyncio
import time
from pathlib import Path

import pytest

from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore

N = 20_000


def an_answer(number: int) -> Answer:
    return Answer(
        text=f"Label: neutral\nRationale: nothing in text {number} says so, and nothing denies it.",
        finish="stop",
        model="any-model",
        usage=Usage(prompt=100, completion=30),
        mode="online",
        asked_at=1_700_000_000,
    )


async def longest_gap_s(stop: asyncio.Event) -> float:
    """The longest time between two beats of ten milliseconds, in seconds."""
    longest, last = 0.0, time.monotonic()
    while not stop.is_set():
        await asyncio.sleep(0.01)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


@pytest.mark.slow
async def test_no_stall_over_50_ms_while_answers_are_committed(tmp_path: Path):
    """Slow, so that it runs when nothing else does: a busy machine stalls any loop."""
    stop = asyncio.Event()
    beats = asyncio.create_task(longest_gap_s(stop))
    with ResponseStore.open(tmp_path / "store", write=True) as store:
        async with GroupCommit(store) as group_commit:
            for number in range(N):
                key = number.to_bytes(32, "big")
                await group_commit.submit(key, an_answer(number), lambda error: None)
                if number % 64 == 0:
                    await asyncio.sleep(0)
            await group_commit.flush()
        stop.set()
        assert len(store) == N
    assert await beats < 0.05
