"""The student behind HTTP: a real server on this machine, asked as a caller would."""

import asyncio
import io
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from stepdistill.trainer.inference.batcher import Batcher
from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.inference.serve import PredictHandler
from stepdistill.trainer.model.answers import StudentAnswer
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.made_rows import CLASSES, word_problems
from tests.warm import WarmProcess, plain_environment

ROWS = [{"id": row.id, "input": row.input} for row in word_problems("new", 12)]


@pytest.fixture(scope="module")
def predictor(finished: TrainSettings) -> Predictor:
    return Predictor(finished.output / "model")


@pytest.fixture
async def server(predictor: Predictor) -> AsyncIterator[TestServer]:
    server = TestServer(PredictHandler(predictor, batch_size=4).application())
    async with server:
        yield server


async def post(server: TestServer, body: object) -> tuple[int, dict[str, Any]]:
    async with ClientSession() as session:
        answer = await session.post(server.make_url("/predict"), json=body)
        return answer.status, await answer.json()


async def test_rows_get_their_labels_in_their_order(server: TestServer) -> None:
    status, body = await post(server, {"rows": ROWS})
    assert status == 200
    assert [line["id"] for line in body["answers"]] == [row["id"] for row in ROWS]
    assert {line["label"] for line in body["answers"]} <= set(CLASSES)


async def test_callers_at_once_get_what_they_get_alone(server: TestServer) -> None:
    alone = [(await post(server, {"rows": [row]}))[1]["answers"][0] for row in ROWS]
    together = await asyncio.gather(*(post(server, {"rows": [row]}) for row in ROWS))
    for one, (_, body) in zip(alone, together, strict=True):
        assert body["answers"][0]["label"] == one["label"]
        assert body["answers"][0]["probability"] == pytest.approx(one["probability"], abs=1e-5)


async def test_a_call_may_ask_for_reasons_and_for_silence(server: TestServer) -> None:
    _, body = await post(server, {"rows": ROWS[:2], "explain": True, "abstain_below": 1.0})
    assert [line["label"] for line in body["answers"]] == [None, None]
    assert all(isinstance(line["rationale"], str) for line in body["answers"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"rows": []}, "rows: "),
        ({"rows": [{"input": {"story": "x"}}]}, "rows[0]: the field question is missing"),
        ({"rows": [{"input": 7}]}, "rows[0]: input must be a text or an object"),
        ({"rows": ROWS[:1], "temperature": 1}, "temperature: "),
        ([], "body: "),
    ],
)
async def test_a_bad_call_is_told_why(server: TestServer, body: object, message: str) -> None:
    status, answer = await post(server, body)
    assert status == 400
    assert answer["error"].startswith(message)


async def test_the_door_says_what_is_behind_it(server: TestServer) -> None:
    async with ClientSession() as session:
        about = await (await session.get(server.make_url("/"))).json()
    assert about["labels"] == sorted(CLASSES, key=list(CLASSES).index)
    assert about["explains"] is True


class Frail(Predictor):
    """A student that fails at some rows, as one whose vocabulary and embedding part does."""

    def label(self, rows: Sequence[AskedRow]) -> list[StudentAnswer]:
        if any("<url>" in row.input for row in rows):
            raise IndexError("index out of range in self")
        return super().label(rows)


async def test_the_fault_of_one_row_is_its_own(finished: TrainSettings) -> None:
    handler = PredictHandler(Frail(finished.output / "model"), batch_size=8)
    odd = {"input": {"story": "<url>", "question": "?"}}
    server = TestServer(handler.application())
    async with server:
        calls = [post(server, {"rows": [row]}) for row in (ROWS[0], odd, ROWS[1])]
        good, bad, other = await asyncio.gather(*calls)
        assert (good[0], bad[0], other[0]) == (200, 500, 200)
        assert bad[1]["error"] == "the student failed: index out of range in self"
        assert (await post(server, {"rows": ROWS}))[0] == 200  # nobody waits for ever


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/predict", 405), ("POST", "/predict", 413)],
)
async def test_every_error_is_json(server: TestServer, method: str, path: str, status: int) -> None:
    body = io.BytesIO(b" " * (17 << 20)) if status == 413 else None
    async with ClientSession() as session:
        answer = await session.request(method, server.make_url(path), data=body)
        assert answer.status == status
        assert isinstance((await answer.json())["error"], str)


@pytest.mark.parametrize("below", ["NaN", "2", "-1"])
async def test_a_bound_that_is_no_probability_is_refused(server: TestServer, below: str) -> None:
    async with ClientSession() as session:
        body = f'{{"rows": [{{"input": "x"}}], "abstain_below": {below}}}'
        assert (await session.post(server.make_url("/predict"), data=body)).status == 400


