"""`predict` and `evaluate` with a student that a run left behind."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.common.task import ClassSpec, LabelSpec
from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.made_rows import CLASSES, word_problems, write_split


@pytest.fixture(scope="module")
def model(finished: TrainSettings) -> str:
    return str(finished.output / "model")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"id": r.id, "input": r.input}) for r in word_problems("new", 30)]
    path.write_text("\n".join(lines) + "\n")
    return path


def _lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_every_row_gets_a_label_of_the_task(model: str, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "labels.jsonl"
    assert main(["predict", model, str(rows), "--output", str(output), "--batch-size", "7"]) == 0
    found = _lines(output)
    assert [line["id"] for line in found] == [f"new-{i}" for i in range(30)]
    assert {line["label"] for line in found} <= set(CLASSES)
    assert all(0.25 <= line["probability"] <= 1 for line in found)
    assert "rationale" not in found[0]


def test_how_many_at_once_changes_nothing(model: str, rows: Path, tmp_path: Path) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    for output, size in ((one, "1"), (many, "16")):
        line = ["predict", model, str(rows), "--output", str(output), "--batch-size", size]
        assert main(line) == 0
    for first, second in zip(_lines(one), _lines(many), strict=True):
        assert first["label"] == second["label"]
        assert first["probability"] == pytest.approx(second["probability"], abs=1e-5)


def test_an_unsure_student_abstains(model: str, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.jsonl"
    line = ["predict", model, str(rows), "--output", str(output), "--abstain-below", "1.0"]
    assert main([*line, "--explain"]) == 0
    assert {found["label"] for found in _lines(output)} == {None}
    assert all(isinstance(found["rationale"], str) for found in _lines(output))


@pytest.mark.parametrize("below", ["nan", "1.1", "-0.1", "inf"])
def test_a_bound_that_is_no_probability_is_refused(
    model: str, rows: Path, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", model, str(rows), "--abstain-below", below]) == 2
    assert f'Invalid value "{below}" for --abstain-below' in capsys.readouterr().err


def test_bare_fields_and_texts_are_rows_too(
    model: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "rows.jsonl"
    fields = word_problems("new", 1)[0].input
    text = f"{fields['story']} {fields['question']}"
    path.write_text(f"{json.dumps(fields)}\n\n{json.dumps({'input': text})}\n")
    assert main(["predict", model, str(path)]) == 0
    sys.stdout.flush()
    bare, whole = map(orjson.loads, capfdbinary.readouterr().out.splitlines())
    assert (bare["id"], whole["id"]) == ("1", "3")
    assert bare["label"] == whole["label"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "row 1: not a JSON object"),
        ('{"input": {"story": "x"}}', "line 1: the field question is missing (has: story)"),
        ('{"story": 1}\n\n{"id": 1}', "line 1: the field question is missing (has: story)"),
    ],
)
def test_a_bad_row_is_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content + "\n")
    assert main(["predict", model, str(path), "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_a_student_is_refused(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(tmp_path), str(rows)]) == 2
    assert "name the folder `model` of a finished training run" in capsys.readouterr().err


def test_student_and_teacher_are_compared(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_split(tmp_path / "test", word_problems("test", 40, noise=0.5))
    kept = tmp_path / "out.json"
    line = ["evaluate", model, str(folder), "--json", str(kept), "--usd-per-hour", "3.6"]
    assert main(line) == 0
    found = orjson.loads(kept.read_bytes())
    shown = capsys.readouterr().out
    assert f"{found['student']['right']}/40" in shown and "paired bootstrap" in shown
    assert found["majority"]["n"] == 40 and found["majority_label"] in CLASSES
    assert sum(sum(row.values()) for row in found["confusion"].values()) == 40
    assert set(found["macro_f1"]) == {"student", "teacher"} and "macro F1" in shown
    gap = found["student_less_teacher"]
    assert gap["difference"] * 40 == pytest.approx(
        found["student"]["right"] - found["teacher"]["right"]
    )
    assert gap["only_one"] - gap["only_other"] == pytest.approx(gap["difference"] * 40)
    assert found["student_cost_usd"] == pytest.approx(1 / found["rows_per_s"])
    assert found["teacher_cost_usd"] is None and "unknown" in shown
    assert set(found["student"]["classes"]) == set(CLASSES)


def test_a_page_shows_where_student_and_teacher_differ_and_how_it_learnt(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "<script>alert(1)</script> \u202e"
    rows = [replace(row, id=f"{row.id} {evil}") for row in word_problems("test", 40, noise=0.5)]
    page = tmp_path / "student.html"
    line = ["evaluate", model, str(write_split(tmp_path / "test", rows)), "--html", str(page)]
    code, shown = main(line), capsys.readouterr()
    assert (code, shown.err.count("error")) == (0, 0), shown.err
    assert f"The page: {page}" in " ".join(shown.out.split())
    shown = page.read_text()
    assert "<script" not in shown and "&lt;script&gt;" in shown and "\u202e" not in shown
    assert "The student is right on" in shown and shown.count("<svg") == 2
    for part in ("Label by label", "Which label is taken for which", "Rows to look at", "Loss"):
        assert part in shown
    assert any(f"{who} is wrong" in shown for who in ("student", "teacher"))


def test_rows_of_other_labels_are_no_rows_of_this_student(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = LabelSpec(kind="classes", classes={"joy": ClassSpec(), "anger": ClassSpec()})
    rows = [replace(row, gold="joy", label="joy") for row in word_problems("test", 3)]
    folder = write_split(tmp_path / "test", rows, label=label)
    assert main(["evaluate", model, str(folder)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "a student of word-problems" in line and "whose labels are others" in line


def test_the_way_that_labels_were_found_is_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_split(tmp_path / "test", word_problems("test", 8))
    assert main(["evaluate", model, str(folder), "--json", str(tmp_path / "out.json")]) == 0
    shown = capsys.readouterr().out
    assert "student, freely" in shown and "as `predict` answers" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert orjson.loads((tmp_path / "out.json").read_bytes())["student_freely"]["n"] == 8


def test_figures_that_cannot_be_written_are_shown_all_the_same(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_split(tmp_path / "test", word_problems("test", 8))
    (tmp_path / "out").mkdir()
    assert main(["evaluate", model, str(folder), "--json", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr()
    assert "student" in shown.out
    [line] = shown.err.splitlines()
    assert f"--json {tmp_path / 'out'}: cannot be written (Is a directory)" in line


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_is_none_is_refused(
    model: str, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", model, "--port", port]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f'Invalid value "{port}" for --port' in line


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("predict", "evaluate"):
        assert main([command, "--help"]) == 0
        assert f"stepdistill {command} runs/" in capsys.readouterr().out
