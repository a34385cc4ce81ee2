"""HTTP as it comes: over every transport, against a teacher that says it byte for byte."""

import asyncio
import re
import socket

import orjson
import pytest

from stepdistill.annotator.errors import (
    BadRequest,
    ConnectionLost,
    ModelGone,
    Overloaded,
    RateLimited,
    TeacherError,
    TimedOut,
    Unreadable,
)
from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.teacher.http.transport import OpenTransport
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import Echo, a_spec, several, until
from tests.annotator.teacher.raw_teacher import (
    FINE,
    RawTeacher,
    Say,
    asked,
    chunked,
    completion,
    reply,
    say,
    text_of,
)

DONE = b"0\r\n\r\n"
WHOLE = reply(completion())
HEAD_END = WHOLE.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize(
    "script",
    [
        say(WHOLE),
        say(*(WHOLE[at : at + 7] for at in range(0, len(WHOLE), 7))),
        say(WHOLE[:HEAD_END], WHOLE[HEAD_END:]),
        say(chunked(completion()) + DONE),
        say(chunked(completion()[:9], completion()[9:40], completion()[40:]), b"0\r", b"\n\r\n"),
        say(chunked(completion()) + b"0\r\nx-trailer: later\r\n\r\n"),
        say(chunked(completion()).replace(b"\r\n{", b";name=value\r\n{") + DONE),
        say(b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE),
        say(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n" + WHOLE),
        say(WHOLE.replace(b" OK", b" ")),
        say(WHOLE.replace(b"Content-Length:", b"CONTENT-length:  ")),
    ],
    ids=[
        *("whole", "in-pieces", "head-then-body", "chunked", "torn-chunks", "trailers"),
        *("chunk-extension", "100-continue", "103-hints", "no-reason", "other-case"),
    ],
)
async def test_a_reply_is_whole_however_it_comes_and_the_connection_is_kept(
    transport: OpenTransport, script: Say
):
    async with asked(transport, script) as (teacher, opened):
        assert [await text_of(opened), await text_of(opened)] == ["yes", "yes"]
        assert [number for number, _, _ in teacher.requests] == [1, 1]


@pytest.mark.parametrize(
    "script",
    [
        say(reply(completion(), "Connection: close"), close=True),
        say(reply(completion(), "Connection: close")),
        say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + completion(), close=True),
        say(b"HTTP/1.0 200 OK\r\n\r\n" + completion()[:20], completion()[20:], close=True),
        say(WHOLE.replace(b"1.1", b"1.0"), close=True),
    ],
    ids=["close", "close-announced", "to-the-end", "http-1.0", "http-1.0-length"],
)
async def test_where_the_connection_ends_with_the_reply_the_next_has_its_own(
    transport: OpenTransport, script: Say
):
    async with asked(transport, script) as (teacher, opened):
        assert [await text_of(opened), await text_of(opened)] == ["yes", "yes"]
        assert [number for number, _, _ in teacher.requests] == [1, 2]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (say(WHOLE[:-1], close=True), ConnectionLost),
        (say(WHOLE[: HEAD_END - 2], close=True), ConnectionLost),
        (say(b"HTTP/1.1 2", close=True), ConnectionLost),
        (say(chunked(completion()), close=True), ConnectionLost),
        (say(chunked(completion())[:-9], close=True), ConnectionLost),
        (say(close=True), ConnectionLost),
        (say(b"220 mail.example ESMTP\r\n", close=True), ConnectionLost),
        (say(chunked() + b"zz\r\n", close=True), ConnectionLost),
        (say(reply(b"")), Unreadable),
        (say(reply(b"", status="503 Service Unavailable")), Overloaded),
        (say(reply(b"", status="400 Bad Request")), BadRequest),
        (say(b"HTTP/1.1 204 No Content\r\n\r\n"), Unreadable),
        (say(reply(b"", "Location: http://127.0.0.1:1/", status="307 Moved")), ModelGone),
        (say(reply(b"{}", "Retry-After: 7", status="429 Too Many")), RateLimited),
    ],
    ids=[
        *("torn-body", "torn-head", "torn-status", "no-last-chunk", "torn-chunk", "dropped"),
        *("not-http", "no-chunk-size", "empty", "empty-503", "empty-400", "204", "307", "429"),
    ],
)
async def test_what_is_no_answer_is_an_error_of_its_kind_and_the_next_is_fine(
    transport: OpenTransport, script: Say, kind: type[TeacherError]
):
    async with asked(transport, script) as (teacher, opened):
        with pytest.raises(kind) as caught:
            await opened.ask(a_request())
        assert await text_of(opened) == "yes"
        assert len(teacher.requests) == 2
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after_s == 7


async def test_headers_are_read_whatever_their_case(transport: OpenTransport):
    script = say(reply(completion(), "X-Request-ID: req_7", "X-RateLimit-Limit-Requests: 60"))
    async with asked(transport, script) as (_, opened):
        answer, headers = await opened.ask(a_request())
    assert answer.request_id == "req_7"
    assert headers["x-ratelimit-limit-requests"] == "60"


