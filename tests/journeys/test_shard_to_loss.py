"""Shard to loss: the trainer reads what the annotator wrote; the loss falls, results are kept."""

import json
from pathlib import Path

from tests.journeys.conftest import Annotate
from tests.warm import WarmProcess, plain_environment


def test_a_student_learns_from_the_annotators_shards(
    annotate: Annotate, warm_stepdistill: WarmProcess, tmp_path: Path
) -> None:
    splits = [word for split in ("train", "valid", "test") for word in ("--split", split)]
    done = annotate("run", "demo", "--teacher", "simulated", "--samples", "120", *splits)
    assert done.code == 0, done.err
    shards = tmp_path / "runs" / "demo"
    trained = warm_stepdistill.start(
        *("train", "--train", shards / "train", "--valid", shards / "valid"),
        *("--test", shards / "test", "--model", "tiny", "--steps", "30"),
        *("--eval-every", "15", "--log-every", "5"),
        *("--output", tmp_path / "student", "--quiet"),
        cwd=tmp_path,
        env=plain_environment(),
    ).wait(110)
    assert trained.returncode == 0, trained.stderr
    results = json.loads((tmp_path / "student" / "results.json").read_bytes())
    losses = [entry["loss"] for entry in results["history"]["train"]]
    assert losses[-1] < 0.8 * losses[0]
    assert results["test"]["teacher"]["n"] == 120
    assert (tmp_path / "student" / "model" / "config.json").exists()
