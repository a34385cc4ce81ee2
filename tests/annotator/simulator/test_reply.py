"""Every fault as a client meets it, and as the log tells it."""

import asyncio
from contextlib import suppress
from time import monotonic

import aiohttp
import pytest

from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.annotator.simulator.asking import a_teacher, ask, chat_body

SPOILED = (Fault.DRIP, Fault.CONTENT_FILTER, Fault.LENGTH, Fault.NO_USAGE, Fault.LOST, Fault.TORN)


def troubled(*script: Fault | None) -> Simulator:
    plan = FaultPlan(script=script, retry_after_s=2.0)
    return Simulator(a_teacher(), SimulatorSettings(faults=plan, drip_s=0.08))


@pytest.mark.parametrize(
    ("fault", "status", "kind", "code"),
    [
        (Fault.RATE_LIMITED, 429, "requests", "rate_limit_exceeded"),
        (Fault.RATE_LIMITED_BARE, 429, "tokens", "rate_limit_exceeded"),
        (Fault.SLOW_DOWN, 429, "requests", "slow_down"),
        (Fault.QUOTA, 429, "insufficient_quota", "insufficient_quota"),
        (Fault.UNAUTHORIZED, 401, "invalid_request_error", "invalid_api_key"),
        (Fault.BAD_REQUEST, 400, "invalid_request_error", "invalid_value"),
        (Fault.SERVER_ERROR, 500, "server_error", None),
        (Fault.OVERLOADED, 503, "server_error", "server_is_overloaded"),
    ],
)
async def test_refusals_look_like_those_of_openai(
    fault: Fault, status: int, kind: str, code: str | None
):
    async with troubled(fault) as simulator:
        reply = await ask(simulator, chat_body("one"))
        after = await ask(simulator, chat_body("one"))

    assert (reply.status, reply.error["type"], reply.error["code"]) == (status, kind, code)
    assert set(reply.error) == {"message", "type", "param", "code"}
    assert reply.headers.get("Retry-After") == ("2" if fault is Fault.RATE_LIMITED else None)
    assert after.status == 200
    assert simulator.log.faults() == {fault: 1}
    assert simulator.log.billed_count() == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.BAD_GATEWAY, 502), (Fault.GATEWAY_TIMEOUT, 504), (Fault.NOT_JSON, 200)],
)
async def test_proxies_send_pages(fault: Fault, status: int):
    async with troubled(fault) as simulator:
        reply = await ask(simulator, chat_body("one"))

    assert reply.status == status
    assert reply.headers["Content-Type"].startswith("text/html")
    assert reply.raw.startswith(b"<html>")
    assert simulator.log.served_count() == simulator.log.billed_count() == 0


async def test_a_dropped_socket_gives_no_answer():
    async with troubled(Fault.DROPPED) as simulator:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await ask(simulator, chat_body("one"))

        assert simulator.log.statuses() == {0: 1}
        assert simulator.log.billed_count() == 0


async def test_a_torn_body_is_billed_and_not_served():
    async with troubled(Fault.TORN) as simulator:
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(simulator, chat_body("one"))

        assert simulator.log.billed_count() == 1
        assert simulator.log.served_count() == 0


async def test_a_drip_is_slow_and_whole():
    async with troubled(Fault.DRIP, None) as simulator:
        start_s = monotonic()
        slow = await ask(simulator, chat_body("one"))
        took_s = monotonic() - start_s
        quick = await ask(simulator, chat_body("one"))

    assert took_s >= 0.07
    assert slow.raw == quick.raw


async def test_never_ends_when_the_client_goes():
    async with troubled(Fault.NEVER) as simulator:
        with pytest.raises(TimeoutError):
            await ask(simulator, chat_body("one"), timeout_s=0.1)
        assert simulator.log.in_flight == 1
        await asyncio.sleep(0.2)

        assert simulator.log.in_flight == 0
        assert simulator.log.statuses() == {0: 1}


async def test_never_ends_when_the_simulator_closes():
    start_s = monotonic()
    async with troubled(Fault.NEVER) as simulator:
        waiting = asyncio.create_task(ask(simulator, chat_body("one"), timeout_s=30))
        await asyncio.sleep(0.1)
        assert simulator.log.in_flight == 1
    with pytest.raises(aiohttp.ClientError):
        await waiting

    assert monotonic() - start_s < 20  # of 30
    assert simulator.log.statuses() == {0: 1}


async def test_content_filter_length_and_missing_usage():
    async with troubled(Fault.CONTENT_FILTER, Fault.LENGTH, Fault.NO_USAGE) as simulator:
        filtered, cut, unmeasured = [await ask(simulator, chat_body("one")) for _ in range(3)]

    assert filtered.json["choices"][0]["finish_reason"] == "content_filter"
    assert filtered.text == ""
    assert cut.json["choices"][0]["finish_reason"] == "length"
    assert unmeasured.text.startswith(cut.text)
    assert "usage" not in unmeasured.json
    assert simulator.log.billed_count() == 3


@pytest.mark.parametrize("fault", Fault)
async def test_whatever_happens_the_request_is_in_the_log(fault: Fault):
    async with troubled(fault) as simulator:
        with suppress(aiohttp.ClientError, TimeoutError):
            await ask(simulator, chat_body("one"), timeout_s=0.5)
    (entry,) = simulator.log.entries

    assert entry.outcome.fault is fault
    assert entry.outcome.billed == (fault in SPOILED)


async def test_with_faults_at_random_whoever_tries_again_is_answered():
    plan = FaultPlan(rates={Fault.SERVER_ERROR: 0.3, Fault.RATE_LIMITED: 0.3}, max_in_a_row=2)
    prompts = [f"prompt {number}" for number in range(20)]
    async with Simulator(a_teacher(prompts), SimulatorSettings(faults=plan)) as simulator:
        for prompt in prompts:
            statuses = [(await ask(simulator, chat_body(prompt))).status for _ in range(3)]
            assert 200 in statuses
    assert simulator.log.faults().total() > 5
