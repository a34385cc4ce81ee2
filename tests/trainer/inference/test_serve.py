"""The student behind HTTP: a real server on this machine, asked as a caller would."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.serve import PredictHandler
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.made_rows import CLASSES, word_problems

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
    _, body = await post(server, {"rows": ROWS[:2], "explain": True, "abstain_below": 1.1})
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
