"""Collecting from files made by hand: whatever they hold, every request gets one state."""

from pathlib import Path

from stepdistill.annotator.errors import QuotaSpent
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.batch.collect import CollectCounts, Collector
from stepdistill.annotator.teacher.batch.part import RemoteBatch
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from tests.annotator.teacher.asking import a_spec, several
from tests.annotator.teacher.batch.asking import BatchRun, a_batch_run, serving
from tests.annotator.teacher.batch.test_lifecycle import a_part
from tests.annotator.teacher.batch.test_result_lines import a_line, error_body

ROWS = 4
A, B, C, D = (request.key.hex() for request in several(ROWS))


def answer(key: str) -> bytes:
    return a_line(custom_id=key)


def error(key: str, status: int = 500, code: str = "server_error") -> bytes:
    return a_line(status, error_body(code), custom_id=key)


async def collect(
    run: BatchRun, api: OpenAiBatches, output: bytes, errors: bytes = b""
) -> CollectCounts:
    """Collect a batch of four requests that ended with these files."""
    ids: list[str | None] = []
    for content in (output, errors):
        path = run.ledger.folder.parent / "file.jsonl"
        path.write_bytes(content)
        ids.append((await api.send_file(path, "file.jsonl")).id if content else None)
    batch = RemoteBatch(id="b", status="completed", output_file_id=ids[0], error_file_id=ids[1])
    part = run.ledger.parts()[0] if run.ledger.parts() else a_part(run, ROWS)
    return await Collector(api, run.context).collect(part, batch)


async def states(tmp_path: Path, output: bytes, errors: bytes = b"") -> tuple[list[str], str]:
    """What became of the four requests, and what was told of it."""
    async with (
        serving() as simulator,
        OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        counts = await collect(run, api, output, errors)
        return [state(run, n, counts) for n in range(ROWS)], " / ".join(run.told)


def state(run: BatchRun, number: int, counts: CollectCounts) -> str:
    request = several(ROWS)[number]
    outcome = run.outcome(request)
    if request.key in counts.again:
        assert not isinstance(outcome, Answer)
        return "again"
    if isinstance(outcome, Failure):
        return outcome.reason
    assert isinstance(outcome, Answer)
    return "answered"


async def test_output_and_errors_and_what_is_in_neither(tmp_path: Path):
    errors = b"\n".join([error(B), error(C, 400, "bad")])
    found, told = await states(tmp_path, answer(A) + b"\n", errors + b"\n")

    assert found == ["answered", "again", "bad_request", "again"]
    assert "requests missing: 1" in told


async def test_an_answer_counts_whatever_else_is_said_of_its_request(tmp_path: Path):
    output = b"\n".join([error(A), answer(A), error(B, 400, "bad"), answer(B), answer(C)])
    found, told = await states(tmp_path, output + b"\n", error(C) + b"\n" + error(D) + b"\n")

    assert found == ["answered", "answered", "answered", "again"]
    assert "duplicate lines: 3" in told


async def test_a_file_that_ends_within_a_line_each_time_it_is_fetched(tmp_path: Path):
    found, told = await states(tmp_path, answer(A) + b"\n" + answer(B)[:50])

    assert found == ["answered", "again", "again", "again"]
    assert "files cut off: 1" in told


async def test_a_last_line_without_its_end_counts_if_it_is_whole(tmp_path: Path):
    found, _ = await states(tmp_path, answer(A) + b"\n" + answer(B))

    assert found == ["answered", "answered", "again", "again"]


async def test_lines_that_cannot_be_read_do_not_hide_the_others(tmp_path: Path):
    lines = [answer(A)[:60], b"", b"<html>", answer(B), b'{"custom_id": 7}', answer(C)]
    found, told = await states(tmp_path, b"\n".join(lines) + b"\n")

    assert found == ["again", "answered", "answered", "again"]
    assert "unreadable lines: 4" in told


async def test_an_empty_file_answers_nothing(tmp_path: Path):
    found, _ = await states(tmp_path, b"\n")

    assert found == ["again"] * ROWS


async def test_collected_twice_everything_counts_once(tmp_path: Path):
    async with (
        serving() as simulator,
        OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        output = b"\n".join([answer(A), answer(B)]) + b"\n"
        first = await collect(run, api, output)
        spent = (run.progress.asked, run.progress.batch.usage)
        again = await collect(run, api, output)

        assert (run.progress.asked, run.progress.batch.usage) == spent
        assert first.again == again.again


async def test_a_quota_used_up_is_told_to_whoever_goes_on(tmp_path: Path):
    async with (
        serving() as simulator,
        OpenAiBatches(a_spec(simulator.base_url, "sk-test")) as api,
        a_batch_run(tmp_path, simulator.base_url) as run,
    ):
        counts = await collect(run, api, answer(A), error(B, 429, "insufficient_quota"))

        assert isinstance(counts.stop, QuotaSpent)
        assert counts.again[bytes.fromhex(B)] == 0  # nobody asked it: it is no try
        assert counts.again[bytes.fromhex(D)] == 1
