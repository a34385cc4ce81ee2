"""What cannot be uploaded, created or listed, and batches that fail for what is in their file."""

from typing import Any

import aiohttp
import openai
import orjson
import pytest

from stepdistill.annotator.simulator.batch.settings import (
    BatchLimits,
    BatchPlan,
    SimulatedBatchSettings,
)
from stepdistill.annotator.simulator.server import SimulatedModel
from tests.annotator.simulator.asking import chat_body
from tests.annotator.simulator.batch.harness import (
    AT_ONCE,
    PROMPTS,
    BatchHarness,
    as_lines,
    batch_harness,
    input_line,
    input_lines,
)

GOOD = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


async def post(harness: BatchHarness, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    url = harness.simulator.base_url + path
    headers = {"Authorization": "Bearer sk-test"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, headers=headers, **options) as response,
    ):
        return response.status, orjson.loads(await response.read())


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-unknown"}, "input_file_id"),
        ({"input_file_id": None}, "input_file_id"),
        ({"input_file_id": 7}, "input_file_id"),
        ({"metadata": ["run"]}, "metadata"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 65}"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, None),
        ({"output_expires_after": {"anchor": "now", "seconds": 7200}}, None),
    ],
)
async def test_a_creation_that_is_refused(changes: dict[str, Any], param: str | None):
    async with batch_harness() as harness:
        body = {"input_file_id": await harness.upload(), **GOOD, **changes}
        status, reply = await post(harness, "/batches", json=body)

        assert harness.simulator.log.batch.batches == []
    assert status == 400
    assert reply["error"]["type"] == "invalid_request_error"
    assert param is None or reply["error"]["param"] == param


async def test_metadata_up_to_its_limits_is_taken():
    metadata = {f"{number:064}": "v" * 512 for number in range(16)}
    async with batch_harness() as harness:
        batch = await harness.create(**metadata)

    assert batch.metadata == metadata


@pytest.mark.parametrize("raw", [b"{", b"[]"])
async def test_a_creation_that_is_no_object(raw: bytes):
    async with batch_harness() as harness:
        assert (await post(harness, "/batches", data=raw))[0] == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"purpose": "batch", "file": ("in.jsonl", b"{}\n")}, 200),
        ({"file": ("in.jsonl", b"{}\n"), "purpose": "batch"}, 200),
        ({"file": ("in.jsonl", b"{}\n")}, 400),
        ({"purpose": "batch"}, 400),
        ({"purpose": "fine-tune", "file": ("in.jsonl", b"{}\n")}, 400),
        ({"purpose": "batch", "file": ("in.txt", b"{}\n")}, 400),
        ({"purpose": "batch", "file": ("in.jsonl", b"x" * 2000)}, 413),
    ],
)
async def test_an_upload_that_is_refused_leaves_nothing(
    fields: dict[str, str | tuple[str, bytes]], status: int
):
    form = aiohttp.FormData()
    for name, value in fields.items():
        if isinstance(value, str):
            form.add_field(name, value)
        else:
            form.add_field(name, value[1], filename=value[0])
    limits = BatchLimits(bytes_per_file=1000)
    async with batch_harness(SimulatedBatchSettings(limits=limits)) as harness:
        assert (await post(harness, "/files", data=form))[0] == status
        files = [file async for file in harness.client.files.list()]

    assert len(files) == (status == 200)


async def test_an_upload_that_is_no_form():
    async with batch_harness() as harness:
        assert (await post(harness, "/files", data=b"{}"))[0] == 400


