"""Many parts are looked after without a burst of calls, judged by the teacher's books."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stepdistill.annotator.errors import Overloaded
from stepdistill.annotator.teacher.batch.http import BatchHttp
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from tests.annotator.teacher.asking import a_spec
from tests.annotator.teacher.batch.asking import serving

PER_S, CALLS = 20, 70


async def test_no_second_sees_more_calls_than_two_seconds_worth():
    async with (
        serving() as simulator,
        OpenAiBatches(
            spec := a_spec(simulator.base_url, "sk-test"), BatchHttp(spec, calls_per_s=PER_S)
        ) as api,
    ):
        await asyncio.gather(*(_files(api) for _ in range(CALLS)))

    at_s = sorted(call.start_s for call in simulator.log.batch.calls)
    assert len(at_s) == CALLS
    busiest = max(sum(start <= other < start + 1 for other in at_s) for start in at_s)
    assert busiest <= 2.5 * PER_S  # two seconds' worth; on a busy machine a few arrive together


async def _files(api: OpenAiBatches) -> int:
    return len([file async for file in api.files()])


async def test_a_batch_without_a_name_is_none():
    async def nameless(request: web.Request) -> web.Response:
        return web.json_response({"id": "", "status": "validating"})

    application = web.Application()
    application.router.add_post("/v1/batches", nameless)
    async with (
        TestServer(application) as server,
        OpenAiBatches(a_spec(str(server.make_url("/v1")))) as api,
    ):
        with pytest.raises(Overloaded, match=r"not a RemoteBatch \(id\)"):
            await api.create_from("file-1", {})
