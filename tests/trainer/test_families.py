"""The guide's table of bases is what tiny ones of each family do, the whole way."""

from pathlib import Path

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.serve import PredictHandler
from stepdistill.trainer.main import main
from tests.trainer.made_bases import FAMILIES, made_base
from tests.trainer.made_rows import CLASSES, arguments, word_problems

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "training.md"
NAMES = {
    "t5": "T5, flan", "t5 v1.1": "T5 v1.1", "mt5": "mT5", "umt5": "UMT5", "byt5": "ByT5",
    "bart": "BART", "t5gemma": "T5Gemma", "t5gemma2": "T5Gemma 2",
}  # fmt: skip
COLUMNS = ("trains", "resumes", "predicts", "serves", "`--to onnx`", "`--to ctranslate2`")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _table() -> dict[str, dict[str, str]]:
    """base -> column -> yes or no, as the guide has it."""
    lines = GUIDE.read_text(encoding="utf-8").partition("## Bases")[2].splitlines()
    rows = [_cells(line) for line in lines if line.startswith("|")]
    width = len(rows[0])
    body = [row for row in rows[2:] if len(row) == width]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in body}


def test_the_guides_table_has_every_family() -> None:
    table = _table()
    assert {*NAMES} == {*FAMILIES}
    assert {*NAMES.values()} <= {*table}
    assert all({*COLUMNS} <= {*row} for row in table.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("family", FAMILIES)
async def test_the_guides_table_is_what_a_family_does(
    family: str, data: Path, tmp_path: Path
) -> None:
    rows = [row for split in ("train", "valid", "test") for row in word_problems(split, 60)]
    texts = [t or "" for row in rows for t in (*row.input.values(), row.label, row.rationale)]
    base = made_base(family, tmp_path / "base", ["predict: explain:", *texts, *CLASSES])
    options = {"batch_size": 16, "eval_every": 2, "save_every": 2, "model": str(base)}
    run, model = tmp_path / "run", str(tmp_path / "run" / "model")
    line = [*arguments(data, run, steps=4, max_input_tokens=300, **options), "--quiet"]
    found = {"trains": main(line) == 0}
    before = orjson.loads((run / "results.json").read_bytes())["test"]
    (run / "results.json").unlink()  # as though it had been killed at its end
    found["resumes"] = main(line) == 0
    assert orjson.loads((run / "results.json").read_bytes())["test"] == before

    file = tmp_path / "rows.jsonl"
    asked = [{"id": row.id, "input": row.input} for row in word_problems("new", 3)]
    file.write_bytes(b"\n".join(map(orjson.dumps, asked)))
    found["predicts"] = main(["predict", model, str(file)]) == 0
    handler = PredictHandler(Predictor(Path(model)), batch_size=4)
    async with TestServer(handler.application()) as server, ClientSession() as session:
        answer = await session.post(server.make_url("/predict"), json={"rows": asked})
        found["serves"] = answer.status == 200
    for engine in ("onnx", "ctranslate2"):
        out = tmp_path / engine
        line = ["export", model, "--to", engine, "--output", str(out), "--rows", str(data / "test")]
        found[f"`--to {engine}`"] = main(line) == 0 and main(["predict", str(out), str(file)]) == 0
    said = {column: "yes" if does else "no" for column, does in found.items()}
    assert said == {column: _table()[NAMES[family]][column] for column in COLUMNS}
