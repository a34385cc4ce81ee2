"""A classifier as a student: resumed, on two ranks, from votes, behind HTTP and in a table."""

import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.rows import AskedRow
from stepdistill.trainer.inference.serve import PredictHandler
from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import parse
from stepdistill.trainer.study.collect import run_of
from tests.trainer.launching import launch
from tests.trainer.made_encoders import made_encoder
from tests.trainer.made_rows import CLASSES, arguments, word_problems, write_split

RUN = {"student": "encoder", "steps": 12, "batch_size": 8, "eval_every": 4, "lr": 1e-3}
BOUND_S = 240


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("classifier")
    assert main([*arguments(data, output, **RUN, log_every=1), "--quiet"]) == 0
    return output


@pytest.fixture
async def server(finished: Path) -> AsyncIterator[TestServer]:
    predictor = Predictor(finished / "model")
    server = TestServer(PredictHandler(predictor, batch_size=4).application())
    async with server:
        yield server


def results(output: Path) -> Any:
    return orjson.loads((output / "results.json").read_bytes())


def test_the_option_alone_is_enough_and_names_the_run(data: Path) -> None:
    plain, classifier = (
        parse(arguments(data, Path("out"), **more)) for more in ({}, {"student": "encoder"})
    )
    assert (plain.mode, classifier.mode) == ("step-by-step", "standard")
    assert "student" not in plain.identity() and classifier.identity()["student"] == "encoder"
    explicit = parse(arguments(data, Path("out"), student="encoder-decoder"))
    assert explicit.identity() == plain.identity()
    named = parse(arguments(data, Path("out"), student="encoder", model="some/encoder"))
    assert named.peak_lr == 5e-5


def test_a_table_of_ones_own_makes_no_other_student_of_it(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text('[{"name": "judge", "prefix": "judge: ", "target": "label"}]')
    line = arguments(data, tmp_path / "out", **{**RUN, "steps": 4}, tasks=table)
    assert main([*line, "--quiet"]) == 0
    run = run_of(tmp_path / "out")
    assert run.mode == "encoder" and '"prefix":"judge: "' in run.settings
    card = (tmp_path / "out/model/README.md").read_text("utf-8")
    assert "classify(['judge: ' + row])" in card and "after the prefix" in card


def test_results_keep_their_fields(finished: Path) -> None:
    found = results(finished)
    assert found["config"]["student"] == "encoder"
    assert [task["target"] for task in found["tasks"]] == ["label"]
    assert found["valid"].keys() == {"accuracy", "interval", "n", "right", "step"}
    assert found["test"].keys() == {"student", "teacher", "majority"}
    assert found["cost"]["tflops_per_s"] > 0 and found["cost"]["rows_per_s"] > 0
    settings = orjson.loads((finished / "model/stepdistill.json").read_bytes())
    assert settings["architecture"] == "encoder" and "max_label_tokens" not in settings
    assert not (finished / "model/generation_config.json").exists()


def test_a_damaged_step_is_said_and_the_one_before_gone_on_from(
    data: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished / "checkpoints", tmp_path / "checkpoints")
    state = max((tmp_path / "checkpoints/step-12").rglob("*.pt"), key=lambda p: p.stat().st_size)
    content = bytearray(state.read_bytes())
    content[random.Random(0).randrange(len(content))] ^= 1
    state.write_bytes(content)
    line = [*arguments(data, tmp_path, **RUN, log_every=1), "--quiet"]
    assert main(line) == 0
    assert "step-12: damaged" in capsys.readouterr().err
    assert results(tmp_path)["history"] == results(finished)["history"]
    weights = [(at / "model/model.safetensors").read_bytes() for at in (tmp_path, finished)]
    assert weights[0] == weights[1]
    assert main(line) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_votes_are_learnt_by_their_shares(data: Path, tmp_path: Path) -> None:
    rows = [
        replace(row, label=CLASSES[0], label_votes={CLASSES[0]: 3, CLASSES[1]: 1})
        for row in word_problems("train", 40)
    ]
    write_split(tmp_path / "train", rows)
    options = {**RUN, "steps": 60, "eval_every": 30, "lr": 3e-3, "evaluate_by": "scoring"}
    line = arguments(data, tmp_path / "out", **options, row_weight="confidence")
    line[0] = f"--train={tmp_path / 'train'}"
    assert main([*line, "--soft-labels", "--quiet"]) == 0
    row = AskedRow(id="", input=rows[0].input["story"], choices=CLASSES)
    [answer] = Predictor(tmp_path / "out/model").label([row])
    assert answer.label == CLASSES[0] and 0.65 < answer.probability < 0.85
    assert results(tmp_path / "out")["calibration"]["bins"]


async def test_it_is_served_and_says_that_it_gives_no_reasons(server: TestServer) -> None:
    rows = [{"id": row.id, "input": row.input} for row in word_problems("new", 5)]
    async with ClientSession() as session:
        answer = await session.post(server.make_url("/predict"), json={"rows": rows})
        body = await answer.json()
        assert {line["label"] for line in body["answers"]} <= {*CLASSES}
        assert (await (await session.get(server.make_url("/"))).json())["explains"] is False
        asked = {"rows": rows, "explain": True}
        refused = await session.post(server.make_url("/predict"), json=asked)
        assert refused.status == 400
        assert "is a classifier and gives no reasons" in (await refused.json())["error"]


def test_predict_says_it_too(finished: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"".join(orjson.dumps(r.input) + b"\n" for r in word_problems("new", 3)))
    assert main(["predict", str(finished / "model"), str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["predict", str(finished / "model"), str(file), "--explain"]) == 2
    assert "is a classifier and gives no reasons" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("zero", [0, 3])
def test_two_ranks_are_one(data: Path, tmp_path: Path, zero: int) -> None:
    texts = [text for row in word_problems("train", 40) for text in row.input.values()]
    base = made_encoder("roberta", tmp_path / "base", texts)
    options = {**RUN, "lr": 1e-5, "dropout": 0.0, "log_every": 1, "model": base}
    assert main([*arguments(data, tmp_path / "one", **options), "--quiet"]) == 0
    line = arguments(data, tmp_path / "two", **options, zero=zero, accumulate=2)
    with launch(*line, "--quiet") as run:
        out, err = run.communicate(timeout=BOUND_S)
    assert run.returncode == 0, out + err
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    for ours, theirs in zip(one["history"]["train"], two["history"]["train"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    assert one["test"] == two["test"]
