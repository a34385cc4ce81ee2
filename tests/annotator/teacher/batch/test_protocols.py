"""Every provider's batches give what OpenAI's give: the same rows answered, failed and asked again,
each paid once."""

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stepdistill.annotator.errors import Overloaded
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import BatchPlan, BatchTimes
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.protocols.gemini import GeminiBatches
from stepdistill.annotator.teacher.batch.protocols.registry import batch_api
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import a_spec, several
from tests.annotator.teacher.batch.asking import (
    AT_ONCE,
    SLOW,
    BatchRun,
    a_batch_run,
    provider_of,
    serving,
)
from tests.annotator.teacher.batch.test_lifecycle import a_part
from tests.annotator.teacher.batch.test_oddities import ROWS, is_tidy, paid_once

PROTOCOLS: tuple[BatchProtocol, ...] = get_args(BatchProtocol)
OTHERS = PROTOCOLS[1:]
NAMELESS: tuple[BatchProtocol, ...] = ("anthropic", "openrouter")
ODD = BatchPlan(
    times=AT_ONCE,
    rows=FaultPlan(
        script=(
            *(Fault.RATE_LIMITED, Fault.BAD_REQUEST, Fault.DROPPED, Fault.SERVER_ERROR),
            *(Fault.CONTENT_FILTER, Fault.LENGTH, Fault.OVERLOADED),
        )
    ),
    repeated=0.2,
    left_out=0.1,
    strangers=2,
)


def shown(outcome: Answer | Failure | None) -> tuple[object, ...]:
    """What a provider has no part in."""
    if isinstance(outcome, Answer):
        if outcome.ending in ("filtered", "refused"):  # Anthropic knows one word for both
            return "", "filtered", outcome.usage, outcome.mode
        return outcome.text, outcome.ending, outcome.usage, outcome.mode
    return (outcome.reason if outcome else None,)


async def outcomes(
    folder: Path, protocol: BatchProtocol, requests: list[Request]
) -> list[tuple[object, ...]]:
    async with (
        serving(None, ODD, protocol=protocol) as simulator,
        a_batch_run(folder, simulator.base_url, protocol=protocol) as run,
    ):
        await run.ask(requests)
        found = [shown(run.outcome(request)) for request in requests]
    assert set(simulator.log.paid().values()) == {1}
    assert is_tidy(simulator)
    return found


@pytest.mark.parametrize("protocol", OTHERS)
async def test_every_row_is_accounted_for_as_openai_has_it(tmp_path: Path, protocol: BatchProtocol):
    requests = several(ROWS)
    theirs = await outcomes(tmp_path / "other", protocol, requests)
    ours = await outcomes(tmp_path / "openai", "openai", requests)
    assert len({len(each) for each in ours}) == 2, "some are answered, some fail"
    assert theirs == ours


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_expired_is_asked_again(tmp_path: Path, protocol: BatchProtocol):
    times = BatchTimes(validating_s=0, running_s=0, window_s=0.05)
    half = BatchPlan(times=times, finished=0.5)
    async with (
        serving(None, half, protocol=protocol) as simulator,
        a_batch_run(tmp_path, simulator.base_url, protocol=protocol) as run,
    ):
        await run.ask(several(ROWS))
        assert run.answered(several(ROWS)) == ROWS
        assert run.has_told("expired") or protocol == "anthropic"
    # OpenRouter gives no results of a batch that expired: what was done of it is done again.
    twice = ROWS // 2 if protocol == "openrouter" else 0
    assert Counter(simulator.log.paid().values())[2] == twice


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_batch_is_cancelled_where_that_can_be(tmp_path: Path, protocol: BatchProtocol):
    async with serving(SLOW, protocol=protocol) as simulator:
        where = tmp_path, simulator.base_url
        async with a_batch_run(*where, protocol=protocol, wait=False) as run:
            await run.ask(several(ROWS))
            await run.teacher.cancel([1], forget=False)
            if protocol == "openrouter":
                assert run.has_told("there is no way to cancel it")
                assert run.part.state == "submitted"
            else:
                await run.teacher.collect()
                first = run.ledger.part(1)
                assert (first.state, first.remote) == ("collected", "cancelled")
    assert not simulator.log.paid()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", [CallKind.CREATE, CallKind.DOWNLOAD, CallKind.BATCH])
async def test_a_lost_answer_neither_loses_nor_doubles(
    tmp_path: Path, protocol: BatchProtocol, kind: CallKind
):
    calls = {kind: FaultPlan(script=(Fault.LOST, Fault.SERVER_ERROR))}
    async with (
        serving(protocol=protocol, calls=calls) as simulator,
        a_batch_run(tmp_path, simulator.base_url, protocol=protocol) as run,
    ):
        await run.ask(several(ROWS))
        assert run.answered(several(ROWS)) == ROWS
    assert paid_once(simulator)
    assert is_tidy(simulator)


