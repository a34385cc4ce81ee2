"""What our own transport does and aiohttp does not: stale connections, replies unasked for."""

import asyncio

import pytest

from stepdistill.annotator.errors import ConnectionLost
from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import a_spec
from tests.annotator.teacher.raw_teacher import (
    FINE,
    RawTeacher,
    Say,
    asked,
    completion,
    reply,
    say,
    text_of,
)

WHOLE = reply(completion())


async def test_only_a_connection_that_lay_idle_is_tried_anew_and_once():
    async def ask_twice(stale_after_s: float, *script: Say) -> tuple[str, list[int]]:
        async with RawTeacher([FINE, *script]) as teacher:
            spec = a_spec(teacher.base_url)
            async with DirectTransport(spec, stale_after_s=stale_after_s) as opened:
                await opened.ask(a_request())
                try:
                    how = await text_of(opened)
                except ConnectionLost as error:
                    how = str(error)
                return how, [number for number, _, _ in teacher.requests]

    dropped, torn = say(close=True), say(WHOLE[:40], close=True)
    assert await ask_twice(0, dropped) == ("yes", [1, 1, 2])
    how, connections = await ask_twice(0, dropped, dropped)
    assert "dropped" in how and connections == [1, 1, 2], "once and no more"
    how, connections = await ask_twice(0, torn)
    assert "torn" in how and connections == [1, 1], "a byte came: it was read, perhaps paid for"
    how, connections = await ask_twice(60, dropped)
    assert "dropped" in how and connections == [1, 1], "it was busy a moment ago"


@pytest.mark.parametrize("extra", [reply(completion("unasked")), b"HTTP/1.1 2", b"what?"])
@pytest.mark.parametrize("apart", [False, True])
async def test_what_nobody_asked_for_is_nobody_s_answer(extra: bytes, apart: bool):
    # aiohttp gives a reply that comes unasked to whoever asks next; ours does not.
    script = say(WHOLE, extra) if apart else say(WHOLE + extra)
    async with asked(DirectTransport, script) as (_, opened):
        assert await text_of(opened) == "yes"
        await asyncio.sleep(0.3)  # what comes later than the next request could be its answer
        assert await text_of(opened) == "yes"
