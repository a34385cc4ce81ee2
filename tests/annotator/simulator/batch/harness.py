"""How these tests talk to the simulated Batch API: with the openai SDK, on a clock they step."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
import orjson
from openai.types import Batch

from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import (
    BatchPlan,
    BatchTimes,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.annotator.simulator.asking import a_teacher, chat_body

PROMPTS = [f"prompt {number}" for number in range(40)]
NAMES = [f"row-{number}" for number in range(len(PROMPTS))]
AT_ONCE = BatchTimes(validating_s=0, running_s=0, finalizing_s=0, cancelling_s=0)
URL = "/v1/chat/completions"


class StepClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHarness:
    """A running simulator, the SDK's client of it, and its clock."""

    simulator: Simulator
    client: openai.AsyncOpenAI
    clock: StepClock

    async def upload(self, content: bytes | None = None) -> str:
        """The id of a new input file."""
        content = content or input_lines(PROMPTS)
        return (await self.client.files.create(file=("in.jsonl", content), purpose="batch")).id

    async def create(self, content: bytes | None = None, /, **metadata: str) -> Batch:
        """A new batch over a new input file."""
        return await self.create_from(await self.upload(content), **metadata)

    async def create_from(self, file_id: str, /, **metadata: str) -> Batch:
        """A new batch over this file."""
        return await self.client.batches.create(
            input_file_id=file_id, endpoint=URL, completion_window="24h", metadata=metadata
        )

    async def later(self, batch: Batch, seconds: float) -> Batch:
        """The batch, so many seconds from now."""
        self.clock.now_s += seconds
        return await self.client.batches.retrieve(batch.id)

    async def output(self, batch: Batch) -> list[dict[str, Any]]:
        """The lines of its output file, none where it has none."""
        return await self.lines(batch.output_file_id)

    async def errors(self, batch: Batch) -> list[dict[str, Any]]:
        """The lines of its error file, none where it has none."""
        return await self.lines(batch.error_file_id)

    async def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of a file."""
        if not file_id:
            return []
        content = await self.client.files.content(file_id)
        return [orjson.loads(line) for line in content.content.splitlines()]


@asynccontextmanager
async def batch_harness(
    settings: SimulatedBatchSettings | None = None, clock: StepClock | None = None, **others: Any
) -> AsyncGenerator[BatchHarness]:
    """A simulator that answers the prompts; batches are done at once unless settings differ."""
    clock = clock or StepClock()
    batch = settings or SimulatedBatchSettings(plan=BatchPlan(times=AT_ONCE))
    simulator = Simulator(a_teacher(PROMPTS), SimulatorSettings(batch=batch, **others), clock=clock)
    async with simulator, client_of(simulator) as client:
        yield BatchHarness(simulator=simulator, client=client, clock=clock)


def client_of(simulator: Simulator, key: str = "sk-test") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=simulator.base_url, api_key=key, max_retries=0, timeout=5)


def input_line(name: str, prompt: str, **changes: object) -> dict[str, object]:
    body = chat_body(prompt)
    return {"custom_id": name, "method": "POST", "url": URL, "body": body, **changes}


def input_lines(prompts: Sequence[str], **changes: object) -> bytes:
    rows = [input_line(f"row-{number}", text, **changes) for number, text in enumerate(prompts)]
    return as_lines(rows)


def as_lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def names(rows: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(row["custom_id"] for row in rows)


def failing_calls(kind: CallKind, *script: Fault | None, **others: Any) -> SimulatedBatchSettings:
    """Batches done at once, and calls of this kind that go wrong in this order."""
    calls = {kind: FaultPlan(script=script)}
    plan = BatchPlan(times=AT_ONCE)
    return SimulatedBatchSettings(plan=plan, calls=calls, **others)
