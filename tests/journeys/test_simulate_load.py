"""120,000 requests in three files of nearly 200 MB: the simulator holds none of them in memory."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from stepdistill.annotator.simulator.log import RequestLog
from tests.journeys.test_simulate import URL, Served, ended, served

PARTS, ROWS = 3, 40_000
PADDING = "x" * 4_700
GROWTH_MB = 64


async def part(number: int) -> AsyncGenerator[bytes]:
    """The lines of a part, some hundred at a time."""
    for start in range(0, ROWS, 200):
        yield b"".join(row(f"{number}-{line:060}") for line in range(start, start + 200))
        await asyncio.sleep(0)


def row(name: str) -> bytes:
    messages = [{"role": "user", "content": f"{name} {PADDING}"}]
    line = {"custom_id": name, "method": "POST", "url": URL}
    return orjson.dumps({**line, "body": {"model": "m", "messages": messages}}) + b"\n"


async def upload(home: Served, number: int) -> dict[str, Any]:
    form = aiohttp.FormData()
    form.add_field("purpose", "batch")
    form.add_field("file", part(number), filename=f"part-{number}.jsonl")
    headers = {"Authorization": "Bearer sk-any"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{home.url}/files", data=form, headers=headers) as response,
    ):
        return orjson.loads(await response.read())


async def lines_of(home: Served, file_id: str) -> int:
    async with home.client.files.with_streaming_response.content(file_id) as response:
        return sum([chunk.count(b"\n") async for chunk in response.iter_bytes()])


def peak_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is read from /proc")
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_large_job_is_served_in_little_memory(tmp_path: Path):
    books = tmp_path / "books.jsonl"
    async with served("--log", books) as home:
        before_mb = peak_mb(home.process_id)
        files = [await upload(home, number) for number in range(PARTS)]
        made = [
            await home.client.batches.create(
                input_file_id=file["id"], endpoint=URL, completion_window="24h"
            )
            for file in files
        ]
        batches = [await ended(home.client, batch) for batch in made]
        counts = [await lines_of(home, batch.output_file_id or "") for batch in batches]
        growth_mb = peak_mb(home.process_id) - before_mb

    assert all(180 * 2**20 < file["bytes"] < 200 * 2**20 for file in files)
    assert counts == [ROWS] * PARTS
    paid = RequestLog.read(books).batch.paid()
    assert (len(paid), set(paid.values())) == (PARTS * ROWS, {1})
    assert growth_mb < GROWTH_MB, f"{before_mb:.0f} MB at the start"
