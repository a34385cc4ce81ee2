"""--force and saving remove what a training made, and nothing of anybody else's."""

import shutil
from pathlib import Path

import pytest

from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.conftest import RUN
from tests.trainer.made_rows import arguments

ONE_STEP = {"steps": 1, "batch_size": 4}


@pytest.fixture
def output(finished: TrainSettings, tmp_path: Path) -> Path:
    """A copy of what a finished run left."""
    return Path(shutil.copytree(finished.output, tmp_path / "output"))


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def a_file(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_force_removes_what_trainings_left_and_trains_again(data: Path, output: Path) -> None:
    for name in (".step-9.draft", ".best-9.draft", "best-9"):
        a_file(output / "checkpoints" / name / "config.json")
    notes = a_file(output / "notes.txt", "mine")

    assert main([*arguments(data, output, **ONE_STEP), "--quiet", "--force"]) == 0
    kept = sorted(path.name for path in (output / "checkpoints").iterdir())
    assert kept == ["best-1", "step-1"]
    assert notes.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("results.json", "results.json"),
        ("checkpoints/best.ckpt", "checkpoints/best.ckpt"),
        ("checkpoints/step-300/weights.bin", "checkpoints/step-300"),
        ("checkpoints/step-final/progress.json", "checkpoints/step-final"),
        ("checkpoints/best-7/model.pt", "checkpoints/best-7"),
        ("checkpoints", "checkpoints"),
    ],
)
def test_force_refuses_what_no_training_made(
    data: Path, tmp_path: Path, name: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    a_file(tmp_path / name)
    if "/" in name:  # ours beside it stays, too
        a_file(tmp_path / "checkpoints/step-1/progress.json")
    before = files_in(tmp_path)

    assert main([*arguments(data, tmp_path, **ONE_STEP), "--quiet", "--force"]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / named}: no training made this" in error
    assert error.count("\n") == 1
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("more", [(), ("--force",)])
def test_a_model_of_somebody_elses_is_not_replaced(
    data: Path, tmp_path: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    a_file(tmp_path / "model" / "config.json")
    before = files_in(tmp_path)

    assert main([*arguments(data, tmp_path, **ONE_STEP), "--quiet", *more]) == 2
    assert f"{tmp_path / 'model'}: no training made this" in capsys.readouterr().err
    assert files_in(tmp_path) == before


def test_saving_leaves_what_it_did_not_make(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    theirs = [
        a_file(folder / name) for name in ("best.ckpt", "step-9/weights.bin", "step-final/x.bin")
    ]
    line = arguments(data, tmp_path, **RUN)

    assert main([*line, "--quiet"]) == 0
    assert all(path.is_file() for path in theirs)
    steps = {path.name for path in (tmp_path / "checkpoints").glob("step-*")}
    assert f"step-{RUN['steps']}" in steps
