"""What a kill left in doubt is asked about at the teacher's: what is there is used, strays go."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from stepdistill.annotator.teacher.batch.part import PART, RUN, SUBMISSION, BatchPart
from stepdistill.annotator.teacher.batch.part_files import PartWriter
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from tests.annotator.teacher.asking import a_spec, several
from tests.annotator.teacher.batch.asking import (
    BatchRun,
    a_batch_run,
    missing,
    serving,
)
from tests.annotator.teacher.batch.test_oddities import ROWS, is_tidy, paid_once


def a_part(run: BatchRun, rows: int = ROWS) -> BatchPart:
    """A part with so many rows, that a run before this one has written."""
    with PartWriter(replace(run.context, run="run-1")) as writer:
        for request in several(rows):
            writer.add(request)
        part = writer.finish()
    assert part is not None
    return part


@asynccontextmanager
async def in_doubt(tmp_path: Path) -> AsyncGenerator[tuple[OpenAiBatches, BatchRun, BatchPart]]:
    """A part of a run that was killed; in the end all is asked, paid once, and nothing left."""
    async with (
        serving() as simulator,
        OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api,
        a_batch_run(tmp_path, simulator.base_url, run="run-2") as run,
    ):
        yield api, run, a_part(run)
        await run.ask(missing(run.store, several(ROWS)))
        assert run.answered(several(ROWS)) == ROWS
    assert paid_once(simulator)
    assert is_tidy(simulator)
    assert len(simulator.log.batch.batches) == 1


async def test_a_file_that_was_uploaded_is_used_and_a_second_copy_removed(tmp_path: Path):
    async with in_doubt(tmp_path) as (api, run, part):
        part = run.ledger.move(part, "uploading")
        for _ in range(2):
            await api.send_file(run.ledger.folder / part.file_name, part.remote_name)
        await run.teacher.collect()
        assert run.part.state == "uploaded"
        assert [file.id async for file in api.files()] == [run.part.file_id]


async def test_a_file_of_another_size_is_not_ours(tmp_path: Path):
    async with in_doubt(tmp_path) as (api, run, part):
        run.ledger.move(part, "uploading")
        half = tmp_path / "half.jsonl"
        half.write_bytes((run.ledger.folder / part.file_name).read_bytes()[:1000])
        await api.send_file(half, part.remote_name)
        await run.teacher.collect()
        assert run.part.state == "prepared"


async def test_files_of_others_are_left_alone(tmp_path: Path):
    async with serving() as simulator, OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api:
        theirs = tmp_path / "theirs.jsonl"
        theirs.write_text("{}\n")
        for name in ("theirs.jsonl", "stepdistill-another-run-0123.jsonl"):
            await api.send_file(theirs, name)
        async with a_batch_run(tmp_path, simulator.base_url, run="run-2") as run:
            run.ledger.move(a_part(run), "uploading")
            await run.ask(several(ROWS))
            assert len([file async for file in api.files()]) == 3
    assert len(simulator.log.batch.unused_files()) == 2


@pytest.mark.parametrize("keeps_metadata", [True, False])
async def test_a_batch_that_was_created_is_waited_for(tmp_path: Path, keeps_metadata: bool):
    async with in_doubt(tmp_path) as (api, run, part):
        file = await api.send_file(run.ledger.folder / part.file_name, part.remote_name)
        part = run.ledger.move(part, "creating", file_id=file.id, submission=1)
        batch = await api.create_from(file.id, part.metadata if keeps_metadata else {})
        await run.teacher.collect()
        assert run.part.batch_id == batch.id


async def test_a_batch_of_the_same_content_that_another_store_created_is_not_ours(tmp_path: Path):
    async with (
        serving() as simulator,
        OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api,
        a_batch_run(tmp_path, simulator.base_url, run="run-2") as run,
    ):
        part = a_part(run)
        file = await api.send_file(run.ledger.folder / part.file_name, part.remote_name)
        part = run.ledger.move(part, "creating", file_id=file.id, submission=2)
        others = {RUN: "run-9", PART: part.sha256, SUBMISSION: "2"}
        earlier = {RUN: part.run, PART: part.sha256, SUBMISSION: "1"}
        for metadata in (others, earlier):
            await api.create_from(file.id, metadata)
        await run.ask(several(ROWS))
    assert len(simulator.log.batch.batches) == 3


async def test_a_damaged_part_file_is_never_sent(tmp_path: Path):
    async with in_doubt(tmp_path) as (_, run, part):
        path = run.ledger.folder / part.file_name
        path.write_bytes(path.read_bytes().replace(b"question 1", b"question 7"))
    assert run.has_told("is written again")


async def test_answers_to_requests_of_another_part_are_named_and_left_alone(tmp_path: Path):
    async with (
        serving() as simulator,
        OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api,
        a_batch_run(tmp_path, simulator.base_url, run="run-2") as run,
    ):
        larger = a_part(run)
        file = await api.send_file(run.ledger.folder / larger.file_name, larger.remote_name)
        run.ledger.settle(larger, "released", {})
        part = a_part(run, 3)
        batch = await api.create_from(file.id, part.metadata)
        run.ledger.move(part, "submitted", file_id=file.id, batch_id=batch.id)
        await run.teacher.collect()

        assert run.answered(several(ROWS)) == 3
        assert run.has_told(f"lines about unknown requests: {ROWS - 3}")
