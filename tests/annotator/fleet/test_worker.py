"""A worker, without an engine between it and who calls."""

import time
from pathlib import Path

from stepdistill.annotator.fleet.messages import Call, WorkerSpec
from stepdistill.annotator.fleet.worker import FleetWorker
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from tests.journeys.test_row_to_shard import simulator


async def test_a_worker_that_has_nothing_left_to_do_says_so_at_once(tmp_path: Path) -> None:
    async with simulator(tmp_path) as teacher:
        config = RunSettings(
            task="demo",
            splits=("train",),
            teacher="t",
            base_url=teacher.base_url,
            prompts=shipped_tasks(),
            store=tmp_path,
            out=tmp_path,
        )
        spec = WorkerSpec(
            name="w",
            teacher=teacher_spec(config),
            tariff=None,
            local_store=tmp_path / "own",
            answered_before=False,
            environment={},
        )
        worker = FleetWorker(spec, spec.local_store)
        await worker.open()
        requests = [row.label for row in make_plans(config)[0].rows()][:40]
        began_s = time.monotonic()
        for arrived, request in enumerate(requests):
            reply = await worker.call(
                Call(requests=[request], share=1.0, ceiling_usd=None, arrived=arrived)
            )
            while not reply.outcomes:  # it had nothing to do when it was asked
                reply = await worker.call(Call(share=1.0, ceiling_usd=None, arrived=arrived))
            assert [key for key, _ in reply.outcomes] == [request.key]
            assert reply.is_done
        # To wait for more to tell each time would take ten seconds.
        assert time.monotonic() - began_s < 7
        await worker.close()
