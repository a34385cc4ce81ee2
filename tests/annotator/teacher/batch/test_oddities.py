"""Everything odd that a batch may do: each is handled, named, and every request gets its state."""

from pathlib import Path

import pytest

from stepdistill.annotator.errors import BatchLost, RequestsRefused
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import BatchPlan, BatchTimes
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from tests.annotator.teacher.asking import a_spec, several
from tests.annotator.teacher.batch.asking import (
    AT_ONCE,
    SLOW,
    Clock,
    a_batch_run,
    missing,
    serving,
)

ROWS = 40
EXPIRING = BatchTimes(validating_s=0, running_s=60, finalizing_s=0, window_s=0.3)


def paid_once(simulator: Simulator) -> bool:
    """Whether by the simulator's books every request was paid, and once."""
    paid = simulator.log.paid()
    return len(paid) == ROWS and set(paid.values()) == {1}


def is_tidy(simulator: Simulator) -> bool:
    """Whether nothing of ours was left at the teacher's."""
    return not simulator.log.batch.orphans() and not simulator.log.batch.unused_files()


async def test_every_request_is_answered_kept_as_batch_and_paid_once(tmp_path: Path):
    requests = several(ROWS)
    async with serving() as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(requests)

        answers = [run.outcome(request) for request in requests]
        assert all(isinstance(answer, Answer) and answer.mode == "batch" for answer in answers)
        assert (run.progress.asked, run.progress.failed) == (ROWS, 0)
        assert run.progress.batch.prompt and not run.progress.online.prompt
        assert run.part.state == "collected"
        assert [stamp.state for stamp in run.part.history] == [
            *("prepared", "uploading", "uploaded", "creating", "submitted"),
            *("completed", "collected"),
        ]
        assert list((run.ledger.folder).iterdir()) == []
    assert paid_once(simulator)
    assert is_tidy(simulator)


@pytest.mark.parametrize("listed", [True, False])
async def test_an_expired_batch_keeps_its_rows_and_the_rest_is_asked_again(
    tmp_path: Path, listed: bool
):
    expiring = BatchPlan(times=EXPIRING, finished=0.5, unfinished_listed=listed)
    async with (
        serving(None, expiring) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask(several(ROWS))

        assert run.answered(several(ROWS)) == ROWS
        assert len(run.ledger.parts()) == 2
        assert run.has_told("is expired")
    assert paid_once(simulator)


async def test_requests_that_never_fare_better_become_failures_after_three_batches(tmp_path: Path):
    expiring = BatchPlan(times=BatchTimes(validating_s=0, window_s=0.01), finished=0)
    async with serving(expiring) as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(several(3))

        assert len(simulator.log.batch.batches) == 3
        for request in several(3):
            outcome = run.outcome(request)
            assert isinstance(outcome, Failure)
            assert outcome.reason == "teacher_unavailable"
            assert "3 batches" in outcome.detail
        assert run.progress.failed == 3


async def test_all_rows_refused_alike_end_the_run_and_there_is_no_output_file(tmp_path: Path):
    refused = BatchPlan(
        times=AT_ONCE, rows=FaultPlan(rates={Fault.BAD_REQUEST: 1.0}), blank_error_file_id=True
    )
    async with serving(refused) as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        with pytest.raises(
            RequestsRefused, match=r"first 20 requests were refused alike.*not acce"
        ):
            await run.ask(several(ROWS))

        outcomes = {type(run.outcome(request)) for request in several(ROWS)}
        assert outcomes == {Failure}
        assert len(simulator.log.batch.batches) == 1
        assert not simulator.log.paid()


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.DROPPED])
async def test_rows_in_the_error_file_that_may_fare_better_are_asked_again(
    tmp_path: Path, fault: Fault
):
    troubled = BatchPlan(times=AT_ONCE, rows=FaultPlan(rates={fault: 0.5}, seed=3))
    async with (
        serving(None, troubled) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask(several(ROWS))

        assert run.answered(several(ROWS)) == ROWS
        assert len(run.ledger.parts()) == 2
    assert paid_once(simulator)


async def test_rows_that_the_filter_refuses_fail_and_are_not_asked_again(tmp_path: Path):
    filtered = BatchPlan(times=AT_ONCE, rows=FaultPlan(script=(Fault.CONTENT_FILTER, Fault.LENGTH)))
    async with serving(filtered) as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(several(4))

        finishes = [o.finish for r in several(4) if isinstance(o := run.outcome(r), Answer)]
        assert sorted(finishes) == ["content_filter", "length", "stop", "stop"]
        assert len(run.ledger.parts()) == 1


async def test_missing_rows_are_asked_again(tmp_path: Path):
    leaky = BatchPlan(times=AT_ONCE, left_out=0.3)
    async with serving(None, leaky) as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(several(ROWS))

        assert run.answered(several(ROWS)) == ROWS
        assert run.has_told("requests missing")
    assert paid_once(simulator)


async def test_lines_in_any_order_twice_and_about_strangers(tmp_path: Path):
    messy = BatchPlan(times=AT_ONCE, repeated=0.5, strangers=3, blank_error_file_id=True)
    async with serving(messy) as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask(several(ROWS))

        assert run.progress.asked == run.answered(several(ROWS)) == ROWS
        assert run.has_told("lines about unknown requests: 3")
        assert run.has_told("duplicate lines")
    prompt, completion = simulator.log.batch.billed_tokens()
    assert (run.progress.batch.prompt, run.progress.batch.completion) == (prompt, completion)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("silent", [True, False])
async def test_a_download_that_breaks_within_a_line_goes_on(
    tmp_path: Path, ranges: bool, silent: bool
):
    torn = {CallKind.DOWNLOAD: FaultPlan(script=(Fault.TORN, Fault.TORN))}
    async with (
        serving(calls=torn, ranges=ranges, silent_cut=silent) as simulator,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        await run.ask(several(ROWS))

        assert run.progress.asked == run.answered(several(ROWS)) == ROWS
        assert len(run.ledger.parts()) == 1
        assert run.has_told("going on")
    assert paid_once(simulator)


async def test_files_that_are_gone_are_named_and_their_rows_asked_again(tmp_path: Path):
    clock = Clock()
    async with serving(clock=clock, kept_s=30 * 86_400) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url, wait=False) as run:
            await run.ask(several(ROWS))
            assert run.progress.waiting == ROWS
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            batch_id = run.part.batch_id
            async with OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api:
                assert (await api.batch(str(batch_id))).status == "completed"
            clock.now += 31 * 86_400
            await run.ask(missing(run.store, several(ROWS)))

            assert run.answered(several(ROWS)) == ROWS
            assert run.has_told("not kept any more")


async def test_a_batch_that_this_key_does_not_see_is_not_asked_again(tmp_path: Path):
    async with serving(SLOW) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url, wait=False) as run:
            await run.ask(several(ROWS))
        async with a_batch_run(tmp_path, simulator.base_url, key="sk-other") as run:
            with pytest.raises(BatchLost, match="key of another project"):
                await run.ask(missing(run.store, several(ROWS)))
            assert run.part.state == "submitted"
    assert len(simulator.log.batch.batches) == 1
