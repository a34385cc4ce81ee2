"""Bad input: one clear line, exit code 2, no traceback, and no ten seconds of imports before it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepdistill.common.task import LabelSpec
from stepdistill.trainer.commands import COMMANDS
from stepdistill.trainer.main import main
from stepdistill.trainer.model.losses import TaskLosses
from tests.trainer.launching import TRAIN
from tests.trainer.made_rows import arguments, word_problems, write_split


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def _refusal(line: list[str], shown: pytest.CaptureFixture[str]) -> str:
    assert main(line) == 2
    error = shown.readouterr().err
    assert error.count("\n") == 1
    return error


def test_no_manifest(data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]) -> None:
    error = _refusal([*arguments(data, tmp_path), f"--train={tmp_path}"], shown)
    assert "manifest.json: no manifest" in error


def test_a_damaged_shard(data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]) -> None:
    folder = write_split(tmp_path / "train", word_problems("train", 3))
    shard = folder / "shard-00000.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"addition", b"Addition"))
    error = _refusal([*arguments(data, tmp_path), f"--train={folder}"], shown)
    assert "sha256 differs" in error


def test_shards_without_a_row(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    folder = write_split(tmp_path / "train", [])
    error = _refusal([*arguments(data, tmp_path), f"--train={folder}"], shown)
    assert f"{folder}: no rows at all" in error


def test_no_gold_to_judge_by(data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]) -> None:
    rows = [replace(row, gold=None, label=None) for row in word_problems("test", 3)]
    folder = write_split(tmp_path / "bare", rows)
    assert "--test" in _refusal([*arguments(data, tmp_path), f"--test={folder}"], shown)


def test_an_unknown_model(data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]) -> None:
    line = [*arguments(data, tmp_path / "out"), f"--model={tmp_path / 'missing'}"]
    assert "no such folder" in _refusal(line, shown)


def test_a_batch_that_cannot_be_shared(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    line = arguments(data, tmp_path, batch_size=1, accumulate=2)
    assert "take 2 or more" in _refusal(line, shown)


def test_an_output_that_is_a_file(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in _refusal(arguments(data, tmp_path / "file"), shown)


def test_an_output_that_cannot_be_written(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").touch()
    line = [*arguments(data, tmp_path, steps=1, batch_size=4), "--quiet"]
    assert "checkpoints/best-1: cannot be written" in _refusal(line, shown)


def test_a_label_over_the_limit(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    rows = [replace(row, label="addition and " * 40) for row in word_problems("train", 3)]
    folder = write_split(tmp_path / "train", rows)
    line = [*arguments(data, tmp_path / "out", max_target_tokens=16), f"--train={folder}"]
    error = _refusal(line, shown)
    assert "--max-target-tokens 16: the label 'addition and addition" in error
    assert len(error) < 300


def test_a_tracker_that_is_not_there(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    line = [*arguments(data, tmp_path, steps=1), "--track", "mlflow"]
    assert "pip install mlflow" in _refusal(line, shown)


def test_labels_that_cannot_be_scored(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    folder = write_split(tmp_path / "test", word_problems("test", 3), label=LabelSpec(kind="text"))
    line = arguments(data, tmp_path / "out", evaluate_by="scoring")
    line += [f"--{split}={folder}" for split in ("train", "valid", "test")]
    assert "no closed set of labels: take greedy" in _refusal(line, shown)


def test_a_device_out_of_memory(
    data: Path, tmp_path: Path, shown: pytest.CaptureFixture[str]
) -> None:
    def no_room(module: torch.nn.Module, _: object) -> None:
        if isinstance(module, TaskLosses):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(no_room)
    try:
        error = _refusal([*arguments(data, tmp_path, steps=1), "--quiet"], shown)
    finally:
        hook.remove()
    assert "cpu: out of memory: lower --batch-tokens" in error


def test_a_wrong_option(shown: pytest.CaptureFixture[str]) -> None:
    assert "--train is missing; see stepdistill train --help" in _refusal([], shown)
    assert "Did you mean" in _refusal(["predikt"], shown)


def test_the_launchers_local_rank_is_no_option(shown: pytest.CaptureFixture[str]) -> None:
    assert "--test is missing" in _refusal(["--local_rank=0", "--train=a"], shown)
    assert "--test is missing" in _refusal(["--local-rank", "0", "train", "--train=a"], shown)


def test_help_of_the_whole_and_of_training_is_quick(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("stepdistill")
    shown = subprocess.run([command], capture_output=True, text=True, check=True).stdout
    assert [name for name in COMMANDS if f"{name} " not in shown] == []
    script = (
        f"import sys; sys.path.insert(0, {str(TRAIN.parent)!r}); import train; "
        "assert train.main(['--help']) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "--batch-tokens" in done.stdout


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "5000"), ({"OMP_WAIT_POLICY": "active"}, None), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_threads_without_work_leave_the_cores_to_others(
    given: dict[str, str], spins: str | None
) -> None:
    own = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    env = {**{n: v for n, v in os.environ.items() if n not in own}, **given}
    code = (
        "import os, sys; from stepdistill.trainer.main import main; main(['--version']); "
        "print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    # torch comes after: by then it is too late.
    assert done.stdout.splitlines()[-1] == f"{spins} False"
