"""The tracking file: own runs and the original's beside each other, in and out of CSV."""

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import TrainSettings
from stepdistill.trainer.study.collect import run_of
from stepdistill.trainer.study.original import COLUMNS, read_original
from stepdistill.trainer.study.tracking import Tracking
from tests.trainer.study.made_runs import made

REAL = Path(__file__).parents[3] / "../shared/data/reference/experiment_tracking.csv"
MIXES = REAL.parents[1] / "prompt-mixes"
real_data = pytest.mark.skipif(not REAL.exists(), reason="no ../shared/data beside this checkout")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _track(tmp_path: Path, *words: str | Path) -> int:
    return main(["track", "--tracking", str(tmp_path / "t.sqlite"), *map(str, words)])


def test_a_finished_run_as_a_row(finished: TrainSettings) -> None:
    run = run_of(finished.output)
    assert (run.source, run.task, run.model, run.mode) == (
        "own",
        "word-problems",
        "tiny",
        "step-by-step",
    )
    assert (run.labels, run.teacher, run.templates, run.optimizer) == (
        "teacher",
        "simulated",
        "t1",
        "AdamW",
    )
    assert (run.seed, run.subsample, run.lr, run.steps) == (0, 1.0, 3e-3, 12)
    assert run.settings == '{"eval_every":6,"steps":12,"warmup":2}'
    assert run.train_rows == 60
    assert run.rationale_rate is not None and 0.5 < run.rationale_rate < 0.9
    assert run.rationale_words is not None and 8 < run.rationale_words < 16
    assert run.teacher_cost_usd is None  # its teacher has no price
    assert not run.hand_entered


def test_a_run_that_is_added_again_stands_there_once(
    finished: TrainSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _track(tmp_path, "add", finished.output.parent) == 0
    assert _track(tmp_path, "add", finished.output) == 0
    assert "1 runs found, 0 of them new" in capsys.readouterr().out
    assert _track(tmp_path, "add", finished.output / "model") == 2
    assert "no results.json in it or below" in capsys.readouterr().err


def test_what_is_measured_of_sets_and_numbers_is_kept(
    finished: TrainSettings, tmp_path: Path
) -> None:
    results = orjson.loads((finished.output / "results.json").read_bytes())
    results["test"]["student"]["measures"] = {"jaccard": 0.5}
    (tmp_path / "results.json").write_bytes(orjson.dumps(results))
    assert run_of(tmp_path).measures == '{"jaccard":0.5}'
    assert run_of(finished.output).measures == ""


def test_a_file_of_an_older_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with Tracking(path) as file:
        file.add([made(seed=1)])
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("ALTER TABLE runs DROP COLUMN measures")
    with Tracking(path) as file:
        file.add([made(seed=2, measures='{"jaccard":0.5}')])
        assert [run.measures for run in file.runs()] == ["", '{"jaccard":0.5}']


def test_own_runs_in_the_originals_columns(tmp_path: Path) -> None:
    with Tracking(tmp_path / "t.sqlite") as file:
        file.add(
            [
                made(seed=3),
                made(mode="step-by-step", labels="teacher", teacher="gpt-6-luna", mix="a+b"),
            ]
        )
    assert _track(tmp_path, "export", tmp_path / "out.csv") == 0
    first, second = _rows(tmp_path / "out.csv")
    assert tuple(first) == COLUMNS
    assert (first["category"], first["mode"], first["llm"], first["run"]) == (
        "standard Finetuning",
        "standard",
        "None",
        "3",
    )
    assert (second["category"], second["mode"], second["label_type"], second["prompt_mix"]) == (
        "step-by-step Distillation",
        "task_prefix",
        "llm",
        "a+b",
    )
    assert _track(tmp_path, "export", tmp_path / "full.csv", "--full") == 0
    assert [row["source"] for row in _rows(tmp_path / "full.csv")] == ["own", "own"]


@real_data
def test_the_originals_file_comes_in_and_goes_out_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for new in ("367", "0"):  # twice is once
        assert _track(tmp_path, "import", REAL) == 0
        message = capsys.readouterr().out
        assert f"367 rows read, {new} of them new; 24 typed in by hand" in message
    assert _track(tmp_path, "export", tmp_path / "all.csv", "--hand-entered") == 0
    assert (tmp_path / "all.csv").read_text() == REAL.read_text().replace("\r\n", "\n")
    assert _track(tmp_path, "export", tmp_path / "runs.csv") == 0
    assert len(_rows(tmp_path / "runs.csv")) == 343


@real_data
def test_mixes_tell_the_templates_and_groups_the_rates() -> None:
    runs = read_original(REAL, MIXES, {"6": 24.5})
    rates = {r.mix: (r.templates, r.rationale_rate) for r in runs if r.mode == "step-by-step"}
    assert rates["8"] == ("179", 1.0)
    assert rates["11"] == ("179", 0.33)
    assert rates["75"] == ("3", 0.85)
    assert rates["0"] == ("few-shot", 1.0)
    assert {r.rationale_rate for r in runs if r.mode == "standard"} == {0.0}
    explained = [r.rationale_words for r in runs if r.mix == "6" and r.mode == "step-by-step"]
    assert set(explained) == {24.5}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("import", "{}/no.csv"), "cannot be read"),
        (("import", "{}/bad.csv"), "bad.csv:2: experiment_group: Field required"),
        (("import", "{}/bad.csv", "--words", "6"), "--words 6: give it as MIX=N"),
        (("export", "{}/out.csv", "--tracking", "{}/none.sqlite"), "none.sqlite: no such file"),
        (("export", "{}/out.csv"), "no such file"),
    ],
)
def test_bad_input_is_one_line(
    line: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert _track(tmp_path, *(word.format(tmp_path) for word in line)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.sqlite").write_text("not a database, but long enough to be taken for one" * 9)
    assert _track(tmp_path, "export", tmp_path / "out.csv") == 2
    assert "cannot be used" in capsys.readouterr().err
