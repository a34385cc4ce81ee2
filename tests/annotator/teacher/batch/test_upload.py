"""What stands between a part and its batch: limits, refusals, files not seen, answers lost."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stepdistill.annotator.errors import BatchRefused, ModelGone, NotAuthorised, QuotaSpent
from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import BatchLimits, BatchPlan, BatchTimes
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import SimulatedModel, Simulator, SimulatorSettings
from stepdistill.annotator.store.answer import Failure
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import several
from tests.annotator.teacher.batch.asking import AT_ONCE, a_batch_run, serving
from tests.annotator.teacher.batch.test_oddities import is_tidy

ROWS = 40
BRISK = BatchPlan(times=BatchTimes(validating_s=0.02, running_s=0.1, finalizing_s=0))


def paid_once(simulator: Simulator) -> bool:
    """Whether by the simulator's books every request was paid, and once."""
    paid = simulator.log.paid()
    return len(paid) == ROWS and set(paid.values()) == {1}


async def test_parts_keep_within_requests_and_bytes(tmp_path: Path):
    async with (
        serving() as simulator,
        a_batch_run(tmp_path, simulator.base_url, max_requests=15, max_mb=0.003) as run,
    ):
        await run.ask(several(ROWS))

        parts = run.ledger.parts()
        assert max(part.requests for part in parts) <= 15
        assert max(part.bytes for part in parts) <= 3_000
        assert sum(part.requests for part in parts) == ROWS
    assert paid_once(simulator)


async def test_parts_are_held_back_until_there_is_room_for_their_tokens(tmp_path: Path):
    limits = BatchLimits(enqueued_tokens=120)
    async with (
        serving(BRISK, limits=limits) as simulator,
        a_batch_run(tmp_path, simulator.base_url, enqueued_tokens=120) as run,
    ):
        await run.ask(several(ROWS))

        assert max(part.tokens for part in run.ledger.parts()) <= 120
        assert {part.submission for part in run.ledger.parts()} == {1}
    assert paid_once(simulator)


@pytest.mark.parametrize("refused", [True, False])
async def test_a_part_for_which_there_is_no_room_waits_and_is_not_lost(
    tmp_path: Path, refused: bool
):
    limits = BatchLimits(enqueued_tokens=1_500, enqueued_refused=refused)
    requests = [a_request("word " * 40 + str(n)) for n in range(ROWS)]  # of about 50 tokens each
    async with (
        serving(BRISK, limits=limits) as simulator,
        a_batch_run(tmp_path, simulator.base_url, max_requests=20) as run,
    ):
        await run.ask(requests)

        assert run.answered(requests) == ROWS
        assert run.has_told("queue is full")
    assert paid_once(simulator)


