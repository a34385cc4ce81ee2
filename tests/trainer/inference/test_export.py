"""`export`: a student that torch need not compute answers as before, or is not kept."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from safetensors.torch import load_file, save_file

from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.serve import PredictHandler
from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import TrainSettings
from stepdistill.trainer.training.seals import seal
from tests.trainer.made_bases import made_base
from tests.trainer.made_rows import word_problems, write_split


@pytest.fixture(scope="module")
def model(finished: TrainSettings) -> Path:
    return finished.output / "model"


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ctranslate2", reason="the extra [ctranslate2] is not installed")
    folder = tmp_path_factory.mktemp("exports") / "ct2"
    assert main(["export", str(model), "--to", "ctranslate2", "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"id": r.id, "input": r.input}) for r in word_problems("new", 12)]
    path.write_text("\n".join(lines) + "\n")
    return path


def _predicted(model: Path, rows: Path, *more: str) -> list[dict[str, Any]]:
    output = rows.with_name(f"of-{model.name}{len(more)}.jsonl")
    assert main(["predict", str(model), str(rows), "--output", str(output), *more]) == 0
    return [orjson.loads(line) for line in output.read_bytes().splitlines()]


def test_an_export_answers_as_the_student_does(model: Path, exported: Path, rows: Path) -> None:
    for one, other in zip(
        _predicted(model, rows, "--explain"), _predicted(exported, rows, "--explain"), strict=True
    ):
        assert (one["label"], one["rationale"]) == (other["label"], other["rationale"])
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_an_export_says_what_its_check_found(exported: Path) -> None:
    found = orjson.loads((exported / "export.json").read_bytes())
    check = found["check"]
    assert (check["rows"], check["equal"], check["share"]) == (20, 20, 1.0)  # the run's test rows
    assert all(check["rows_per_s"][name] > 0 for name in ("student", "export"))
    assert found["bytes"]["export"] == pytest.approx(found["bytes"]["student"], rel=0.2)
    assert not [path for path in exported.parent.iterdir() if path.name.startswith(".")]


def test_evaluate_finds_the_same_of_an_export(
    model: Path, exported: Path, data: Path, tmp_path: Path
) -> None:
    figures: list[dict[str, Any]] = []
    for folder in (model, exported):
        kept = tmp_path / f"{folder.name}.json"
        assert main(["evaluate", str(folder), str(data / "test"), "--json", str(kept)]) == 0
        figures.append(orjson.loads(kept.read_bytes()))
    assert figures[0]["student"] == figures[1]["student"]
    assert figures[0]["student_freely"] == figures[1]["student_freely"]


def test_an_export_whose_labels_differ_is_not_kept(
    model: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ctranslate2", reason="the extra [ctranslate2] is not installed")
    """A student that has learnt nothing, and says any words, is no more the same in int8."""
    random = made_base("t5 v1.1", tmp_path / "random", [rows.read_text()])
    weights = load_file(random / "model.safetensors")
    louder = {name: each * (3 if each.dim() > 1 else 1) for name, each in weights.items()}
    save_file(louder, random / "model.safetensors", {"format": "pt"})
    known = orjson.loads((model / "stepdistill.json").read_bytes())
    known["label"] = {"kind": "text"}
    (random / "stepdistill.json").write_bytes(orjson.dumps(known))
    line = ["export", str(random), "--to", "ctranslate2", "--precision", "int8"]
    line += ["--rows", str(rows), "--output", str(tmp_path / "out")]
    assert main(line) == 2
    said = capsys.readouterr().err
    assert "of 12 rows, --agree asks for 99.50%: the export is not kept" in said
    assert not (tmp_path / "out").exists()
    assert main([*line, "--agree", "0"]) == 0
    assert (tmp_path / "out" / "export.json").is_file()


async def test_an_export_is_served(model: Path, exported: Path) -> None:
    rows = [{"id": row.id, "input": row.input} for row in word_problems("new", 5)]
    labels: list[list[str]] = []
    for folder in (model, exported):
        handler = PredictHandler(Predictor(folder), batch_size=4)
        async with TestServer(handler.application()) as server, ClientSession() as session:
            body = {"rows": rows, "explain": True}
            answer = await session.post(server.make_url("/predict"), json=body)
            labels.append([line["label"] for line in (await answer.json())["answers"]])
    assert labels[0] == labels[1]


def test_without_rows_it_says_that_nothing_was_checked(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ctranslate2", reason="the extra [ctranslate2] is not installed")
    shutil.copytree(model, tmp_path / "model")
    line = ["export", str(tmp_path / "model"), "--to", "ctranslate2", "--output"]
    assert main([*line, str(tmp_path / "out")]) == 0
    assert "NOT CHECKED" in capsys.readouterr().err
    assert orjson.loads((tmp_path / "out" / "export.json").read_bytes())["check"] is None


def test_what_is_there_is_replaced_by_force_and_only_an_export(
    model: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(exported, tmp_path / "old")
    line = ["export", str(model), "--to", "ctranslate2", "--quiet", "--output"]
    assert main([*line, str(tmp_path / "old")]) == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert main([*line, str(tmp_path / "old"), "--force"]) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    for target in (tmp_path / "mine", model, tmp_path / "mine" / "thesis.txt"):
        assert main([*line, str(target), "--force"]) == 2
        assert "no export" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize("within", ["ctranslate2/notes.md", "export.json", "reader.onnx"])
def test_a_folder_of_others_with_an_exports_names_in_it_stays(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], within: str
) -> None:
    mine = tmp_path / "mine"
    (mine / within).parent.mkdir(parents=True)
    (mine / within).write_text("{}")
    line = ["export", str(model), "--to", "ctranslate2", "--quiet", "--output", str(mine)]
    assert main([*line, "--force"]) == 2
    assert f"has {within} in it, which no export wrote" in capsys.readouterr().err
    assert (mine / within).read_text() == "{}"


def test_what_somebody_put_into_an_export_is_not_replaced(
    model: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(exported, tmp_path / "old")
    (tmp_path / "old" / "notes.md").write_text("mine")
    (tmp_path / "link").symlink_to("old")
    line = ["export", str(model), "--to", "ctranslate2", "--quiet", "--force", "--output"]
    assert main([*line, str(tmp_path / "link")]) == 2
    assert "has notes.md in it" in capsys.readouterr().err
    (tmp_path / "old" / "notes.md").unlink()
    assert main([*line, str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "old" / "export.json").is_file()


def test_a_student_may_have_its_export_within(model: Path, rows: Path, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2", reason="the extra [ctranslate2] is not installed")
    shutil.copytree(model, tmp_path / "model")
    before = _predicted(tmp_path / "model", rows)
    within = tmp_path / "model" / "ctranslate2"
    line = ["export", str(tmp_path / "model"), "--to", "ctranslate2", "--output", str(within)]
    assert main(line) == 0
    student = sum(path.stat().st_size for path in model.iterdir())
    again = [*line[:-1], str(tmp_path / "again")]
    assert main(again) == 0
    found = orjson.loads((tmp_path / "again" / "export.json").read_bytes())
    assert found["bytes"]["student"] == student  # without the export that lies in it
    assert _predicted(tmp_path / "model", rows, "--force") == before
    assert [each["label"] for each in _predicted(within, rows)] == [e["label"] for e in before]


@pytest.mark.parametrize(
    "name", ["ctranslate2/model.bin", "tokenizer.json", "export.json", "seals.json"]
)
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_damaged_export_is_a_line(
    exported: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, how: str,
) -> None:  # fmt: skip
    folder = tmp_path / "export"
    shutil.copytree(exported, folder)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if how == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    assert main(["predict", str(folder), str(rows)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "export the student again" in said


def test_an_exports_code_is_not_run(
    exported: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not of a classifier either, of which the config is read."""
    folder = tmp_path / "export"
    shutil.copytree(exported, folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    for name, odd in (
        ("config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}),
        ("stepdistill.json", {"architecture": "encoder"}),
    ):
        found = orjson.loads((folder / name).read_bytes())
        (folder / name).write_bytes(orjson.dumps({**found, **odd}))
    seal(folder)
    assert main(["predict", str(folder), str(rows)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "ran").exists()


def test_an_export_is_not_exported(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["export", str(exported), "--to", "onnx", "--output", str(tmp_path / "out")]
    assert main(line) == 2
    assert "is exported already" in capsys.readouterr().err


def test_rows_of_another_task_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_split(tmp_path / "test", [])
    line = ["export", str(model), "--to", "ctranslate2", "--output", str(tmp_path / "out")]
    assert main([*line, "--rows", str(other)]) == 2
    assert "no row has a label" in capsys.readouterr().err
    assert main([*line, "--rows", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "none.csv").write_text("story,question\n")
    assert main([*line, "--rows", str(tmp_path / "none.csv")]) == 2
    assert "none.csv: has no rows to check the export on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def no_ctranslate2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As though it were not installed."""
    (tmp_path / "ctranslate2.py").write_text("raise ImportError('not here')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "ctranslate2"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("no_ctranslate2")
@pytest.mark.parametrize("asked", ["export", "predict"])
def test_a_missing_library_is_named_with_how_to_get_it(
    model: Path,
    exported: Path,
    rows: Path,
    tmp_path: Path,
    asked: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = ["--to", "ctranslate2", "--output", str(tmp_path / "out")]
    words = [str(model), *out] if asked == "export" else [str(exported), str(rows)]
    assert main([asked, *words]) == 2
    said = capsys.readouterr().err
    assert "pip install 'stepdistill-trainer[ctranslate2]'" in said
    assert "Traceback" not in said
