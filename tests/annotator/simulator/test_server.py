"""A simulator behind its socket, when nothing goes wrong."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from stepdistill.annotator.simulator.faults import Latency
from stepdistill.annotator.simulator.limits import SimulatedLimits
from stepdistill.annotator.simulator.log import RequestLog
from stepdistill.annotator.simulator.server import SimulatedModel, Simulator, SimulatorSettings
from stepdistill.annotator.simulator.wire import token_count
from tests.annotator.simulator.asking import KNOWN, a_teacher, ask, chat_body

TEXT = f"Label: {KNOWN.label}\nRationale: {KNOWN.rationale}"


async def test_an_answer_is_a_chat_completion():
    async with Simulator(a_teacher()) as simulator:
        reply = await ask(simulator, chat_body("one"), key="sk-secret")

    assert reply.status == 200
    assert reply.headers["x-request-id"].startswith("req_")
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json["object"] == "chat.completion"
    assert reply.json["model"] == "any-model"
    assert reply.json["choices"][0]["finish_reason"] == "stop"
    assert reply.text.split() == TEXT.split()
    usage = reply.json["usage"]
    assert usage["prompt_tokens"] == token_count(len("one"))
    assert usage["completion_tokens"] == token_count(len(reply.text))
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_the_same_request_gets_the_same_bytes_from_any_simulator():
    bodies: list[bytes] = []
    for _ in range(2):
        async with Simulator(a_teacher(accuracy=0.5)) as simulator:
            bodies += [(await ask(simulator, chat_body("one"))).raw for _ in range(2)]

    assert len(set(bodies)) == 1


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_cuts_the_answer_and_says_so(limit: str):
    async with Simulator(a_teacher()) as simulator:
        reply = await ask(simulator, chat_body("one", **{limit: 3}))

    assert reply.text == "Label: addit"
    assert reply.json["choices"][0]["finish_reason"] == "length"
    assert reply.json["usage"]["completion_tokens"] == 3


async def test_the_log_records_who_asked_but_not_with_which_key(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    async with Simulator(a_teacher(), SimulatorSettings(log_file=path)) as simulator:
        reply = await ask(simulator, chat_body("one"), key="sk-secret")
        (entry,) = simulator.log.entries

    assert entry.served
    assert entry.arrival_s <= entry.end_s
    assert entry.outcome.completion_tokens == reply.json["usage"]["completion_tokens"]
    assert RequestLog.read(path).entries == [entry]
    assert b"secret" not in path.read_bytes()


async def test_a_request_without_a_key_is_refused_where_one_is_wanted():
    settings = SimulatorSettings(allow_anonymous=False)
    async with Simulator(a_teacher(), settings) as simulator:
        refused = await ask(simulator, chat_body("one"))
        answered = await ask(simulator, chat_body("one"), key="sk-any")

    assert refused.status == 401
    assert refused.error["type"] == "invalid_request_error"
    assert answered.status == 200


async def test_what_is_no_request_is_refused_and_not_billed():
    async with Simulator(a_teacher()) as simulator:
        reply = await ask(simulator, b"{")

    assert reply.status == 400
    assert set(reply.error) == {"message", "type", "param", "code"}
    assert simulator.log.billed_count() == 0


async def test_models_are_listed_and_others_are_gone():
    card = SimulatedModel(id="small", shutdown_date="2027-01-14")
    async with Simulator(a_teacher(), SimulatorSettings(models=(card,))) as simulator:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{simulator.base_url}/models") as response,
        ):
            listed = await response.json()
        gone = await ask(simulator, chat_body("one"))
        served = await ask(simulator, chat_body("one", model="small"))

    (model,) = listed["data"]
    assert (model["id"], model["shutdown_date"]) == ("small", "2027-01-14")
    assert (gone.status, gone.error["code"]) == (404, "model_not_found")
    assert served.status == 200


async def test_another_address_is_not_found():
    async with (
        Simulator(a_teacher()) as simulator,
        aiohttp.ClientSession() as session,
        session.get(f"{simulator.base_url}/engines") as response,
    ):
        assert response.status == 404
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_limits_are_enforced_and_reported():
    settings = SimulatorSettings(
        limits=SimulatedLimits(requests_per_minute=1, tokens_per_minute=500)
    )
    async with Simulator(a_teacher(), settings, clock=lambda: 100.0) as simulator:
        passed = await ask(simulator, chat_body("one", max_tokens=200))
        refused = await ask(simulator, chat_body("one"))

    assert passed.headers["x-ratelimit-remaining-requests"] == "0"
    assert passed.headers["x-ratelimit-remaining-tokens"] == "300"
    assert refused.status == 429
    assert refused.error["code"] == "rate_limit_exceeded"
    assert refused.headers["Retry-After"] == "60"
    assert [entry.outcome.limit_tokens for entry in simulator.log.entries] == [200, 1]
    assert simulator.log.served_count() == 1


async def test_many_at_once_are_all_answered_and_counted():
    prompts = [f"prompt {number}" for number in range(40)]
    settings = SimulatorSettings(latency=Latency(median_ms=30))
    async with Simulator(a_teacher(prompts), settings) as simulator:
        replies = await asyncio.gather(*(ask(simulator, chat_body(p)) for p in prompts))

    assert all(reply.status == 200 for reply in replies)
    assert len(simulator.log.served()) == 40
    assert set(simulator.log.served().values()) == {1}
    assert 10 < simulator.log.peak_in_flight() <= 40


async def test_an_answer_that_its_client_did_not_wait_for_was_served_all_the_same():
    settings = SimulatorSettings(latency=Latency(median_ms=150))
    async with Simulator(a_teacher(), settings) as simulator:
        with pytest.raises(TimeoutError):
            await ask(simulator, chat_body("one"), timeout_s=0.05)
        await asyncio.sleep(0.2)

        assert simulator.log.served_count() == 1


async def test_a_simulator_that_is_not_running_has_no_address():
    with pytest.raises(RuntimeError, match="not running"):
        _ = Simulator(a_teacher()).base_url
