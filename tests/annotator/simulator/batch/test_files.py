"""Downloads: whole, from a byte on, cut in the middle of a line, and cut so that it looks whole."""

import aiohttp
import pytest

from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.faults import Fault
from tests.annotator.simulator.batch.harness import (
    PROMPTS,
    BatchHarness,
    batch_harness,
    failing_calls,
    input_lines,
)

CONTENT = input_lines(PROMPTS)


async def download(
    harness: BatchHarness, file_id: str, from_byte: int | None = None
) -> tuple[int, bytes]:
    """(status, what arrived), however the download ended."""
    headers = {"Authorization": "Bearer sk-test"}
    if from_byte is not None:
        headers["Range"] = f"bytes={from_byte}-"
    got = b""
    url = f"{harness.simulator.base_url}/files/{file_id}/content"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        try:
            async for chunk in response.content.iter_any():
                got += chunk
        except aiohttp.ClientPayloadError:
            return -response.status, got
        return response.status, got


async def test_a_download_is_cut_in_a_line_and_resumed():
    async with batch_harness(failing_calls(CallKind.DOWNLOAD, Fault.TORN, Fault.TORN)) as harness:
        batch = await harness.create()
        output = batch.output_file_id or ""
        log = harness.simulator.log.batch
        status, first = await download(harness, output)
        status_again, second = await download(harness, output, len(first))
        assert log.orphans() == [batch.id]
        status_last, third = await download(harness, output, len(first + second))
        _, whole = await download(harness, output)
        assert log.orphans() == []

    assert (status, status_again, status_last) == (-200, -206, 206)
    assert first + second + third == whole
    assert not first.endswith(b"\n")
    assert len(first) > 0 < len(second)


async def test_a_cut_never_falls_on_the_end_of_a_line():
    for width in range(1, 12):
        async with batch_harness(failing_calls(CallKind.DOWNLOAD, Fault.TORN)) as harness:
            file_id = await harness.upload((b"x" * width + b"\n") * 20)
            _, got = await download(harness, file_id)

        assert not got.endswith(b"\n")
        assert 0 < len(got) < 20 * (width + 1)


async def test_a_cut_that_looks_like_the_end():
    settings = failing_calls(CallKind.DOWNLOAD, Fault.TORN, silent_cut=True)
    async with batch_harness(settings) as harness:
        batch = await harness.create()
        status, got = await download(harness, batch.output_file_id or "")
        assert harness.simulator.log.batch.orphans() == [batch.id]

    assert status == 200
    assert not got.endswith(b"\n")


@pytest.mark.parametrize(
    ("ranges", "from_byte", "status", "expected"),
    [
        (True, None, 200, CONTENT),
        (True, 0, 206, CONTENT),
        (True, 10, 206, CONTENT[10:]),
        (True, len(CONTENT), 416, b""),
        (True, len(CONTENT) + 10, 416, b""),
        (False, 10, 200, CONTENT),
    ],
)
async def test_ranges(ranges: bool, from_byte: int | None, status: int, expected: bytes):
    async with batch_harness(SimulatedBatchSettings(ranges=ranges)) as harness:
        file_id = await harness.upload()
        assert await download(harness, file_id, from_byte) == (status, expected)