BAD_LINES: list[tuple[bytes, str, int | None]] = [
    (b'{"custom_id": "a", \n', "invalid_json_line", 2),
    (b"[1]\n", "invalid_json_line", 2),
    (as_lines([input_line("row-0", "one")]), "duplicate_custom_id", 2),
    (as_lines([input_line("", "one")]), "missing_required_parameter", 2),
    (as_lines([{"method": "POST", "url": "/v1/chat/completions", "body": {}}]), "missing", 2),
    (as_lines([input_line("b", "one", body=None)]), "missing_required_parameter", 2),
    (as_lines([input_line("b", "one", url="/v1/embeddings")]), "url_mismatch", 2),
    (as_lines([input_line("b", "one", method="GET")]), "invalid_method", 2),
    (as_lines([input_line("b", "", body=chat_body("x", model="b"))]), "model_mismatch", 2),
    (input_lines(PROMPTS[:3], custom_id="c"), "too_many_tasks", None),
]


@pytest.mark.parametrize(("bad", "code", "line"), BAD_LINES)
async def test_a_batch_fails_for_what_is_in_its_file(bad: bytes, code: str, line: int | None):
    settings = SimulatedBatchSettings(
        plan=BatchPlan(times=AT_ONCE), limits=BatchLimits(requests_per_file=3)
    )
    async with batch_harness(settings) as harness:
        batch = await harness.create(input_lines(PROMPTS[:1]) + bad)
        log = harness.simulator.log

    assert batch.status == "failed"
    assert batch.failed_at
    assert batch.in_progress_at is None
    assert batch.errors
    assert batch.errors.data
    assert (batch.errors.data[0].code or "").startswith(code)
    assert batch.errors.data[0].line == line
    assert batch.output_file_id is batch.error_file_id is None
    assert log.batch.paid() == {}
    assert log.batch.orphans() == []


async def test_an_empty_file_and_a_model_that_is_not_served():
    async with batch_harness(models=(SimulatedModel(id="other"),)) as harness:
        empty = await harness.create(b"\n")
        gone = await harness.create()

    assert empty.errors
    assert empty.errors.data
    assert empty.errors.data[0].code == "empty_file"
    assert gone.errors
    assert gone.errors.data
    assert gone.errors.data[0].code == "model_not_found"


async def test_errors_are_not_told_without_end():
    async with batch_harness() as harness:
        batch = await harness.create(b"{\n" * 1000)

    assert batch.errors
    assert batch.errors.data
    assert len(batch.errors.data) == 50


async def test_a_row_that_is_no_chat_request_fails_alone():
    bad = as_lines([input_line("bad", "", body={"model": "any-model", "messages": "?"})])
    async with batch_harness() as harness:
        batch = await harness.create(input_lines(PROMPTS) + bad)
        (error,) = await harness.errors(batch)

    assert (batch.status, error["custom_id"]) == ("completed", "bad")
    assert error["response"]["status_code"] == 400
    assert error["response"]["body"]["error"]["param"] == "messages"


@pytest.mark.parametrize("limit", [0, 101])
async def test_lists_have_their_limits(limit: int):
    async with batch_harness() as harness:
        with pytest.raises(openai.BadRequestError, match="limit"):
            await harness.client.batches.list(limit=limit)
        with pytest.raises(openai.BadRequestError, match="limit"):
            await harness.client.files.list(extra_query={"limit": "many"})
        with pytest.raises(openai.BadRequestError, match="after"):
            await harness.client.batches.list(after="batch_unknown")


async def test_a_key_is_wanted_where_anonymous_callers_are_not():
    async with batch_harness(allow_anonymous=False) as harness:
        async with aiohttp.ClientSession() as session:
            url = harness.simulator.base_url + "/batches"
            async with session.get(url) as response:
                assert response.status == 401
        await harness.client.batches.list()


async def test_what_is_not_there():
    async with batch_harness() as harness:
        with pytest.raises(openai.NotFoundError, match="No batch found"):
            await harness.client.batches.retrieve("batch_unknown")
        with pytest.raises(openai.NotFoundError, match="No batch found"):
            await harness.client.batches.cancel("batch_unknown")
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            await harness.client.files.content("file-unknown")
        with pytest.raises(openai.BadRequestError, match="purpose"):
            await harness.create_from((await harness.create()).output_file_id or "")
