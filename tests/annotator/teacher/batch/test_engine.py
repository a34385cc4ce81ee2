"""Online and batch over one store: a switch in the middle pays nothing twice."""

from pathlib import Path

import pytest

from stepdistill.annotator.errors import BatchesRunning, NotAuthorised
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.settings import BatchPlan, BatchTimes
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.teacher.online.engine import FailurePolicy, OnlineTeacher
from stepdistill.annotator.teacher.progress import Progress
from tests.annotator.teacher.asking import QUICK, a_context, a_spec, each, several
from tests.annotator.teacher.batch.asking import (
    AT_ONCE,
    SLOW,
    BatchRun,
    Clock,
    a_batch_run,
    missing,
    serving,
)
from tests.annotator.teacher.batch.test_oddities import ROWS, is_tidy, paid_once

HALF_DONE = BatchPlan(times=BatchTimes(validating_s=0, running_s=0, cancelling_s=0), finished=0.5)


async def ask_online(run: BatchRun, base_url: str, requests: list[Request]) -> Progress:
    """What an online run over the same store does."""
    async with GroupCommit(run.store) as group_commit:
        context = a_context(a_spec(base_url, "sk-test", concurrency=4), run.store, group_commit)
        async with OnlineTeacher(context, failures=FailurePolicy(retry=QUICK)) as teacher:
            await teacher.ask_all(each(missing(run.store, requests)))
    return context.progress


async def test_what_was_answered_online_goes_into_no_part(tmp_path: Path):
    requests = several(ROWS)
    async with serving() as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await ask_online(run, simulator.base_url, requests[:15])
        await run.ask(missing(run.store, requests))

        assert run.part.requests == ROWS - 15
        assert run.answered(requests) == ROWS
    assert paid_once(simulator)


async def test_an_online_run_asks_nothing_that_is_in_a_live_batch(tmp_path: Path):
    async with serving(SLOW) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url, wait=False) as run:
            await run.ask(several(ROWS))
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            with pytest.raises(BatchesRunning, match="40 of these requests are in 1 batch"):
                await run.make_way(missing(run.store, several(ROWS)))
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            with pytest.raises(BatchesRunning, match="1 of these requests are in 1 batch"):
                await run.make_way(several(ROWS + 5)[ROWS - 1 :])
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.make_way(several(ROWS + 5)[ROWS:])  # about others it does not mind
    assert not simulator.log.entries


async def test_an_online_run_takes_in_what_has_ended_and_asks_the_rest(tmp_path: Path):
    expiring = BatchPlan(times=BatchTimes(validating_s=0, window_s=60), finished=0)
    clock = Clock()
    async with serving(None, BatchPlan(times=AT_ONCE), expiring, clock=clock) as simulator:
        async with a_batch_run(
            tmp_path, simulator.base_url, wait=False, max_requests=ROWS // 2
        ) as run:
            await run.ask(several(ROWS))
        clock.now += 61
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.make_way(missing(run.store, several(ROWS)))
            assert run.answered(several(ROWS)) == ROWS // 2
            progress = await ask_online(run, simulator.base_url, several(ROWS))
            assert progress.asked == ROWS // 2
            assert not run.ledger.open_parts()
    assert paid_once(simulator)


