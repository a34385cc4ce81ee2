"""All requests are asked once, at most so many at a time, and each is stored before it counts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import orjson
import pytest

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.simulator.faults import Fault, FaultPlan, Latency
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from stepdistill.annotator.store.answer import Failure, Usage
from stepdistill.common.errors import DatasetError, StoreError
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import ONCE, Asking, Echo, several, simulator, until

SLOW = Latency(median_ms=40)


class Talker:
    """A teacher whose answers are this long."""

    def __init__(self, characters: int) -> None:
        self.text = "Zürich " * (characters // 7)

    def answer(self, body: Mapping[str, object]) -> str:
        return self.text


async def test_each_request_is_asked_once_and_stored(a_run: Asking, tmp_path: Path):
    async with simulator() as server, a_run(tmp_path, server.base_url, concurrency=4) as run:
        await run.ask(several(20))

        assert all(run.answer(request).finish == "stop" for request in several(20))
        assert set(server.log.served().values()) == {1}
        assert (run.progress.asked, run.progress.failed, run.progress.in_flight) == (20, 0, 0)
    assert server.log.statuses() == {200: 20}
    tokens = (run.progress.prompt_tokens, run.progress.completion_tokens)
    assert tokens == server.log.billed_tokens()


async def test_what_is_sent_is_the_body_and_the_limit_under_its_name(a_run: Asking, tmp_path: Path):
    request = a_request(system="Be kind.", options={"temperature": 0})
    async with Simulator(Echo()) as server:
        name = "max_completion_tokens"
        async with a_run(tmp_path, server.base_url, max_tokens=77, limit_name=name) as run:
            await run.ask([request])
            answer = run.answer(request)

    assert orjson.loads(answer.text) == {**request.body, "max_completion_tokens": 77}
    assert answer.limit == 77
    assert answer.request_id == "req_0000000000000000"


async def test_a_request_in_flight_is_not_asked_again(a_run: Asking, tmp_path: Path):
    async with (
        simulator(latency=SLOW) as server,
        a_run(tmp_path, server.base_url, concurrency=8) as run,
    ):
        await run.ask([a_request()] * 8 + several(2) + [a_request()] * 4)

        assert sorted(server.log.served().values()) == [1, 1, 1]
        assert run.progress.asked == 3


async def test_nor_is_its_twin_that_comes_later_in_the_same_group(a_run: Asking, tmp_path: Path):
    async def one_group() -> AsyncIterator[list[Request]]:
        yield [*several(20), *several(20)]

    async with simulator() as server, a_run(tmp_path, server.base_url) as run:
        await run.teacher.ask_all(one_group())

        assert sorted(server.log.served().values()) == [1] * 20
        assert run.progress.asked == 20


@pytest.mark.parametrize("concurrency", [1, 5])
async def test_no_more_are_in_flight_than_allowed_and_no_fewer(
    a_run: Asking, tmp_path: Path, concurrency: int
):
    async with (
        simulator(latency=Latency(median_ms=25)) as server,
        a_run(tmp_path, server.base_url, concurrency=concurrency) as run,
    ):
        await run.ask(several(10))

    assert server.log.peak_in_flight() == concurrency


async def test_no_more_rows_are_drawn_than_are_in_flight(a_run: Asking, tmp_path: Path):
    drawn = 0

    async def counted() -> AsyncIterator[list[Request]]:
        nonlocal drawn
        for request in several(1000):
            drawn += 1
            yield [request]

    async with (
        simulator(latency=SLOW) as server,
        a_run(tmp_path, server.base_url, concurrency=3) as run,
    ):
        asking = asyncio.create_task(run.teacher.ask_all(counted()))
        await asyncio.sleep(0.1)
        run.teacher.stop()
        await asking

        assert drawn <= run.progress.asked + 3 <= 30


async def test_stop_starts_no_other_request_and_keeps_those_in_flight(
    a_run: Asking, tmp_path: Path
):
    async with (
        simulator(latency=Latency(median_ms=100)) as server,
        a_run(tmp_path, server.base_url, concurrency=3) as run,
    ):
        asking = asyncio.create_task(run.ask(several(50)))
        await until(lambda: server.log.in_flight == 3)
        run.teacher.stop()
        await asking

        assert server.log.statuses() == {200: 1 + 3}, "the first goes alone"
        assert len(run.store) == run.progress.asked == 4


async def test_stop_ends_the_wait_before_another_try(a_run: Asking, tmp_path: Path):
    async with (
        simulator(*[Fault.RATE_LIMITED] * 4, retry_after_s=1.5) as server,
        a_run(tmp_path, server.base_url) as run,
    ):
        asking = asyncio.create_task(run.ask(several(1)))
        await until(lambda: run.progress.retries)
        run.teacher.stop()
        await asyncio.wait_for(asking, 0.5)

        assert server.log.statuses() == {429: 1}
        assert run.outcome(several(1)[0]) is None
        assert run.progress.settled == 0


async def test_an_answer_that_drips_in_is_whole(a_run: Asking, tmp_path: Path):
    async with (
        simulator(Fault.DRIP, drip_s=0.1) as server,
        a_run(tmp_path, server.base_url, retry=ONCE) as run,
    ):
        await run.ask([a_request()])

        assert run.answer(a_request()).text
        assert server.log.statuses() == {200: 1}


@pytest.mark.parametrize("characters", [70_000, 3_000_000])
async def test_a_long_answer_is_whole(a_run: Asking, tmp_path: Path, characters: int):
    teacher = Talker(characters)
    async with (
        Simulator(teacher) as server,
        a_run(tmp_path, server.base_url, retry=ONCE, max_tokens=10_000_000) as run,
    ):
        await run.ask([a_request()])

        assert run.answer(a_request()).text == teacher.text


async def test_a_reply_without_end_is_given_up(a_run: Asking, tmp_path: Path):
    async with (
        Simulator(Talker(9 << 20)) as server,
        a_run(tmp_path, server.base_url, retry=ONCE, max_tokens=10_000_000) as run,
    ):
        await run.ask([a_request()])

        outcome = run.outcome(a_request())
        assert isinstance(outcome, Failure)
        assert "larger than" in outcome.detail


async def test_what_is_paid_for_is_kept_though_it_is_cut_or_filtered(a_run: Asking, tmp_path: Path):
    faults = (Fault.LENGTH, Fault.CONTENT_FILTER, Fault.NO_USAGE)
    async with simulator(*faults) as server, a_run(tmp_path, server.base_url) as run:
        await run.ask(several(3))
        cut, filtered, unmeasured = (run.answer(request) for request in several(3))

    assert (cut.finish, filtered.finish, unmeasured.finish) == ("length", "content_filter", "stop")
    assert (filtered.text, unmeasured.usage) == ("", Usage(is_whole=False))
    assert server.log.statuses() == {200: 3}


async def test_the_key_is_sent_and_stays_out_of_store_and_errors(a_run: Asking, tmp_path: Path):
    script = (None, Fault.BAD_REQUEST, Fault.NOT_JSON, Fault.DROPPED)
    async with (
        simulator(*script, allow_anonymous=False) as server,
        a_run(tmp_path, server.base_url, key="sk-very-secret", retry=ONCE) as run,
    ):
        await run.ask(several(4))

        assert {len(entry.key) for entry in server.log.entries} == {12}
        assert run.progress.failed == 3
        assert b"very-secret" not in (run.store.path / "data.mdb").read_bytes()


async def test_rows_that_cannot_be_read_end_the_run_with_what_was_asked_stored(
    a_run: Asking, tmp_path: Path
):
    async def broken() -> AsyncIterator[list[Request]]:
        yield several(3)
        raise DatasetError("row 3 is broken")

    async with (
        simulator(latency=SLOW) as server,
        a_run(tmp_path, server.base_url, concurrency=5) as run,
    ):
        with pytest.raises(DatasetError, match="row 3"):
            await run.teacher.ask_all(broken())

        assert len(run.store) == server.log.served_count() == 3


async def test_a_store_that_cannot_be_written_ends_the_run(a_run: Asking, tmp_path: Path):
    async with (
        simulator(latency=SLOW) as server,
        a_run(tmp_path, server.base_url, concurrency=2) as run,
    ):
        asking = asyncio.create_task(run.ask(several(50)))
        await until(lambda: server.log.in_flight == 2)
        run.store.close()
        with pytest.raises(StoreError):
            await asking

    assert len(server.log.entries) <= 4
    assert run.progress.asked == 0


async def test_with_faults_of_every_kind_each_request_is_answered_and_paid_for_once(
    a_run: Asking,
    tmp_path: Path,
):
    kinds = (Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.DROPPED, Fault.NOT_JSON, Fault.DRIP)
    plan = FaultPlan(rates=dict.fromkeys(kinds, 0.1), max_in_a_row=2, retry_after_s=0.01)
    settings = SimulatorSettings(faults=plan, drip_s=0.02)
    async with (
        Simulator(Echo(), settings) as server,
        a_run(tmp_path, server.base_url, concurrency=8) as run,
    ):
        await run.ask(several(100))
        texts = [orjson.loads(run.answer(request).text) for request in several(100)]

    assert [text["messages"] for text in texts] == [each.messages for each in several(100)]
    assert set(server.log.served().values()) == {1}
    assert server.log.served_count() == server.log.billed_count() == 100
    assert len(server.log.faults()) == len(kinds)
