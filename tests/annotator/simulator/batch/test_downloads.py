"""Downloads: whole, from a byte on, cut in the middle of a line, and cut so that it looks whole."""

import aiohttp
import pytest

from stepdistill.annotator.simulator.batch.books import CallKind
from stepdistill.annotator.simulator.batch.plan import SimulatedBatchSettings
from stepdistill.annotator.simulator.faults import Fault
from tests.annotator.simulator.batch.batching import PROMPTS, House, house, input_lines, trouble

CONTENT = input_lines(PROMPTS)


async def download(home: House, file_id: str, from_byte: int | None = None) -> tuple[int, bytes]:
    """(status, what arrived), however the download ended."""
    headers = {"Authorization": "Bearer sk-test"}
    if from_byte is not None:
        headers["Range"] = f"bytes={from_byte}-"
    got = b""
    url = f"{home.simulator.base_url}/files/{file_id}/content"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        try:
            async for chunk in response.content.iter_any():
                got += chunk
        except aiohttp.ClientPayloadError:
            return -response.status, got
        return response.status, got


async def test_a_download_is_cut_in_a_line_and_resumed():
    async with house(trouble(CallKind.DOWNLOAD, Fault.TORN, Fault.TORN)) as home:
        batch = await home.create()
        output = batch.output_file_id or ""
        log = home.simulator.log.batch
        status, first = await download(home, output)
        status_again, second = await download(home, output, len(first))
        assert log.orphans() == [batch.id]
        status_last, third = await download(home, output, len(first + second))
        _, whole = await download(home, output)
        assert log.orphans() == []

    assert (status, status_again, status_last) == (-200, -206, 206)
    assert first + second + third == whole
    assert not first.endswith(b"\n")
    assert len(first) > 0 < len(second)


async def test_a_cut_never_falls_on_the_end_of_a_line():
    for width in range(1, 12):
        async with house(trouble(CallKind.DOWNLOAD, Fault.TORN)) as home:
            file_id = await home.upload((b"x" * width + b"\n") * 20)
            _, got = await download(home, file_id)

        assert not got.endswith(b"\n")
        assert 0 < len(got) < 20 * (width + 1)


async def test_a_cut_that_looks_like_the_end():
    settings = trouble(CallKind.DOWNLOAD, Fault.TORN, silent_cut=True)
    async with house(settings) as home:
        batch = await home.create()
        status, got = await download(home, batch.output_file_id or "")
        assert home.simulator.log.batch.orphans() == [batch.id]

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
    async with house(SimulatedBatchSettings(ranges=ranges)) as home:
        file_id = await home.upload()
        assert await download(home, file_id, from_byte) == (status, expected)