async def test_an_online_run_takes_back_what_was_never_sent(tmp_path: Path):
    async with serving(SLOW) as simulator:
        async with a_batch_run(
            tmp_path, simulator.base_url, wait=False, max_requests=ROWS // 2, enqueued_tokens=150
        ) as run:
            await run.ask(several(ROWS))
            assert [part.state for part in run.ledger.parts()] == ["submitted", "prepared"]
        held_back = several(ROWS)[ROWS // 2 :]
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.make_way(missing(run.store, held_back))
            progress = await ask_online(run, simulator.base_url, held_back)
            assert progress.asked == ROWS // 2
            assert [part.state for part in run.ledger.parts()] == ["submitted", "released"]
            await run.teacher.cancel([1], forget=False)
            await run.teacher.collect()
    assert set(simulator.log.paid().values()) == {1}
    assert is_tidy(simulator)


async def test_a_slow_batch_is_cancelled_and_its_rest_asked_online_in_the_same_run(
    tmp_path: Path,
):
    clock = Clock()
    async with serving(HALF_DONE) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url, wait=False, clock=clock) as run:
            await run.ask(several(ROWS))
        clock.now += 21 * 3600
        async with a_batch_run(
            tmp_path, simulator.base_url, clock=clock, fallback_online_after_s=20 * 3600
        ) as run:
            await run.ask(missing(run.store, several(ROWS)))

            modes = [o.mode for r in several(ROWS) if isinstance(o := run.outcome(r), Answer)]
            assert sorted(modes) == ["batch"] * (ROWS // 2) + ["online"] * (ROWS // 2)
            assert run.progress.batch.prompt and run.progress.online.prompt
            assert list(run.ledger.folder.iterdir()) == []
    assert len(simulator.log.batch.batches) == 1
    assert paid_once(simulator)


async def test_before_its_time_a_batch_is_waited_for(tmp_path: Path):
    clock = Clock()
    async with (
        serving(BatchPlan(times=BatchTimes(running_s=0.3))) as simulator,
        a_batch_run(
            tmp_path, simulator.base_url, clock=clock, fallback_online_after_s=20 * 3600
        ) as run,
    ):
        await run.ask(several(ROWS))
        assert not run.part.cancelled
    assert not simulator.log.entries


async def test_a_request_whose_tries_are_used_up_in_batches_is_still_asked_online(tmp_path: Path):
    failing = BatchPlan(times=AT_ONCE, rows=FaultPlan(rates={Fault.SERVER_ERROR: 1.0}))
    clock = Clock()
    stuck = BatchPlan(times=BatchTimes(validating_s=0, cancelling_s=0), finished=0)
    async with serving(stuck, failing, failing) as simulator:
        for _ in range(3):
            async with a_batch_run(tmp_path, simulator.base_url, wait=False, clock=clock) as run:
                await run.ask(missing(run.store, several(ROWS)))
        clock.now += 3600
        async with a_batch_run(
            tmp_path, simulator.base_url, clock=clock, fallback_online_after_s=60
        ) as run:
            await run.ask(missing(run.store, several(ROWS)))
            assert run.answered(several(ROWS)) == ROWS
    assert paid_once(simulator)


@pytest.mark.parametrize("is_online", [True, False])
async def test_batches_of_a_simulator_that_is_gone_are_given_up(tmp_path: Path, is_online: bool):
    async with (
        serving(SLOW) as gone,
        a_batch_run(tmp_path, gone.base_url, wait=False, is_embedded=True) as run,
    ):
        await run.ask(several(ROWS))
    async with (
        serving() as simulator,
        a_batch_run(tmp_path, simulator.base_url, is_embedded=True) as run,
    ):
        if is_online:
            await run.make_way(several(ROWS))
            await ask_online(run, simulator.base_url, several(ROWS))
        else:
            await run.ask(several(ROWS))
        assert run.answered(several(ROWS)) == ROWS
        assert not run.ledger.open_parts()
    assert paid_once(simulator)


async def test_rows_that_ask_the_same_share_one_line(tmp_path: Path):
    async with serving() as simulator, a_batch_run(tmp_path, simulator.base_url) as run:
        await run.ask([*several(3), *several(3)])
        assert run.part.requests == 3


async def test_a_stopped_run_leaves_and_the_next_collects(tmp_path: Path):
    async with serving(BatchPlan(times=BatchTimes(running_s=0.5))) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            stopped = run.ask(several(ROWS))
            simulator.log.batch.on_call = lambda _: run.teacher.stop()
            await stopped
            simulator.log.batch.on_call = None
            assert run.answered(several(ROWS)) == 0
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.ask(missing(run.store, several(ROWS)))
            assert run.answered(several(ROWS)) == ROWS
    assert paid_once(simulator)
    assert is_tidy(simulator)


async def test_a_file_that_no_batch_was_created_for_is_removed_when_it_is_taken_back(
    tmp_path: Path,
):
    calls = {CallKind.CREATE: FaultPlan(script=(Fault.UNAUTHORIZED,))}
    async with serving(calls=calls) as simulator:
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            with pytest.raises(NotAuthorised):
                await run.ask(several(ROWS))
            assert run.part.state == "uploaded"
        async with a_batch_run(tmp_path, simulator.base_url) as run:
            await run.make_way(several(ROWS))
            assert run.part.state == "released"
            await ask_online(run, simulator.base_url, several(ROWS))
    assert is_tidy(simulator)
    assert paid_once(simulator)
