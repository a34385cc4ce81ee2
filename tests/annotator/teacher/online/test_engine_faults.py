"""What the teacher does wrong: some of it is tried again, some costs a row, some ends the run."""

import asyncio
import socket
from pathlib import Path

import pytest

from stepdistill.annotator.errors import (
    AgainLater,
    ModelGone,
    NotAuthorised,
    QuotaSpent,
    RunStopped,
    TeacherDown,
)
from stepdistill.annotator.simulator.faults import Fault, Latency
from stepdistill.annotator.simulator.server import SimulatedModel
from stepdistill.annotator.store.answer import Failure
from stepdistill.annotator.teacher.online.circuit_breaker import CircuitBreakerPolicy
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from stepdistill.annotator.teacher.progress import Pause
from stepdistill.annotator.teacher.spec import RateLimits
from stepdistill.common.errors import ConfigError
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import ONCE, QUICK, Asking, several, simulator


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault.RATE_LIMITED, "RateLimited"),
        (Fault.RATE_LIMITED_BARE, "RateLimited"),
        (Fault.SLOW_DOWN, "RateLimited"),
        (Fault.SERVER_ERROR, "Overloaded"),
        (Fault.BAD_GATEWAY, "Overloaded"),
        (Fault.OVERLOADED, "Overloaded"),
        (Fault.GATEWAY_TIMEOUT, "Overloaded"),
        (Fault.NOT_JSON, "PageInstead"),
        (Fault.DROPPED, "ConnectionLost"),
        (Fault.TORN, "ConnectionLost"),
        (Fault.NEVER, "TimedOut"),
    ],
)
async def test_a_passing_trouble_is_tried_again(
    a_run: Asking, tmp_path: Path, fault: Fault, cause: str
):
    async with (
        simulator(fault) as server,
        a_run(tmp_path, server.base_url, timeout_s=1.0 if fault is Fault.NEVER else 9.0) as run,
    ):
        await run.ask([a_request()])

        assert run.answer(a_request()).text
        assert run.progress.retries == {cause: 1}
        assert (run.progress.asked, run.progress.failed) == (1, 0)
    assert server.log.faults() == {fault: 1}
    assert server.log.served_count() == 1


async def test_nobody_comes_back_sooner_than_the_teacher_said(a_run: Asking, tmp_path: Path):
    async with (
        simulator(Fault.RATE_LIMITED, retry_after_s=0.2) as server,
        a_run(tmp_path, server.base_url) as run,
    ):
        await run.ask([a_request()])

    first, second = server.log.entries
    assert second.arrival_s - first.end_s >= 0.2


async def test_tries_used_up_cost_the_row_and_not_the_run(a_run: Asking, tmp_path: Path):
    faults = (*[Fault.SERVER_ERROR] * QUICK.attempts, None)
    async with simulator(*faults) as server, a_run(tmp_path, server.base_url) as run:
        lost, answered = several(2)
        await run.ask([lost])
        await run.ask([answered])

        failure = run.outcome(lost)
        assert isinstance(failure, Failure)
        assert failure.reason == "teacher_unavailable"
        assert "500" in failure.detail
        assert run.answer(answered)
        assert (run.progress.asked, run.progress.failed) == (1, 1)


async def test_a_longer_wait_than_the_budget_ends_the_run_and_costs_no_row(
    a_run: Asking, tmp_path: Path
):
    async with (
        simulator(None, Fault.RATE_LIMITED, retry_after_s=21_600) as server,
        a_run(tmp_path, server.base_url) as run,
    ):
        with pytest.raises(AgainLater, match=r"429.*again in 6 h \(at \d\d:\d\d") as stopped:
            await asyncio.wait_for(run.ask(several(50)), 2)

        assert stopped.value.exit_code == 3
        assert [run.outcome(request) for request in several(3)[1:]] == [None, None]
    assert len(server.log.entries) == 2


@pytest.mark.parametrize("place", [0, 2, 4])
async def test_a_request_above_the_limit_of_a_minute_is_not_sent_and_costs_its_row_alone(
    a_run: Asking, tmp_path: Path, place: int
):
    requests = several(5)
    requests[place] = a_request("words " * 50_000)
    limits = RateLimits(tokens_per_minute=60_000)
    async with (
        simulator() as server,
        a_run(tmp_path, server.base_url, rate_limits=limits, max_tokens=50, concurrency=2) as run,
    ):
        await run.ask(requests)

        failure = run.outcome(requests[place])
        assert isinstance(failure, Failure)
        assert failure.reason == "too_long_for_limit"
        assert "75,000 tokens, and 60,000 may be sent in a minute" in failure.detail
        assert (run.progress.asked, run.progress.failed) == (4, 1)
    assert server.log.statuses() == {200: 4}


async def test_where_the_longest_answer_is_above_the_limit_the_option_is_named(
    a_run: Asking, tmp_path: Path
):
    limits = RateLimits(tokens_per_minute=400)
    async with (
        simulator() as server,
        a_run(tmp_path, server.base_url, rate_limits=limits, max_tokens=500) as run,
    ):
        with pytest.raises(ConfigError, match="lower --max-tokens"):
            await run.ask([a_request("words " * 50_000), *several(2)])
    assert not server.log.entries