async def a_foreign_batch(run: BatchRun, protocol: BatchProtocol, folder: Path) -> None:
    """Somebody else makes a batch of as many requests in the same workspace."""
    teacher = run.context.teacher
    async with a_batch_run(folder, teacher.base_url, protocol=protocol, wait=False) as other:
        await other.ask([a_request(f"{folder.name} {number}") for number in range(ROWS)])


def killed_in_creation(run: BatchRun) -> BatchPart:
    return run.ledger.move(a_part(run), "creating", submission=1)


@pytest.mark.parametrize("protocol", NAMELESS)
async def test_a_batch_of_others_is_waited_for_and_let_alone(
    tmp_path: Path, protocol: BatchProtocol
):
    brief = BatchPlan(times=BatchTimes(validating_s=0, running_s=0.3, finalizing_s=0))
    async with (
        serving(None, brief, protocol=protocol) as simulator,
        a_batch_run(tmp_path, simulator.base_url, protocol=protocol) as run,
    ):
        killed_in_creation(run)
        await a_foreign_batch(run, protocol, tmp_path / "theirs")
        await run.teacher.collect()
        assert (run.part.state, run.part.is_unsure) == ("submitted", True)
        await run.teacher.cancel([run.part.number], forget=False)
        await run.ask(several(ROWS))
        assert run.answered(several(ROWS)) == ROWS
        assert run.has_told("it may be somebody else's")
        assert run.has_told("is not of this run: it is let alone")
        assert not run.part.is_unsure
        names = {request.key.hex() for request in several(ROWS)}
    paid = simulator.log.batch.paid()
    assert {paid[name] for name in names} == {1}
    assert [call.kind for call in simulator.log.batch.calls if call.kind is CallKind.CANCEL] == []
    assert len(simulator.log.batch.batches) == 2


@pytest.mark.parametrize("protocol", NAMELESS)
@pytest.mark.parametrize("running_s", [0, 0.3])
async def test_ones_own_batch_is_found_among_those_of_others(
    tmp_path: Path, protocol: BatchProtocol, running_s: float
):
    brief = BatchPlan(times=BatchTimes(validating_s=0, running_s=running_s, finalizing_s=0))
    async with (
        serving(brief, protocol=protocol) as simulator,
        a_batch_run(tmp_path, simulator.base_url, protocol=protocol) as run,
    ):
        part = killed_in_creation(run)
        await a_foreign_batch(run, protocol, tmp_path / "earlier")
        async with batch_api(run.context.teacher) as api:
            await api.create(part, run.ledger.folder / part.file_name)
        await a_foreign_batch(run, protocol, tmp_path / "later")
        await run.ask(several(ROWS))
        assert run.answered(several(ROWS)) == ROWS
    assert len(simulator.log.batch.batches) == 3
    assert set(simulator.log.batch.paid().values()) == {1}


async def test_a_file_goes_to_no_other_host(tmp_path: Path):
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(headers={"X-Goog-Upload-URL": "http://elsewhere.example/here"})

    application = web.Application()
    application.router.add_post("/upload/v1beta/files", elsewhere)
    async with TestServer(application) as server:
        spec = a_spec(str(server.make_url("/v1beta")), "sk-test", provider=provider_of("gemini"))
        async with (
            a_batch_run(tmp_path, spec.base_url, protocol="gemini") as run,
            GeminiBatches(spec) as api,
        ):
            part = a_part(run)
            with pytest.raises(Overloaded, match="at another host"):
                await api.upload(part, run.ledger.folder / part.file_name)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("running_s", [0, 0.3])
async def test_parts_of_one_size_whose_creations_went_unheard_find_their_own(
    tmp_path: Path, protocol: BatchProtocol, running_s: float
):
    calls = {CallKind.CREATE: FaultPlan(script=(Fault.LOST,) * 4)}
    brief = BatchPlan(times=BatchTimes(validating_s=0, running_s=running_s, finalizing_s=0))
    async with (
        serving(brief, protocol=protocol, calls=calls) as simulator,
        a_batch_run(tmp_path, simulator.base_url, protocol=protocol, max_requests=ROWS // 4) as run,
    ):
        await run.ask(several(ROWS))
        assert run.answered(several(ROWS)) == ROWS
        assert len({part.batch_id for part in run.ledger.parts()}) == 4
    assert len(simulator.log.batch.batches) == 4
    assert paid_once(simulator)
    assert is_tidy(simulator)
