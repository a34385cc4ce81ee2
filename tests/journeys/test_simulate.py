"""`annotate simulate` as a person starts it: another program finds a teacher there, and batches."""

import asyncio
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import openai
import orjson
import pytest
from openai.types import Batch

from stepdistill.annotator.simulator.log import RequestLog
from tests.journeys.conftest import ANNOTATE, Annotate

URL = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A simulator in a process of its own, and the SDK's client of it."""

    url: str
    client: openai.AsyncOpenAI
    process_id: int


@asynccontextmanager
async def served(*words: str | Path) -> AsyncGenerator[Served]:
    """A simulator that was started with these words, and is stopped by Ctrl-C."""
    command = [ANNOTATE, "simulate", "demo", "--port", "0", *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    try:
        url = await address(process)
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-any", max_retries=0) as client:
            yield Served(url=url, client=client, process_id=process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 0


async def address(process: Process) -> str:
    assert process.stdout
    assert process.stderr
    for line in (process.stdout, process.stderr):
        said = (await line.readline()).decode()
        if "http" in said:
            return said.split()[-1]
    raise AssertionError("no address was shown")


async def a_batch(client: openai.AsyncOpenAI) -> Batch:
    body = {"model": "m", "messages": [{"role": "user", "content": "Who are you?"}]}
    rows = [{"custom_id": f"r{n}", "method": "POST", "url": URL, "body": body} for n in range(10)]
    content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint=URL, completion_window="24h")


async def ended(client: openai.AsyncOpenAI, batch: Batch) -> Batch:
    while batch.status in ("validating", "in_progress", "finalizing"):
        await asyncio.sleep(0.05)
        batch = await client.batches.retrieve(batch.id)
    return batch


async def test_a_batch_is_rehearsed_and_in_the_books(tmp_path: Path):
    books = tmp_path / "books.jsonl"
    async with served("--batch-seconds", "0.1", "--log", books) as home:
        client = home.client
        batch = await ended(client, await a_batch(client))
        await client.files.content(batch.output_file_id or "")

    assert batch.status == "completed"
    read = RequestLog.read(books).batch
    assert read.paid() == {f"r{number}": 1 for number in range(10)}
    assert read.orphans() == read.unused_files() == []


async def test_oddities_and_a_shutdown_are_rehearsed():
    words = ("--batch-window", "0.5", "--batch-fault", "finished=0.5", "--batch-fault")
    words += ("strangers=2", "--call-fault", "files.list:overloaded=1", "--model", "m=2027-01-14")
    async with served(*words) as home:
        client = home.client
        batch = await ended(client, await a_batch(client))
        output = await client.files.content(batch.output_file_id or "")
        model = await client.models.retrieve("m")
        with pytest.raises(openai.InternalServerError):
            await client.files.list()
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("another")

    assert batch.status == "expired"
    assert len(output.text.splitlines()) == 5 + 2
    assert model.to_dict()["shutdown_date"] == "2027-01-14"


def test_a_word_that_means_nothing(annotate: Annotate):
    done = annotate("simulate", "demo", "--batch-fault", "torn=0.1")

    assert done.code == 2
    assert done.err == "annotate: torn cannot befall a row of a batch\n"