async def test_who_watches_it_sees_how_it_is(server: TestServer) -> None:
    await post(server, {"rows": ROWS})
    async with ClientSession() as session:
        health = await session.get(server.make_url("/health"))
        assert (health.status, (await health.json())["status"]) == (200, "ok")
        told = await (await session.get(server.make_url("/metrics"))).text()
    assert 'stepdistill_calls_total{path="/predict",status="200"} 1.0' in told
    assert f"stepdistill_rows_total {len(ROWS)}.0" in told
    assert "stepdistill_call_seconds_bucket" in told


async def test_a_browser_gets_a_form_and_a_page_of_elsewhere_nothing(server: TestServer) -> None:
    async with ClientSession() as session:
        page = await session.get(server.make_url("/"), headers={"Accept": "text/html"})
        assert page.content_type == "text/html"
        assert 'name="question"' in await page.text()
        foreign = {"Origin": "https://elsewhere.example"}
        url = server.make_url("/predict")
        refused = await session.post(url, json={"rows": ROWS}, headers=foreign)
        assert refused.status == 403
        own = {"Origin": str(server.make_url("/")).rstrip("/")}
        assert (await session.post(url, json={"rows": ROWS}, headers=own)).status == 200


class Counting(Predictor):
    """Notes the rows that it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []

    def label(self, rows: Sequence[AskedRow]) -> list[StudentAnswer]:
        self.asked += [row.id for row in rows]
        return super().label(rows)


async def test_work_for_callers_who_left_is_dropped(finished: TrainSettings) -> None:
    student = Counting(finished.output / "model")
    batcher, reader = Batcher(student, batch_size=2), RowReader(student.settings)
    rows = [reader.asked(row, "", "") for row in ROWS]
    gone = asyncio.create_task(batcher.answers(rows, explain=True))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    began = asyncio.create_task(batcher.work())
    lines = await asyncio.wait_for(batcher.answers(rows[:1], explain=False), 20)
    began.cancel()
    assert [line["id"] for line in lines] == [rows[0].id]
    assert student.asked == [rows[0].id]


@pytest.fixture
def chooser(finished: TrainSettings, tmp_path: Path) -> Predictor:
    """A student whose rows bring their options."""
    folder = tmp_path / "model"
    shutil.copytree(finished.output / "model", folder)
    settings = orjson.loads((folder / "stepdistill.json").read_bytes())
    settings["label"] = {"kind": "options", "options": ["a", "b", "c"]}
    settings["max_target_tokens"] = 12  # fewer than a row has
    (folder / "stepdistill.json").write_bytes(orjson.dumps(settings))
    return Predictor(folder)


def choice(n: int) -> dict[str, str]:
    """A row of a length of its own."""
    [problem] = word_problems(f"new {n}", 1)
    story = " ".join([problem.input["story"]] * (1 + n % 5))
    options = dict(zip("abc", CLASSES, strict=False))
    return {"id": str(n), **problem.input, "story": story, **options}


@pytest.mark.usefixtures("many_switches")
def test_checks_of_one_call_change_no_answer_of_another(chooser: Predictor) -> None:
    reader = RowReader(chooser.settings)
    rows = [reader.asked(choice(n), "", "") for n in range(8)]
    alone, batches = [answer.probability for answer in chooser.label(rows)], 20
    with ThreadPoolExecutor(1) as student:
        found = [student.submit(chooser.label, rows) for _ in range(batches)]
        while not found[-1].done():
            chooser.check_options(rows[0], "")
    for each in found:
        assert [answer.probability for answer in each.result()] == pytest.approx(alone, abs=1e-5)


async def test_a_large_call_does_not_hold_the_others(chooser: Predictor) -> None:
    odd = {**choice(0), "a": "and on " * 200}  # refused when all are read
    body = orjson.dumps({"rows": [*([choice(0)] * 4_000), odd]})
    beats = 0

    async def tick() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    server = TestServer(PredictHandler(chooser, batch_size=4).application())
    async with server:
        ticking = asyncio.create_task(tick())
        async with ClientSession() as session:
            answer = await session.post(server.make_url("/predict"), data=io.BytesIO(body))
        ticking.cancel()
    assert answer.status == 400
    assert beats > 15  # two or three where the loop itself reads them; a hundred on a quiet machine


def test_it_ends_in_time_though_half_a_body_is_on_its_way(
    warm_stepdistill: WarmProcess, finished: TrainSettings
) -> None:
    line = ("serve", finished.output / "model", "--port", "0")
    run = warm_stepdistill.start(*line, cwd=finished.output, env=plain_environment())
    end = time.monotonic() + 60
    while "/predict" not in (said := run.errors()):
        assert time.monotonic() < end, said
        time.sleep(0.01)
    port = int(said.split("/predict")[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.5)
        os.kill(run.pid, signal.SIGTERM)
        assert run.wait(25).returncode == 0
