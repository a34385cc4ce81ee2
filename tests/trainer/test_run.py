"""A whole run on one rank: what it writes, and that this is what it says it is."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.trainer.conftest import RUN, STEPS
from tests.trainer.made_rows import arguments
from trainer.config import TrainConfig
from trainer.data.examples import exam
from trainer.data.shards import read_data
from trainer.main import main
from trainer.model.student import pretrained
from trainer.scores import mark
from trainer.tasks import judged
from trainer.training.engine import start, stop
from trainer.training.evaluation import paper, sit


def _results(output: Path) -> Any:
    return orjson.loads((output / "results.json").read_bytes())


def _losses(output: Path) -> list[tuple[float, float]]:
    points = _results(output)["history"]["train"]
    return [(point["loss"], point["grad_norm"]) for point in points]


def test_the_loss_falls(finished: TrainConfig) -> None:
    losses = [loss for loss, _ in _losses(finished.output)]
    assert len(losses) == STEPS
    assert losses[-1] < 0.8 * losses[0]


def test_the_results_say_what_was_done(finished: TrainConfig) -> None:
    results = _results(finished.output)
    assert results["data"]["train"]["records"] == 60
    assert results["data"]["train"]["used"] == 60
    assert 0 < results["data"]["train"]["without_rationale"] < 60
    assert [point["step"] for point in results["history"]["valid"]] == [6, 12]
    assert set(results["test"]) == {"student", "teacher", "majority"}
    assert results["test"]["student"]["n"] == 20
    assert (results["config"]["precision"], results["config"]["lr"]) == ("fp32", 3e-3)


def test_the_saved_student_is_the_judged_one(finished: TrainConfig) -> None:
    saved = pretrained(str(finished.output / "model"), None)
    data = read_data(finished)
    world = start()
    for name, split in (("test", data.test), ("valid", data.valid)):
        questions = exam(split).questions
        sheet = paper(questions, data.kind, saved, judged(finished.table()), 512)
        found = mark(sit(saved, sheet, world, lockstep=False), questions, data.kind)
        said = _results(finished.output)[name]
        assert found.right == (said["student"] if name == "test" else said)["right"]
    stop()


def test_the_same_again_has_nothing_to_do(
    data: Path, finished: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    line = arguments(data, finished.output, **RUN)
    before = (finished.output / "results.json").stat().st_mtime_ns
    assert main(line) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert (finished.output / "results.json").stat().st_mtime_ns == before


def test_another_run_in_the_same_folder_is_refused(
    data: Path, finished: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(data, finished.output, **(RUN | {"seed": 5}))) == 2
    assert "from other settings or data" in capsys.readouterr().err


def test_a_saved_student_trains_on(data: Path, finished: TrainConfig, tmp_path: Path) -> None:
    options = {"steps": 1, "batch_size": 4, "mode": "standard", "labels": "gold"}
    line = arguments(data, tmp_path, **options)
    assert main([*line, "--quiet", "--model", str(finished.output / "model"), "--lr=1e-4"]) == 0
    assert _results(tmp_path)["test"]["student"]["n"] == 20


def test_a_loss_that_is_no_number_ends_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = {"steps": 8, "batch_size": 4, "warmup": 0, "lr": 1e30, "log_every": 1}
    assert main([*arguments(data, tmp_path, **wild), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "lower --lr" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results.json").exists()
