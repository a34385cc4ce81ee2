"""A worker, without an engine between it and who calls."""

import time
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from stepdistill.annotator.fleet.messages import Call, LeaseUse, WorkerSpec
from stepdistill.annotator.fleet.worker import FleetWorker
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from tests.journeys.money import with_prices
from tests.journeys.test_row_to_shard import simulator


def a_config(folder: Path, base_url: str) -> RunSettings:
    with_prices(folder)
    return RunSettings(
        task="demo",
        splits=("train",),
        teacher="priced",
        base_url=base_url,
        prompts=shipped_tasks(),
        prices=folder / "prices.yaml",
        max_tokens=60,
        store=folder,
        out=folder,
    )


def a_worker(folder: Path, config: RunSettings, tariff: Tariff | None = None) -> FleetWorker:
    spec = WorkerSpec(
        name="w",
        teacher=teacher_spec(config),
        tariff=tariff,
        local_store=folder / "own",
        answered_before=False,
        environment={},
    )
    return FleetWorker(spec, spec.local_store)


def requests_of(config: RunSettings, n: int) -> list[Request]:
    return [row.label for row in islice(make_plans(config)[0].rows(), n)]


async def test_a_worker_that_has_nothing_left_to_do_says_so_at_once(tmp_path: Path) -> None:
    async with simulator(tmp_path) as teacher:
        config = a_config(tmp_path, teacher.base_url)
        worker = a_worker(tmp_path, config)
        await worker.open()
        began_s = time.monotonic()
        for arrived, request in enumerate(requests_of(config, 40)):
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


async def test_who_waits_for_money_wants_it_still_when_less_than_that_has_come(
    tmp_path: Path,
) -> None:
    async with simulator(tmp_path) as teacher:
        config = a_config(tmp_path, teacher.base_url)
        worker = a_worker(tmp_path, config, make_tariff(config))
        await worker.open()
        requests, ceiling = requests_of(config, 20), Decimal("0.0015")

        async def told(**changes: Any) -> LeaseUse:
            """What it says of its money once it has nothing in flight."""
            call = Call(share=1.0, ceiling_usd=ceiling, arrived=0)
            reply = await worker.call(replace(call, **changes))
            for _ in range(9):
                reply = await worker.call(call)
            assert reply.spent is not None and not reply.spent.reserved_usd
            return reply.spent

        spent = await told(requests=requests)
        wanted = spent.wanted_usd
        assert wanted
        ceiling = spent.paid_usd + wanted / 2  # the others wanted some of it back
        assert (await told()).wanted_usd == wanted
        ceiling = Decimal(1)
        assert not (await told()).wanted_usd
        reply = await worker.call(Call(share=1.0, ceiling_usd=ceiling, arrived=0))
        assert {key for key, _ in reply.outcomes} == {request.key for request in requests}
        await worker.close()
