"""Students from scratch on real rows: the loss falls, the figures are sane. Slow: they learn."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.journeys.conftest import Annotate
from tests.trainer.launching import TRAIN, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def _recorded(annotate: Annotate, real_data: Path, task: str, split: str, template: str) -> None:
    done = annotate(
        *("run", task, "--data", real_data / "datasets" / task, "--split", split),
        *("--teacher", "gpt-3.5-turbo", "--offline", "--template", template),
        *("--prompts", "p", "--store", "s", "--out", f"{task}-{template}"),
    )
    assert done.code == 0, done.err


def _simulated(annotate: Annotate, real_data: Path, task: str, split: str) -> None:
    """For gold labels: the student is judged by them, whatever the teacher said."""
    done = annotate(
        *("run", task, "--data", real_data / "datasets" / task, "--split", split),
        *("--teacher", "simulated", "--out", f"{task}-simulated"),
    )
    assert done.code == 0, done.err


def _train(folder: Path, *line: str) -> Any:
    command = [sys.executable, str(TRAIN), *line]
    command += ["--model", "tiny", "--output", "student", "--log-every", "25"]
    alone = environment(XDG_CACHE_HOME=str(folder / "cache"))
    done = subprocess.run(
        command, cwd=folder, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = orjson.loads((folder / "student" / "results.json").read_bytes())
    losses = [point["loss"] for point in results["history"]["train"]]
    assert losses[-1] < 0.5 * losses[0]
    return results


def test_svamp_from_real_answers(annotate: Annotate, real_data: Path, tmp_path: Path) -> None:
    annotate("import-original", real_data, "--prompts", "p", "--store", "s")
    for split in ("train", "test"):
        _recorded(annotate, real_data, "svamp", split, "1")
    results = _train(
        tmp_path, "--train", "svamp-1/train", "--test", "svamp-1/test", "--steps", "200"
    )
    assert results["data"]["train"]["without_rationale"] < results["data"]["train"]["used"]
    teacher = results["test"]["teacher"]
    assert 0.5 < teacher["accuracy"] < 1
    assert results["test"]["student"]["accuracy"] < teacher["accuracy"]


def test_cqa_from_the_real_answers_of_three_templates(
    annotate: Annotate, real_data: Path, tmp_path: Path
) -> None:
    annotate("import-original", real_data, "--prompts", "p", "--store", "s")
    for template in ("4", "12", "28"):
        _recorded(annotate, real_data, "cqa", "train", template)
    _simulated(annotate, real_data, "cqa", "test")
    folders = ["cqa-4/train", "cqa-12/train", "cqa-28/train"]
    results = _train(
        tmp_path,
        *("--train", *folders, "--rationales", "3", "--test", "cqa-simulated/test"),
        *("--steps", "150", "--eval-every", "75", "--max-input-tokens", "128"),
    )
    assert results["data"]["train"]["used"] <= 75


def test_a_student_of_esnli_beats_the_majority(
    annotate: Annotate, real_data: Path, tmp_path: Path
) -> None:
    for split in ("train", "valid", "test"):
        _simulated(annotate, real_data, "esnli", split)
    results = _train(
        tmp_path,
        *(f"--{split}=esnli-simulated/{split}" for split in ("train", "valid", "test")),
        *("--labels", "gold", "--mode", "standard", "--steps", "1500", "--batch-size", "64"),
        *("--lr", "1e-3", "--warmup", "200", "--eval-every", "250"),
    )
    student, majority = results["test"]["student"], results["test"]["majority"]
    assert student["interval"][0] > majority["accuracy"]
    assert set(student["classes"]) == {"entailment", "neutral", "contradiction"}
