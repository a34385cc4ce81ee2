"""The same rows in each provider's batches: the same shards as online, and books that agree."""

import asyncio
from pathlib import Path
from typing import get_args

import pytest

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.simulator.batch.settings import SimulatedBatchSettings
from stepdistill.annotator.simulator.server import Simulator, SimulatorSettings
from tests.journeys.conftest import Annotate
from tests.journeys.test_dialects import records_of, tokens_of
from tests.journeys.test_row_to_shard import simulator

PROTOCOLS: tuple[BatchProtocol, ...] = get_args(BatchProtocol)


def words(name: str, teacher: Simulator, rows: int, *more: str) -> list[str]:
    model = "any" if name in ("online", "openai") else f"{name}:any"
    return [
        *("run", "demo", "--teacher", model, "--base-url", teacher.base_url),
        *("--samples", str(rows), "--store", f"store-{name}", "--out", f"out-{name}"),
        *("--quiet", *more),
    ]


@pytest.mark.parametrize("rows", [60, pytest.param(1_200, marks=pytest.mark.slow)])
async def test_every_provider_s_batches_make_the_same_shards_and_books(
    annotate: Annotate, tmp_path: Path, rows: int
) -> None:
    async with simulator(tmp_path) as teacher:
        done = await asyncio.to_thread(annotate, *words("online", teacher, rows))
        assert done.code == 0, done.err
    online = records_of(tmp_path / "out-online")
    assert len(online) == rows
    size = str(-(-rows // 3))
    served: dict[str, BatchProtocol] = {
        "openai-responses": "openai",
        **{name: name for name in PROTOCOLS},
    }
    for name, protocol in served.items():
        settings = SimulatorSettings(
            dialect="gemini" if protocol == "gemini" else "openai",
            batch=SimulatedBatchSettings(protocol=protocol),
        )
        async with simulator(tmp_path, settings) as teacher:
            command = words(name, teacher, rows, "--batch-api", "--max-batch-requests", size)
            done = await asyncio.to_thread(annotate, *command)
            assert done.code == 0, done.err
        log = teacher.log.batch
        assert records_of(tmp_path / f"out-{name}") == online
        assert tokens_of(tmp_path / f"out-{name}") == log.billed_tokens()
        assert set(log.paid().values()) == {1}
        assert (len(log.batches), log.orphans(), log.unused_files()) == (3, [], [])