async def test_a_bad_request_costs_its_row_alone_and_is_not_tried_again(
    a_run: Asking, tmp_path: Path
):
    faults = (None, Fault.BAD_REQUEST, None)
    async with simulator(*faults) as server, a_run(tmp_path, server.base_url) as run:
        await run.ask(several(3))
        outcomes = [run.outcome(request) for request in several(3)]

    bad = outcomes[1]
    assert isinstance(bad, Failure)
    assert (bad.reason, "not acceptable" in bad.detail) == ("bad_request", True)
    assert sum(isinstance(outcome, Failure) for outcome in outcomes) == 1
    assert server.log.statuses() == {200: 2, 400: 1}


async def test_a_row_that_failed_is_asked_again_by_the_next_run_and_its_failure_goes(
    a_run: Asking,
    tmp_path: Path,
):
    failures: list[Failure | None] = []
    async with simulator(Fault.BAD_REQUEST) as server:
        for _ in range(2):
            async with a_run(tmp_path, server.base_url) as run:
                await run.ask([a_request()])
                with run.store.reading() as stored:
                    failures.append(stored.failure(a_request().key))

    assert [failure is None for failure in failures] == [False, True]
    assert server.log.statuses() == {400: 1, 200: 1}


@pytest.mark.parametrize(
    ("fault", "kind", "exit_code", "words"),
    [
        (Fault.UNAUTHORIZED, NotAuthorised, 2, "OPENAI_API_KEY"),
        (Fault.QUOTA, QuotaSpent, 3, "top it up"),
    ],
)
async def test_what_no_other_request_would_survive_ends_the_run(
    a_run: Asking, tmp_path: Path, fault: Fault, kind: type[RunStopped], exit_code: int, words: str
):
    async with (
        simulator(None, None, fault) as server,
        a_run(tmp_path, server.base_url) as run,
    ):
        with pytest.raises(kind) as stopped:
            await run.ask(several(10))

        assert stopped.value.exit_code == exit_code
        assert words in str(stopped.value)
        assert len(server.log.entries) == 3
        assert len(run.store) == 2
        assert run.outcome(several(3)[2]) is None


async def test_a_model_that_is_not_served_ends_the_run(a_run: Asking, tmp_path: Path):
    async with (
        simulator(models=(SimulatedModel(id="another"),)) as server,
        a_run(tmp_path, server.base_url) as run,
    ):
        with pytest.raises(ModelGone, match=r"any-model.*--teacher"):
            await run.ask(several(5))

        assert server.log.statuses() == {404: 1}


async def test_what_is_in_flight_when_the_run_ends_is_still_stored(a_run: Asking, tmp_path: Path):
    async with (
        simulator(None, None, Fault.QUOTA, latency=Latency(median_ms=50)) as server,
        a_run(tmp_path, server.base_url, concurrency=3) as run,
    ):
        with pytest.raises(QuotaSpent):
            await run.ask(several(30))

        assert len(run.store) == server.log.served_count() >= 2
        assert len(server.log.entries) <= 6


def a_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_teacher_that_is_not_there_ends_the_run_soon(
    a_run: Asking, tmp_path: Path, concurrency: int
):
    url = f"http://127.0.0.1:{a_free_port()}/v1"
    retry = RetryPolicy(attempts=2, first_s=0.01)
    async with a_run(tmp_path, url, retry=retry, concurrency=concurrency) as run:
        with pytest.raises(TeacherDown) as stopped:
            await run.ask(several(1000))

        assert stopped.value.exit_code == 3
        assert url in str(stopped.value)
        assert "\n" not in str(stopped.value)
        assert run.progress.failed + run.progress.asked <= 20
        assert len(run.store) == 0


async def test_a_teacher_that_answers_now_and_then_is_not_down(a_run: Asking, tmp_path: Path):
    script = (*[Fault.SERVER_ERROR] * 4, None, *[Fault.SERVER_ERROR] * 4, None)
    async with (
        simulator(*script) as server,
        a_run(tmp_path, server.base_url, retry=ONCE) as run,
    ):
        await run.ask(several(10))

        assert (run.progress.asked, run.progress.failed) == (2, 8)


async def test_an_outage_pauses_the_run_and_costs_hardly_a_row_a_try(a_run: Asking, tmp_path: Path):
    outage = (None, *[Fault.OVERLOADED] * 30)
    paused: list[Pause] = []
    async with (
        simulator(*outage) as server,
        a_run(tmp_path, server.base_url, concurrency=4) as run,
    ):
        asking = asyncio.create_task(run.ask(several(200)))
        while not asking.done():
            if run.progress.pause is not None and run.progress.pause not in paused:
                paused.append(run.progress.pause)
            await asyncio.sleep(0.001)
        await asking

        assert run.progress.asked + run.progress.failed == 200
        assert run.progress.failed <= 3, "those that probed"
        assert run.progress.pause is None
    assert paused and "503" in paused[0].cause
    probes = server.log.entries[26:32]
    assert max(entry.in_flight for entry in probes) == 1


async def test_an_outage_without_end_stops_the_run_and_the_next_goes_on(
    a_run: Asking, tmp_path: Path
):
    breaker = CircuitBreakerPolicy(opens_after_s=0, first_s=0.01, cap_s=0.02, probes=5)
    async with simulator(*[None] * 10, *[Fault.OVERLOADED] * 20) as server:
        async with a_run(tmp_path, server.base_url, concurrency=4, breaker=breaker) as run:
            with pytest.raises(TeacherDown, match=r"503.*5 probes were in vain"):
                await run.ask(several(100))
            assert run.progress.asked == len(run.store) == 10
        async with a_run(tmp_path, server.base_url, concurrency=4) as run:
            left = [request for request in several(100) if request.key not in run.store]
            await run.ask(left)
            assert len(run.store) == 100
    assert set(server.log.served().values()) == {1}