async def test_a_part_that_no_room_could_hold_is_split(tmp_path: Path):
    limits = BatchLimits(enqueued_tokens=100)
    async with (
        serving(BRISK, limits=limits) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask(several(ROWS))

        assert run.answered(several(ROWS)) == ROWS
        assert run.has_told("is split for the token limit")
    assert paid_once(simulator)
    assert is_tidy(simulator)


LONG = a_request("what is it, " * 200)


@pytest.mark.parametrize(
    ("option", "names"),
    [({"enqueued_tokens": 100}, "--enqueued-tokens"), ({"max_mb": 0.001}, "--max-batch-mb")],
)
async def test_a_row_that_no_part_could_hold_fails_alone_and_is_not_sent(
    tmp_path: Path, option: dict[str, Any], names: str
):
    async with (
        serving() as simulator,
        a_batch_run(tmp_path, simulator.base_url, **option) as run,
    ):
        await run.ask([*several(3), LONG, LONG, *several(5)])

        assert run.answered(several(5)) == 5
        assert (run.progress.asked, run.progress.failed) == (5, 1)
        outcome = run.outcome(LONG)
        assert isinstance(outcome, Failure)
        assert outcome.reason == "too_long_for_limit"
        assert names in outcome.detail
    assert sum(simulator.log.paid().values()) == 5


async def test_nor_where_the_teacher_names_the_limit_later(tmp_path: Path):
    limits = BatchLimits(enqueued_tokens=200)
    async with (
        serving(BRISK, limits=limits) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask([*several(ROWS), LONG])

        assert run.answered(several(ROWS)) == ROWS
        assert isinstance(run.outcome(LONG), Failure)
        assert run.progress.failed == 1
    assert paid_once(simulator)


async def test_where_no_row_fits_nothing_is_sent(tmp_path: Path):
    async with (
        serving() as simulator,
        a_batch_run(tmp_path, simulator.base_url, enqueued_tokens=2) as run,
    ):
        await run.ask(several(3))

        assert run.progress.failed == 3
    assert not simulator.log.batch.uploads


async def test_too_many_creations_wait_and_are_not_lost(tmp_path: Path):
    limits = BatchLimits(creations=2, creations_window_s=0.5)
    async with (
        serving(limits=limits) as simulator,
        a_batch_run(tmp_path, simulator.base_url, max_requests=10) as run,
    ):
        await run.ask(several(ROWS))

        assert len(simulator.log.batch.batches) == 4
    assert paid_once(simulator)


@pytest.mark.parametrize("fails", [True, False])
async def test_a_file_that_is_not_seen_at_once_is_waited_for(tmp_path: Path, fails: bool):
    async with (
        serving(hidden_s=0.4, hidden_fails=fails) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask(several(ROWS))

        assert len(simulator.log.batch.uploads) == 1
    assert paid_once(simulator)


@asynccontextmanager
async def answering(reply: Callable[[web.Request], web.Response]) -> AsyncGenerator[str]:
    """The address of a server that has nothing of its own, and makes no batch."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return reply(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    "protocol",
    [*("anthropic", "openrouter", "gemini"), pytest.param("together", marks=pytest.mark.slow)],
)
async def test_a_model_that_is_not_there_is_no_file_that_is_not_seen(
    tmp_path: Path, protocol: BatchProtocol
):
    made: list[str] = []

    def reply(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"data": []})
        if request.method == "DELETE":
            return web.json_response({})
        if "/files" in request.path:
            address = {"X-Goog-Upload-URL": str(request.url)}
            file = {"id": "file-1", "name": "files/1"}
            return web.json_response({**file, "file": file}, headers=address)
        made.append(request.path)
        error = {"code": 404, "type": "not_found_error", "message": "model gpt-9 is not there"}
        return web.json_response({"type": "error", "error": error}, status=404)

    async with (
        answering(reply) as address,
        a_batch_run(tmp_path, f"{address}/v1", protocol=protocol) as run,
    ):
        with pytest.raises(BatchRefused, match="model gpt-9 is not there"):
            await run.ask(several(3))

        assert run.part.is_unsent
    assert len(made) == 1 or protocol == "together", "its file may be meant"


async def test_a_creation_without_a_name_in_its_reply_is_looked_for_and_not_made_again(
    tmp_path: Path,
):
    made: list[str] = []
    job = {"id": "batch-1", "input_file_id": "file-1", "status": "IN_PROGRESS"}

    def reply(request: web.Request) -> web.Response:
        if "/files" in request.path:
            return web.json_response({"id": "file-1", "data": []})
        if request.method == "POST":
            made.append(request.path)
            return web.json_response({"job": {}, "warning": "busy"})
        return web.json_response([job] if request.path.endswith("/batches") else job)

    async with (
        answering(reply) as address,
        a_batch_run(tmp_path, f"{address}/v1", protocol="together", wait=False) as run,
    ):
        await run.ask(several(3))

        assert run.part.batch_id == "batch-1"
    assert len(made) == 1


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.SERVER_ERROR])
@pytest.mark.parametrize(
    "kind",
    [CallKind.UPLOAD, CallKind.CREATE, CallKind.BATCH, CallKind.DOWNLOAD, CallKind.BATCHES],
)
async def test_a_call_that_fails_or_whose_answer_is_lost_changes_nothing(
    tmp_path: Path, kind: CallKind, fault: Fault
):
    calls = {kind: FaultPlan(script=(fault,))}
    if kind is CallKind.BATCHES:  # which is called only when a creation is in doubt
        calls[CallKind.CREATE] = FaultPlan(script=(Fault.LOST,))
    async with (
        serving(calls=calls) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask(several(ROWS))

        assert run.progress.asked == ROWS
        assert len(simulator.log.batch.batches) == 1
    assert paid_once(simulator)
    assert is_tidy(simulator)


async def test_a_refused_key_stops_with_a_line_and_nothing_is_lost(tmp_path: Path):
    calls = {CallKind.CREATE: FaultPlan(script=(Fault.UNAUTHORIZED,))}
    async with serving(calls=calls) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            with pytest.raises(NotAuthorised, match="OPENAI_API_KEY"):
                await run.ask(several(ROWS))
            assert run.part.state == "uploaded"
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.ask(several(ROWS))
        assert len(simulator.log.batch.uploads) == 1
    assert paid_once(simulator)


async def test_a_quota_used_up_within_a_batch_stops_the_run_and_keeps_what_is_answered(
    tmp_path: Path,
):
    poor = BatchPlan(times=AT_ONCE, rows=FaultPlan(rates={Fault.QUOTA: 0.5}, seed=1))
    async with serving(None, poor) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            with pytest.raises(QuotaSpent):
                await run.ask(several(ROWS))
            assert 0 < run.answered(several(ROWS)) < ROWS
            assert [part.state for part in run.ledger.parts()] == ["collected", "prepared"]
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.ask([r for r in several(ROWS) if r.key not in run.store])
    assert paid_once(simulator)


async def test_a_batch_that_fails_for_good_stops_the_run_with_its_reason(tmp_path: Path):
    failing = BatchPlan(times=AT_ONCE, fails="invalid_endpoint")
    async with (
        serving(failing) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        with pytest.raises(BatchRefused, match="invalid_endpoint"):
            await run.ask(several(ROWS))
        assert not run.ledger.open_parts()
        assert set(run.ledger.claims([r.key for r in several(ROWS)])) == {0}
    assert len(simulator.log.batch.batches) == 1


async def test_a_model_that_is_gone_before_the_batch_must_be_done_is_refused(tmp_path: Path):
    tomorrow = (datetime.now(UTC) + timedelta(hours=12)).date().isoformat()
    simulator = Simulator(
        SimulatedTeacher(),
        SimulatorSettings(models=(SimulatedModel(id="any-model", shutdown_date=tomorrow),)),
    )
    async with simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        with pytest.raises(ModelGone, match=tomorrow):
            await run.ask(several(ROWS))
        assert not run.ledger.parts()
    assert not simulator.log.batch.uploads


async def test_a_model_that_lives_longer_is_asked(tmp_path: Path):
    later = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    simulator = Simulator(
        SimulatedTeacher(),
        SimulatorSettings(models=(SimulatedModel(id="any-model", shutdown_date=later),)),
    )
    async with simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(several(2))
        assert run.answered(several(2)) == 2


async def test_lines_that_the_teacher_cannot_read_fail_and_the_others_are_asked_again(
    tmp_path: Path,
):
    broken = a_request(model="another-model")  # model_mismatch, on line 2
    requests = [several(2)[0], broken, several(2)[1]]
    async with serving() as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(requests)

        outcome = run.outcome(broken)
        assert isinstance(outcome, Failure)
        assert "model_mismatch" in outcome.detail
        assert run.answered(requests) == 2