async def test_the_request_is_what_a_server_expects(transport: OpenTransport):
    async with asked(transport, key="sk-any") as (teacher, opened):
        await opened.ask(a_request())
        ((_, head, body),) = teacher.requests
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/chat/completions http/1.1"
    (host,) = (line for line in lines if line.startswith("host:"))
    assert re.fullmatch(r"host: 127\.0\.0\.1:\d+", host)
    assert "authorization: bearer sk-any" in lines
    assert "content-type: application/json" in lines
    assert f"content-length: {len(body)}" in lines
    assert orjson.loads(body) == {**a_request().body, "max_tokens": 512}


@pytest.mark.parametrize(
    "script",
    [
        Say(pieces=[chunked(), b"fffff\r\n" + b" " * 0xFFFFF + b"\r\n"], for_ever=True),
        Say(pieces=[b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536], for_ever=True),
    ],
    ids=["chunks", "to-the-end"],
)
async def test_a_reply_without_end_is_given_up(transport: OpenTransport, script: Say):
    async with asked(transport, script) as (_, opened):
        with pytest.raises(Unreadable, match="larger than"):
            await opened.ask(a_request())
        assert await text_of(opened) == "yes"


@pytest.mark.parametrize(
    "script",
    [
        Say(first_s=9.0),
        Say(pieces=[chunked(), b"1\r\n \r\n"], for_ever=True),
    ],
    ids=["silence", "drip"],
)
async def test_an_answer_has_its_time_and_no_more(transport: OpenTransport, script: Say):
    async with asked(transport, script, timeout_s=0.5) as (_, opened):
        start_s = asyncio.get_running_loop().time()
        with pytest.raises(TimedOut, match=r"0\.5 s"):
            await opened.ask(a_request())
        assert 0.49 <= asyncio.get_running_loop().time() - start_s < 6
        assert await text_of(opened) == "yes"


async def test_each_of_many_has_its_own_time(transport: OpenTransport):
    late = (Say(pieces=[WHOLE], first_s=0.2), Say(first_s=9.0), Say(pieces=[WHOLE], first_s=0.1))
    async with asked(transport, *late, timeout_s=1.5, concurrency=3) as (_, opened):
        outcomes = await asyncio.gather(
            *(opened.ask(each) for each in several(3)), return_exceptions=True
        )
    assert sorted(isinstance(outcome, TimedOut) for outcome in outcomes) == [False, False, True]


async def test_nobody_there_is_a_lost_connection(transport: OpenTransport):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with transport(a_spec(f"http://127.0.0.1:{port}/v1")) as opened:
        with pytest.raises(ConnectionLost):
            await opened.ask(a_request())


async def test_an_address_that_nobody_answers_at_is_given_up_in_time(transport: OpenTransport):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        address = deaf.getsockname()
        callers = [socket.socket() for _ in range(3)]
        for caller in callers:  # the queue is full, and the kernel drops who knocks
            caller.setblocking(False)
            caller.connect_ex(address)
        spec = a_spec(f"http://127.0.0.1:{address[1]}/v1", timeout_s=0.2)
        async with transport(spec) as opened:
            with pytest.raises(TimedOut):
                await opened.ask(a_request())
        for caller in callers:
            caller.close()


async def test_who_gives_up_waiting_does_not_leave_the_answer_to_the_next(
    transport: OpenTransport,
):
    late = Say(pieces=[reply(completion("late"))], first_s=0.05)
    async with asked(transport, late) as (teacher, opened):
        asking = asyncio.create_task(opened.ask(a_request()))
        await until(lambda: teacher.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await text_of(opened) == "yes"
        await asyncio.sleep(0.06)
        assert await text_of(opened) == "yes"


async def test_a_connection_that_the_teacher_closed_meanwhile_is_not_used(
    transport: OpenTransport,
):
    async with asked(transport) as (teacher, opened):
        await opened.ask(a_request())
        teacher.hang_up()
        await asyncio.sleep(0.02)
        assert await text_of(opened) == "yes"
        assert [number for number, _, _ in teacher.requests] == [1, 2]


async def test_many_at_once_each_get_their_own_answer(transport: OpenTransport):
    settings = SimulatorSettings(latency=Latency(median_ms=50))
    async with Simulator(Echo(), settings) as server:
        async with transport(a_spec(server.base_url, concurrency=50)) as opened:
            for _ in range(3):
                answers = await asyncio.gather(*(opened.ask(each) for each in several(50)))
                texts = [orjson.loads(answer.text)["messages"] for answer, _ in answers]
                assert texts == [each.messages for each in several(50)]
        assert server.log.peak_in_flight() == 50


async def test_a_long_question_goes_out_whole(transport: OpenTransport):
    request = a_request("why " * 1_000_000)
    async with asked(transport) as (teacher, opened):
        await opened.ask(request)
        assert orjson.loads(teacher.requests[0][2])["messages"] == request.messages


async def test_leaving_hangs_up(transport: OpenTransport):
    async with RawTeacher([FINE]) as teacher:
        async with transport(a_spec(teacher.base_url)) as opened:
            await opened.ask(a_request())
        async with asyncio.timeout(1):
            await until(lambda: not teacher.is_visited)


async def test_a_teacher_on_this_machine_is_asked_without_the_proxy(
    transport: OpenTransport, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with asked(transport) as (_, opened):
        assert await text_of(opened) == "yes"
